//! The promises of the whole, with receivers and a clock that do as they are told.

use std::path::Path;

use super::*;
use crate::channels::Channel;
use crate::outlet::{Deliver, Delivery, Outlet};
use crate::testing::{
    Answer, FakeClock, FakeReceiver, Lines, change, change_of, escalation, incident, noon, refuse, retry, settle,
};

/// A homeostat with one channel `pager` for calls and one `feed` that also gets changes.
struct Set {
    clock: Arc<FakeClock>,
    announcer: Arc<Announcer>,
    running: Option<(tokio::task::JoinHandle<()>, tokio::sync::oneshot::Sender<()>)>,
}

impl Set {
    fn with(directory: &Path, clock: &Arc<FakeClock>, pager: &Arc<FakeReceiver>, feed: &Arc<FakeReceiver>) -> Self {
        let channel = |changes, receiver: &Arc<FakeReceiver>| Channel {
            kind: "fake",
            changes,
            outlet: Outlet::Deliver(Arc::clone(receiver) as Arc<dyn Deliver>),
        };
        let channels = Channels::from_iter([
            ("pager".to_owned(), channel(false, pager)),
            ("feed".to_owned(), channel(true, feed)),
        ]);
        let outbox = Outbox::open(&directory.join("outbox.db")).unwrap();
        let announcer = Announcer::new("/homeostat/test", &channels, outbox, Arc::clone(clock) as _).unwrap();
        Self { clock: Arc::clone(clock), announcer: Arc::new(announcer), running: None }
    }

    fn new(directory: &Path, pager: &Arc<FakeReceiver>, feed: &Arc<FakeReceiver>) -> Self {
        Self::with(directory, &FakeClock::new(), pager, feed)
    }

    async fn run(&mut self) {
        let (end, ended) = tokio::sync::oneshot::channel();
        let running = Arc::clone(&self.announcer).run(async { drop(ended.await) });
        self.running = Some((tokio::spawn(running), end));
        settle().await;
    }

    /// Ends as SIGTERM does, when nothing is in the way.
    async fn end(mut self) {
        let (running, end) = self.running.take().unwrap();
        end.send(()).unwrap();
        settle().await;
        self.clock.advance(ENDING_MAX).await;
        running.await.unwrap();
    }

    fn channel(&self, name: &str) -> crate::ChannelStatus {
        self.announcer.status().channels.into_iter().find(|channel| channel.name == name).unwrap()
    }

    /// Stops the disk: SQLite says of every write that there is no room.
    fn fill_the_disk(&self) {
        self.announcer.disk.outbox.fill_the_disk(true);
    }

    fn empty_the_disk(&self) {
        self.announcer.disk.outbox.fill_the_disk(false);
    }
}

fn to(channels: &[&str], reason: &str) -> Escalation {
    Escalation { channels: channels.iter().map(|name| (*name).to_owned()).collect(), ..escalation(reason) }
}

fn ids(receiver: &FakeReceiver) -> Vec<String> {
    receiver.got().into_iter().map(|event| event.id).collect()
}

fn ok() -> Arc<FakeReceiver> {
    FakeReceiver::new([])
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_neither_who_publishes_nor_another_channel() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::always(Answer::Never), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    for cycle in 0..20 {
        // Neither call is async: a cycle can't wait here, whatever the receivers do.
        set.announcer.escalate(&to(&["pager"], &format!("reason-{cycle}")), Some(&incident("payment-api")));
        set.announcer.announce(&[change_of(&format!("w{cycle}"), "opened")]);
        settle().await;
        assert_eq!(feed.n_got(), cycle + 1, "the other channel delivers at once");
    }
    assert_eq!(
        pager.n_got(),
        1,
        "one attempt is under way, and isn't started again: order within the incident is kept"
    );
    assert_eq!(set.channel("pager").n_pending_escalations, 20);
    assert_eq!(set.channel("feed").n_pending_changes, 0);
}

