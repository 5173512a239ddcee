//! What every kind of channel must keep. A kind in the list is tested; there is nothing to register here.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use homeostat_core::Subject;
use homeostat_settings::{Findings, Problem, Reader, parse_documents};

use super::{ChannelKind, KINDS};
use crate::event::Event;
use crate::http::Http;
use crate::outlet::{Attempt, Deliver, Delivery, Outlet};
use crate::queue::{Entry, Next, Queue, Settled};
use crate::testing::{Lines, Receiver, Reply, TIMEOUT, change, escalation, incident, noon};

/// Part of every receiver's URL, which nobody may see.
const SECRET: &str = "s3cret-token";

/// A config in a directory with the files that the examples name, each of which holds a secret.
fn config_file() -> String {
    static DIRECTORY: OnceLock<tempfile::TempDir> = OnceLock::new();
    // Once: whoever reads one while it is written again sees an empty file.
    let directory = DIRECTORY.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        for kind in KINDS {
            for name in kind.example.split([' ', ',', '}']).filter(|word| word.ends_with(".key")) {
                std::fs::write(directory.path().join(name), format!("{SECRET}\n")).unwrap();
            }
        }
        directory
    });
    let directory = directory.path();
    directory.join("config.yaml").display().to_string()
}

/// A channel of the kind, as this section says.
fn open(kind: &ChannelKind, section: &str) -> (Option<Outlet>, Vec<Problem>) {
    let file = config_file();
    let documents = parse_documents(&file, section).unwrap();
    let mut problems = Findings::new();
    let mut reader = Reader::new(&file, "channels.it", &documents[0], &mut problems);
    let _ = reader.text("type");
    let outlet = (kind.open)(&mut reader, &Http::default());
    reader.finish();
    (outlet, problems.into_problems())
}

/// A channel of the kind, as its example says, that leads to the receiver.
fn outlet(kind: &ChannelKind, receiver: &Receiver) -> Outlet {
    let receiver = format!("http://{}/{SECRET}", receiver.address);
    let (outlet, problems) = open(kind, &kind.example.replace("https://receiver.example", &receiver));
    assert!(problems.is_empty(), "{}: the example has problems: {problems:?}", kind.name);
    outlet.unwrap()
}

/// The kinds that take single events; [`mirrors`] has the contract of those that are shown what is open.
fn delivering() -> impl Iterator<Item = &'static &'static ChannelKind> {
    KINDS.iter().filter(|kind| match open(kind, kind.example).0.unwrap() {
        Outlet::Deliver(_) => true,
        Outlet::Mirror(_) => false,
        Outlet::Stream(_) => panic!("{}: the contract of streams isn't written yet", kind.name),
    })
}

fn channel(kind: &ChannelKind, receiver: &Receiver) -> Arc<dyn Deliver> {
    match outlet(kind, receiver) {
        Outlet::Deliver(deliver) => deliver,
        other => panic!("{}: {other:?}", kind.name),
    }
}

fn has_receiver(kind: &ChannelKind) -> bool {
    kind.example.contains("https://receiver.example")
}

fn attempt() -> Attempt {
    Attempt { limit: TIMEOUT, now: noon() }
}

fn events() -> [Event; 3] {
    [
        Event::of_change(&change("opened"), "/homeostat/test", 1),
        Event::of_escalation(&escalation("storm"), Some(&incident("payment-api")), "/homeostat/test", 2),
        Event::of_escalation(&escalation("no-policy"), None, "/homeostat/test", 3),
    ]
}

#[tokio::test]
async fn every_kind_delivers_changes_and_escalations_with_a_key_that_stays() {
    for kind in delivering() {
        let receiver = Receiver::start(&[Reply::Status(200)]).await;
        let channel = channel(kind, &receiver);
        for event in events() {
            for _ in 0..2 {
                assert_eq!(channel.deliver(&event, attempt()).await, Delivery::Accepted, "{}", kind.name);
            }
        }
        if has_receiver(kind) {
            let requests = receiver.requests();
            assert_eq!(requests.len(), 6, "{}: one request an attempt", kind.name);
            for (event, twice) in events().iter().zip(requests.chunks(2)) {
                assert_eq!(twice[0], twice[1], "{}: the same bytes each time", kind.name);
                let (head, body) = &twice[0];
                assert!(format!("{head}{body}").contains(&event.id), "{}: by which key doubles are known", kind.name);
            }
        }
    }
}

