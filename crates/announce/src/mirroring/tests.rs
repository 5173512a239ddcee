use std::sync::Mutex as StdMutex;

use async_trait::async_trait;

use super::*;
use crate::testing::{FakeClock, change, incident, settle};

/// Both a mirror and a stream: it writes down how much it was shown or sent, and accepts unless told otherwise.
#[derive(Default)]
struct Fake {
    got: StdMutex<Vec<usize>>,
    fails: AtomicBool,
}

impl Fake {
    fn got(&self) -> Vec<usize> {
        self.got.lock().unwrap().clone()
    }

    fn take(&self, n_things: usize) -> Delivery {
        self.got.lock().unwrap().push(n_things);
        if self.fails.load(Ordering::Relaxed) {
            Delivery::Retry { why: "down".into(), after: None }
        } else {
            Delivery::Accepted
        }
    }
}

#[async_trait]
impl Mirror for Fake {
    async fn show(&self, open: &[Incident], _: Attempt) -> Delivery {
        self.take(open.len())
    }

    fn every(&self) -> Duration {
        Duration::from_secs(60)
    }
}

#[async_trait]
impl Stream for Fake {
    async fn send(&self, events: &[Arc<Event>], _: Attempt) -> Delivery {
        self.take(events.len())
    }
}

#[tokio::test]
async fn a_mirror_is_shown_what_is_open_when_it_changes_and_again_and_again() {
    let (clock, fake) = (FakeClock::new(), Arc::new(Fake::default()));
    let (open, shown) = watch::channel(Some(Arc::default()));
    let task = Arc::new(MirrorTask::new("am", "fake", Arc::clone(&fake) as _));
    let running = tokio::spawn(Arc::clone(&task).run(Arc::clone(&clock) as _, shown));
    settle().await;
    assert_eq!(fake.got(), [0]);
    open.send_replace(Some(Arc::new(vec![incident("a")])));
    settle().await;
    assert_eq!(fake.got(), [0, 1]);
    clock.advance(Duration::from_secs(59)).await;
    assert_eq!(fake.got(), [0, 1]);
    clock.advance(Duration::from_secs(1)).await;
    assert_eq!(fake.got(), [0, 1, 1]);
    fake.fails.store(true, Ordering::Relaxed);
    open.send_replace(Some(Arc::default()));
    settle().await;
    assert!(!task.side.status().up);
    fake.fails.store(false, Ordering::Relaxed);
    clock.advance(Duration::from_secs(10)).await;
    assert_eq!(fake.got(), [0, 1, 1, 0, 0], "what was missed is made good");
    open.send_replace(None);
    clock.advance(Duration::from_secs(600)).await;
    assert_eq!(fake.got(), [0, 1, 1, 0, 0], "another replica shows it now");
    open.send_replace(Some(Arc::default()));
    settle().await;
    assert_eq!(fake.got(), [0, 1, 1, 0, 0, 0]);
    assert!(task.side.status().up);
    running.abort();
}

#[tokio::test]
async fn a_stream_that_is_down_loses_the_newest_events_and_counts_them() {
    let (clock, fake) = (FakeClock::new(), Arc::new(Fake::default()));
    let task = Arc::new(StreamTask::new("rw", "fake", Arc::clone(&fake) as _));
    let event = Arc::new(Event::of_change(&change("opened"), "/a", 1));
    for _ in 0..STREAM_MAX + 7 {
        task.push(&event);
    }
    assert_eq!(task.side.status().n_dropped, 7);
    fake.fails.store(true, Ordering::Relaxed);
    let running = tokio::spawn(Arc::clone(&task).run(Arc::clone(&clock) as _));
    clock.advance_secs(200).await;
    assert_eq!(fake.got()[..5], [BATCH_MAX; 5]);
    assert!(task.side.status().n_dropped >= 7 + BATCH_MAX as u64);
    fake.fails.store(false, Ordering::Relaxed);
    clock.advance_secs(400).await;
    let status = task.side.status();
    assert!(status.up && status.attempts[0].1 > 10, "{status:?}");
    running.abort();
}