#[tokio::test]
async fn changes_go_where_they_are_wanted_and_escalations_where_they_are_sent_once_each() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (ok(), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    assert_eq!(set.announcer.announce(&[change("opened")]), Kept::Safe);
    let storm = to(&["pager", "feed"], "storm");
    assert_eq!(set.announcer.escalate(&storm, Some(&incident("payment-api"))), Kept::Safe);
    assert_eq!(set.announcer.escalate(&storm, None), Kept::Safe, "again, as after a crash");
    set.clock.advance_secs(60).await;
    assert_eq!(pager.n_got(), 1);
    let kinds: Vec<EventKind> = feed.got().iter().map(Event::kind).collect();
    assert_eq!(kinds, [EventKind::Escalation, EventKind::Change], "calls first");
    assert_eq!(set.announcer.status().n_pending(), 0);
}

#[tokio::test]
async fn a_call_goes_out_without_its_incident_and_without_a_channel_that_exists() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (ok(), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    assert_eq!(set.announcer.escalate(&to(&["pager"], "a"), None), Kept::Safe);
    assert_eq!(set.announcer.escalate(&to(&["slack"], "b"), None), Kept::Safe);
    assert_eq!(set.announcer.escalate(&to(&[], "c"), None), Kept::Safe);
    settle().await;
    assert_eq!(pager.got()[0].subject(), &incident("payment-api").subject);
    assert_eq!(set.channel("log").attempts[0], ("accepted", 2), "b and c went to the default channel");
}

#[tokio::test]
async fn three_thousand_changes_leave_within_one_cycle_and_calls_first() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (ok(), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    let changes: Vec<IncidentChange> = (0..3000).map(|n| change_of(&format!("w{n}"), "opened")).collect();
    set.announcer.announce(&changes);
    set.announcer.escalate(&to(&["feed"], "storm"), None);
    set.run().await;
    // The fake clock stands still: no pause of ours is in the way.
    for _ in 0..200 {
        settle().await;
    }
    assert_eq!(feed.n_got(), 3001);
    assert_eq!(feed.got()[0].kind(), EventKind::Escalation);
    assert_eq!(feed.under_way_peak(), crate::queue::UNDER_WAY_MAX);
    assert_eq!(set.announcer.status().n_pending(), 0);
}

#[tokio::test]
async fn changes_of_an_incident_arrive_in_order_while_others_overtake() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (ok(), FakeReceiver::new([retry("503")]));
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    set.announcer.announce(&[change_of("a", "opened"), change_of("a", "updated"), change_of("b", "opened")]);
    set.announcer.announce(&[change_of("a", "resolved")]);
    set.clock.advance_secs(30).await;
    let opened = Event::of_change(&change_of("a", "opened"), "", 0).id;
    let of_a: Vec<String> = ["opened", "updated", "resolved"]
        .map(|name| Event::of_change(&change_of("a", name), "", 0).id)
        .into_iter()
        .collect();
    let mut got: Vec<String> = ids(&feed).into_iter().filter(|id| of_a.contains(id)).collect();
    assert_eq!(got.remove(0), opened, "refused once");
    assert_eq!(got, of_a);
}

#[tokio::test]
async fn a_hook_that_is_404_for_a_minute_loses_nothing_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::always(retry("404 Not Found")), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    set.announcer.escalate(&to(&["pager"], "a"), None);
    set.clock.advance_secs(60).await;
    assert!(!set.channel("pager").up);
    assert_eq!(set.channel("pager").last_error.as_deref(), Some("404 Not Found"));
    pager.now_accepts();
    set.clock.advance_secs(60).await;
    let channel = set.channel("pager");
    assert!(channel.up && channel.last_error.is_none());
    assert_eq!((channel.n_pending_escalations, channel.attempts[0].1), (0, 1));
    assert_eq!(ids(&pager).iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "one key for all attempts");
}