#[tokio::test]
async fn every_kind_returns_in_time_from_a_receiver_that_says_nothing() {
    for kind in delivering().filter(|kind| has_receiver(kind)) {
        for reply in [Reply::Silence, Reply::HangUp] {
            let receiver = Receiver::start(&[reply]).await;
            let attempt = Attempt { limit: Duration::from_millis(300), now: noon() };
            let delivery = channel(kind, &receiver).deliver(&events()[0], attempt).await;
            assert!(matches!(delivery, Delivery::Retry { .. }), "{}: {reply:?}: {delivery:?}", kind.name);
        }
    }
}

#[tokio::test]
async fn every_kind_tells_a_refused_message_from_a_receiver_that_isnt_ready() {
    for kind in delivering().filter(|kind| has_receiver(kind)) {
        for status in [301, 302, 401, 403, 404, 405, 408, 410, 425, 429, 500, 502, 503, 504] {
            let receiver = Receiver::start(&[Reply::Status(status)]).await;
            let delivery = channel(kind, &receiver).deliver(&events()[0], attempt()).await;
            assert!(matches!(delivery, Delivery::Retry { .. }), "{}: {status}: {delivery:?}", kind.name);
        }
        for status in [400, 413, 422] {
            let receiver = Receiver::start(&[Reply::Status(status)]).await;
            let delivery = channel(kind, &receiver).deliver(&events()[0], attempt()).await;
            assert!(matches!(delivery, Delivery::Refused { .. }), "{}: {status}: {delivery:?}", kind.name);
        }
    }
}

/// Delivers from a queue until nothing is left. Returns when each attempt began.
async fn drain(queue: &mut Queue, channel: &dyn Deliver) -> Vec<Duration> {
    let (mut now, mut began) = (Duration::ZERO, Vec::new());
    loop {
        match queue.next(now) {
            Next::Start { key, event, .. } => {
                began.push(now);
                let delivery = channel.deliver(&event, attempt()).await;
                let settled = queue.settle(key, delivery, now, noon() + now);
                assert!(!matches!(settled, Some(Settled::GivenUp { .. })), "{settled:?}");
            }
            Next::Wait(Some(at)) => now = at,
            Next::Wait(None) => return began,
        }
        assert!(began.len() < 20, "{began:?}");
    }
}

fn queue_of(event: Event) -> Queue {
    let mut queue = Queue::default();
    queue.push(Entry::new(Arc::new(event), true, noon())).unwrap();
    queue
}

#[tokio::test]
async fn through_every_kind_nothing_is_lost_while_the_receiver_is_404_401_or_410_for_minutes() {
    for kind in delivering().filter(|kind| has_receiver(kind)) {
        for status in [404, 401, 410] {
            let mut replies = [Reply::Status(status); 6];
            replies[5] = Reply::Status(200);
            let receiver = Receiver::start(&replies).await;
            let mut queue = queue_of(events()[1].clone());
            let began = drain(&mut queue, &*channel(kind, &receiver)).await;
            assert_eq!(began.len(), 6, "{}: {status}", kind.name);
            assert!(began[5] > Duration::from_secs(120), "{}: {began:?}", kind.name);
            assert_eq!(queue.entries().count(), 0, "{}: it has arrived", kind.name);
        }
    }
}

#[tokio::test]
async fn through_every_kind_retry_after_is_honoured_in_both_forms() {
    for kind in delivering().filter(|kind| has_receiver(kind)) {
        for wish in ["90", "Sat, 31 Jan 2026 12:01:30 GMT"] {
            let receiver = Receiver::start(&[Reply::RetryAfter(429, wish), Reply::Status(200)]).await;
            let began = drain(&mut queue_of(events()[1].clone()), &*channel(kind, &receiver)).await;
            assert_eq!(began, [Duration::ZERO, Duration::from_secs(90)], "{}: {wish}", kind.name);
        }
    }
}

