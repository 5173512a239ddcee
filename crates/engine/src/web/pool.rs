//! Threads of the API's own for what computes, and a limit on how much may wait for them. Not the runtime's blocking threads:
//! those decode what Prometheus answers, and whoever asks for scores must not hold that up.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

type Job = Box<dyn FnOnce() + Send>;

/// A few threads and a short queue.
pub(crate) struct Pool {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
}

/// A place with a thread or in the queue.
pub(crate) struct Place(OwnedSemaphorePermit);

/// The work broke off.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work broke off")]
pub(crate) struct BrokeOff;

impl Pool {
    /// With so many threads, and room for so many requests beside those under way.
    pub(crate) fn new(n_threads: usize, waiting_max: usize) -> std::io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for idx in 0..n_threads {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name(format!("api-{idx}")).spawn(move || work(&queue))?;
        }
        Ok(Self { jobs, places: Arc::new(Semaphore::new(n_threads + waiting_max)) })
    }

    /// A place, if there is one free. Take it before reading what to work on, so that the memory of what waits is bounded.
    pub(crate) fn place(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok().map(Place)
    }

    /// Runs `work` on one of the threads. If whoever waits goes away before it began, it isn't done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BrokeOff> {
        let (reply, answer) = oneshot::channel();
        let job = move || {
            if !reply.is_closed() {
                // Nobody is left to hear it if this fails.
                let _ = reply.send(work());
            }
            drop(place.0);
        };
        self.jobs.send(Box::new(job)).map_err(|_| BrokeOff)?;
        answer.await.map_err(|_| BrokeOff)
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        // Held only while waiting for the next job: the lock hands jobs out one by one.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic of one request must not take the thread from all others.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
            tracing::error!("a request of the API panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn as_much_as_there_is_room_for_is_taken_and_no_more() {
        let pool = Arc::new(Pool::new(1, 1).expect("a thread"));
        let (release, held) = channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let place = pool.place().expect("a free thread");
        let (first_pool, first_place) = (Arc::clone(&pool), place);
        let first = tokio::spawn(async move {
            let work = move || {
                let _ = begun.send(());
                held.recv().is_ok()
            };
            first_pool.run(first_place, work).await
        });
        has_begun.await.expect("it runs");
        let waits = pool.place().expect("one may wait");
        assert!(pool.place().is_none(), "a third is turned away");
        release.send(()).expect("it still waits");
        assert_eq!(first.await.expect("no panic"), Ok(true));
        assert_eq!(pool.run(waits, || 7).await, Ok(7));
        assert!(pool.place().is_some());
    }

    #[tokio::test]
    async fn a_panic_takes_no_thread_and_no_place() {
        let pool = Pool::new(1, 0).expect("a thread");
        let place = pool.place().expect("free");
        assert_eq!(pool.run(place, || panic!("on purpose")).await, Err::<(), _>(BrokeOff));
        // The place is given back when the panic has passed through.
        let place = loop {
            match pool.place() {
                Some(place) => break place,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(pool.run(place, || 1).await, Ok(1));
    }
}