#[tokio::test]
async fn whoever_answers_late_is_given_more_time_instead_of_the_same_again_and_again() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::new([Answer::Never, Answer::Never]), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    set.announcer.escalate(&to(&["pager"], "a"), None);
    set.clock.advance_secs(10).await;
    assert_eq!(pager.n_got(), 1, "no second attempt while the first is under way");
    set.clock.advance_secs(60).await;
    assert_eq!(pager.n_got(), 3);
    assert_eq!(pager.limits(), [secs(10), secs(20), secs(40)]);
}

#[tokio::test]
async fn what_can_never_be_delivered_is_given_up_aloud_kept_and_tried_again_when_it_is_published_again() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::always(refuse("400 Bad Request")), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    set.announcer.escalate(&to(&["pager"], "a"), None);
    for _ in 0..72 * 12 + 2 {
        set.clock.advance(secs(300)).await;
    }
    let channel = set.channel("pager");
    assert_eq!((channel.n_pending_escalations, channel.n_failed_escalations), (0, 1));
    pager.now_accepts();
    assert_eq!(set.announcer.escalate(&to(&["pager"], "a"), None), Kept::Safe);
    set.clock.advance_secs(1).await;
    let n_got = pager.n_got();
    set.clock.advance_secs(600).await;
    let channel = set.channel("pager");
    assert_eq!((channel.n_pending_escalations, channel.n_failed_escalations), (0, 0), "{n_got}");
}

#[tokio::test]
async fn what_is_queued_survives_the_process_under_the_same_key() {
    let directory = tempfile::tempdir().unwrap();
    let (clock, down, feed) = (FakeClock::new(), FakeReceiver::always(retry("connection refused")), ok());
    let mut before = Set::with(directory.path(), &clock, &down, &feed);
    before.run().await;
    before.announcer.escalate(&to(&["pager"], "a"), Some(&incident("payment-api")));
    clock.advance_secs(20).await;
    before.end().await;
    let up = ok();
    let mut after = Set::with(directory.path(), &clock, &up, &feed);
    assert_eq!(after.channel("pager").n_pending_escalations, 1);
    // What the driver does after a crash between the journal and the outbox.
    assert_eq!(after.announcer.escalate(&to(&["pager"], "a"), None), Kept::Safe);
    after.run().await;
    clock.advance_secs(300).await;
    assert_eq!(up.got(), down.got()[..1], "once, and the same");
}

#[tokio::test]
async fn calls_of_a_channel_that_was_removed_go_to_the_default_one() {
    let directory = tempfile::tempdir().unwrap();
    let (clock, feed) = (FakeClock::new(), ok());
    let set = Set::with(directory.path(), &clock, &ok(), &feed);
    set.announcer.escalate(&to(&["pager"], "a"), None);
    drop(set);
    let outbox = Outbox::open(&directory.path().join("outbox.db")).unwrap();
    let announcer = Announcer::new("/a", &Channels::default(), outbox, clock as _).unwrap();
    let log = announcer.status().channels.into_iter().find(|channel| channel.name == "log").unwrap();
    assert_eq!(log.n_pending_escalations, 1);
}

#[tokio::test]
async fn a_reload_leads_to_where_channels_lead_now_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::always(retry("404 Not Found")), FakeReceiver::always(Answer::Never));
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    set.announcer.escalate(&to(&["pager"], "a"), None);
    set.announcer.escalate(&to(&["feed"], "b"), None);
    set.clock.advance_secs(1).await;
    assert_eq!((pager.n_got(), feed.n_got()), (1, 1));
    let (mended, new) = (ok(), ok());
    let channel = |changes, receiver: &Arc<FakeReceiver>| Channel {
        kind: "fake",
        changes,
        outlet: Outlet::Deliver(Arc::clone(receiver) as Arc<dyn Deliver>),
    };
    set.announcer.reload(&Channels::from_iter([
        ("pager".to_owned(), channel(false, &mended)),
        ("new".to_owned(), channel(true, &new)),
    ]));
    settle().await;
    assert_eq!(mended.n_got(), 1, "at once, not after the pause");
    assert_eq!(set.channel("log").attempts[0], ("accepted", 1), "what waited for the channel that is gone");
    assert!(set.announcer.wants_resync(), "a channel that is new to changes hears of what is open");
    set.announcer.announce(&[change("opened")]);
    settle().await;
    assert_eq!((new.n_got(), feed.n_got()), (1, 1));
    assert_eq!(set.announcer.status().n_pending(), 0);
    assert!(!set.announcer.status().channels.iter().any(|channel| channel.name == "feed"));
    set.end().await;
}