#[tokio::test]
async fn through_no_kind_a_label_forges_anything() {
    let hostile = "cart\n\r\u{1b}[2J\u{7}\"}],{\"x\":\"<script>alert(1)</script>\u{202e}";
    let mut told = escalation("storm");
    told.subject = Subject { name: hostile.to_owned(), ..told.subject };
    told.message = hostile.to_owned();
    told.history = vec![hostile.to_owned()];
    let mut changed = incident("payment-api");
    changed.subject = told.subject.clone();
    let events = [
        Event::of_escalation(&told, Some(&changed), "/a", 1),
        Event::of_change(&homeostat_core::IncidentChange::Opened(changed), "/a", 2),
    ];
    for kind in delivering() {
        let receiver = Receiver::start(&[Reply::Status(200)]).await;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let _guard = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
        for event in &events {
            assert_eq!(channel(kind, &receiver).deliver(event, attempt()).await, Delivery::Accepted, "{}", kind.name);
        }
        let requests = receiver.requests();
        let texts = requests.iter().map(|(_, body)| body.clone()).chain(lines.lock().unwrap().clone());
        for text in texts {
            assert!(!text.contains(|char: char| char.is_control()), "{}: {text:?}", kind.name);
        }
    }
}

#[tokio::test]
async fn no_kind_shows_its_secrets() {
    for kind in delivering().filter(|kind| has_receiver(kind)) {
        for reply in [Reply::Status(404), Reply::EchoesPath(400), Reply::EchoesPath(500), Reply::HangUp] {
            let receiver = Receiver::start(&[reply]).await;
            let channel = channel(kind, &receiver);
            let delivery = channel.deliver(&events()[0], attempt()).await;
            assert!(!format!("{delivery:?}").contains(SECRET), "{}: {delivery:?}", kind.name);
            assert!(!format!("{:?}", Outlet::Deliver(channel)).contains(SECRET), "{}", kind.name);
        }
        let receiver = Receiver::start(&[Reply::HangUp]).await;
        let channel = channel(kind, &receiver);
        receiver.stop().await;
        let Delivery::Retry { why, after: None } = channel.deliver(&events()[0], attempt()).await else {
            panic!("{}: not retried", kind.name)
        };
        assert!(why.to_lowercase().contains("refused") && !why.contains(SECRET), "{}: {why}", kind.name);
    }
}

#[test]
fn no_kind_repeats_what_was_written_where_a_secret_belongs() {
    for kind in KINDS.iter().filter(|kind| has_receiver(kind)) {
        for wrong in
            [format!("user:{SECRET}@host"), format!("ftp://{SECRET}/"), format!("http://[{SECRET}"), "5".to_owned()]
        {
            let text = kind.example.replace("https://receiver.example/hook", &format!("'{wrong}'"));
            let (outlet, problems) = open(kind, &text);
            assert!(outlet.is_none(), "{}: {wrong} was taken", kind.name);
            assert_eq!(problems.len(), 1, "{}: {problems:?}", kind.name);
            assert!(!problems[0].to_string().contains(SECRET), "{}: {problems:?}", kind.name);
        }
    }
}

/// What one more kind costs: its own file, and its line in the list. Beside that nothing names a kind.
#[test]
fn adding_a_kind_takes_one_file_and_one_line() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut places = Vec::new();
    let mut folders = vec![crates.join("announce/src"), crates.join("engine/src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let own = ["kinds/fake.rs", "kinds/webhook.rs", "kinds/contract.rs", "tests.rs"];
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !own.iter().any(|end| path.ends_with(end))
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
                let names = |line: &&str| {
                    let names_it =
                        line.contains("kinds::webhook") || line.contains("kinds::fake") || *line == "webhook,";
                    names_it && !line.starts_with("//")
                };
                let naming = code.lines().map(str::trim).filter(names);
                places.extend(naming.map(|line| format!("{}: {line}", path.display())));
            }
        }
    }
    assert_eq!(places.len(), 1, "{places:?}");
    assert!(places[0].ends_with("kinds.rs: webhook,"), "{places:?}");
    assert!(ChannelKind::named("fake").is_some(), "the fake is registered by its line alone");
}

mod mirrors;
