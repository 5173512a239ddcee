//! Waiting for a store from code that isn't async.
//!
//! The driver writes between two awaits and must know the answer before it goes on; so a write waits here, as it waited for
//! the disk before stores were async. Not for stores whose answers come through the very thread that waits.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            // A wake that came before this returns at once.
            Poll::Pending => std::thread::park(),
        }
    }
}