#[tokio::test]
async fn the_end_waits_two_seconds_at_most_and_lets_the_last_calls_leave() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (ok(), FakeReceiver::always(Answer::Never));
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    set.announcer.announce(&[change("opened")]);
    set.announcer.escalate(&to(&["pager"], "last words"), None);
    let clock = Arc::clone(&set.clock);
    let before = clock.elapsed();
    set.end().await;
    assert_eq!(clock.elapsed() - before, ENDING_MAX);
    assert_eq!((pager.n_got(), feed.n_got()), (1, 1));
    let left = Outbox::open(&directory.path().join("outbox.db")).unwrap().pending(noon()).unwrap();
    assert_eq!(left.len(), 1, "the change that wasn't answered");
}

#[tokio::test]
async fn a_full_disk_stops_no_call_and_what_waits_is_written_later() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::new([retry("503")]), FakeReceiver::always(retry("503")));
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    set.announcer.resync(&[], |_| None);
    set.fill_the_disk();
    assert_eq!(set.announcer.escalate(&to(&["pager"], "a"), None), Kept::InMemory);
    assert_eq!(set.announcer.escalate(&to(&["pager"], "a"), None), Kept::InMemory, "again");
    assert_eq!(set.announcer.announce(&[change("opened")]), Kept::InMemory);
    assert!(set.announcer.take_safe().is_empty());
    set.clock.advance_secs(20).await;
    let status = set.announcer.status();
    assert!(!status.outbox_writable);
    assert_eq!((ids(&pager).len(), status.n_only_in_memory), (2, 1), "the call left, at the second attempt");
    assert_eq!(set.announcer.take_safe(), [(incident("payment-api").id, "a".to_owned())]);
    assert!(!set.announcer.wants_resync());
    set.empty_the_disk();
    set.clock.advance_secs(40).await;
    let status = set.announcer.status();
    assert!(status.outbox_writable && set.announcer.wants_resync());
    assert_eq!(status.n_only_in_memory, 0);
    // A new process knows both: what was delivered isn't sent again, what waits is.
    let (pager, feed) = (ok(), ok());
    drop(set.running.take());
    let mut after = Set::with(directory.path(), &set.clock, &pager, &feed);
    after.announcer.escalate(&to(&["pager"], "a"), None);
    after.run().await;
    after.clock.advance_secs(400).await;
    assert_eq!((pager.n_got(), feed.n_got()), (0, 1));
}

#[tokio::test]
async fn of_a_replica_a_call_is_safe_only_once_a_receiver_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::new([retry("503")]), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.announcer.disk.set_local();
    set.run().await;
    assert_eq!(set.announcer.escalate(&to(&["pager"], "a"), None), Kept::InMemory);
    assert_eq!(set.announcer.escalate(&to(&["pager"], "a"), None), Kept::InMemory, "it still waits");
    assert!(set.announcer.take_safe().is_empty());
    set.clock.advance_secs(20).await;
    assert_eq!(set.announcer.take_safe(), [(incident("payment-api").id, "a".to_owned())]);
    assert_eq!(set.announcer.escalate(&to(&["pager"], "a"), None), Kept::Safe, "accepted, and not sent again");
    assert_eq!(ids(&pager).len(), 2, "the attempt that failed, and the one that didn't");
}

#[tokio::test]
async fn what_receivers_missed_is_told_once_and_what_they_know_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (ok(), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    assert!(set.announcer.wants_resync(), "after a start");
    set.announcer.announce(&[
        change_of("known", "opened"),
        change_of("ended", "opened"),
        change_of("unclear", "opened"),
    ]);
    settle().await;
    let open = [incident("known"), incident("missed")];
    let ended =
        |id: &IncidentId| (*id == incident("ended").id).then(|| change_of("ended", "resolved").incident().clone());
    for _ in 0..3 {
        set.announcer.resync(&open, ended);
        settle().await;
    }
    let told: Vec<(String, String)> = feed
        .got()
        .iter()
        .skip(3)
        .map(|event| match &event.payload {
            Payload::Change(change) => (change.incident().subject.name.clone(), change.name().to_owned()),
            Payload::Escalation(_) => panic!("no call"),
        })
        .collect();
    let expected = [("missed", "opened"), ("ended", "resolved")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(told, expected);
    assert!(!set.announcer.wants_resync());
}

#[tokio::test]
async fn a_sink_that_panics_loses_nothing() {
    struct Panics(std::sync::atomic::AtomicBool);
    #[async_trait::async_trait]
    impl Deliver for Panics {
        async fn deliver(&self, _: &Event, _: crate::Attempt) -> Delivery {
            assert!(self.0.swap(true, Ordering::Relaxed), "the first time");
            Delivery::Accepted
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let (clock, outlet) = (FakeClock::new(), Outlet::Deliver(Arc::new(Panics(false.into()))));
    let channels = Channels::from_iter([("pager".to_owned(), Channel { kind: "fake", changes: false, outlet })]);
    let outbox = Outbox::open(&directory.path().join("outbox.db")).unwrap();
    let announcer = Arc::new(Announcer::new("/a", &channels, outbox, Arc::clone(&clock) as _).unwrap());
    let running = tokio::spawn(Arc::clone(&announcer).run(std::future::pending()));
    announcer.escalate(&to(&["pager"], "a"), None);
    clock.advance_secs(10).await;
    assert_eq!(announcer.status().n_pending(), 0);
    running.abort();
}

#[tokio::test]
async fn a_wall_clock_that_steps_neither_delays_nor_gives_up_anything() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::new([retry("503"), retry("503")]), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    set.announcer.escalate(&to(&["pager"], "a"), None);
    settle().await;
    set.clock.put_wall_back(secs(86_400));
    set.clock.advance_secs(8).await;
    assert_eq!(pager.n_got(), 2);
    set.clock.put_wall_forward(secs(10 * 86_400));
    set.clock.advance_secs(14).await;
    assert_eq!(pager.n_got(), 3);
    assert_eq!(set.announcer.status().n_pending(), 0);
}

#[tokio::test]
async fn an_outage_is_two_lines_in_the_log_however_many_attempts_it_takes() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::always(retry("503")), ok());
    let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
    let _guard = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    for reason in ["a", "b", "c"] {
        set.announcer.escalate(&to(&["pager"], reason), None);
    }
    set.clock.advance_secs(200).await;
    let n_attempts = pager.n_got();
    pager.now_accepts();
    set.clock.advance_secs(200).await;
    assert!(n_attempts > 3 && set.announcer.status().n_pending() == 0);
    let of_channel: Vec<String> =
        lines.lock().unwrap().iter().filter(|line| line.contains("channel=\"pager\"")).cloned().collect();
    assert_eq!(of_channel.len(), 2, "{of_channel:?}");
    assert!(of_channel[0].starts_with("WARN") && of_channel[0].contains("503"), "{of_channel:?}");
    assert!(of_channel[1].starts_with("INFO") && of_channel[1].contains("has recovered"), "{of_channel:?}");
}

#[tokio::test]
async fn a_call_that_waits_for_minutes_is_told_in_the_log_once() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (FakeReceiver::always(retry("503")), ok());
    let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
    let _guard = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    let mut set = Set::new(directory.path(), &pager, &feed);
    set.run().await;
    set.announcer.escalate(&to(&["pager"], "a"), None);
    let told = || lines.lock().unwrap().iter().filter(|line| line.contains("nobody was notified")).count();
    set.clock.advance_secs(299).await;
    assert_eq!(told(), 0);
    set.clock.advance_secs(900).await;
    assert_eq!(told(), 1);
}

mod ends;
