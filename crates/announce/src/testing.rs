//! For this crate's tests: an incident, a clock that is told the time, and receivers that answer as they are told.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{
    Calibrated, Confidence, CorrelationId, Escalation, Incident, IncidentChange, IncidentId, IncidentState,
    IncidentType, Score, Subject, Timestamp,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use crate::clock::Clock;
use crate::event::Event;
use crate::outlet::{Attempt, Deliver, Delivery};

/// Long enough for a loopback answer on a busy machine, short enough to wait for once.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(1500);

pub(crate) fn noon() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

pub(crate) fn incident(name: &str) -> Incident {
    let subject = Subject::deployment("shop", name);
    let confidence = |value| Confidence::new(value).unwrap();
    Incident {
        id: IncidentId::of(&subject, noon()),
        correlation: CorrelationId::of(&subject, noon()),
        subject,
        incident_type: IncidentType::OomKilled,
        state: IncidentState::Open,
        opened_at: noon(),
        updated_at: noon(),
        score: Score::new(1.7).unwrap(),
        score_peak: Score::new(2.5).unwrap(),
        confidence: Calibrated {
            confidence: confidence(0.95),
            lower: confidence(0.93),
            n_outcomes: 120,
            n_verdicts: 0,
        },
        evidence: vec![],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}

pub(crate) fn change(name: &str) -> IncidentChange {
    change_of("payment-api", name)
}

pub(crate) fn change_of(workload: &str, name: &str) -> IncidentChange {
    let mut incident = incident(workload);
    incident.state = match name {
        "stale" => IncidentState::Stale,
        "resolved" => IncidentState::Resolved,
        "rebaselined" => IncidentState::Rebaselined,
        "expired" => IncidentState::Expired,
        _ => IncidentState::Open,
    };
    match name {
        "opened" => IncidentChange::Opened(incident),
        "updated" => IncidentChange::Updated(incident),
        "refired" => IncidentChange::Refired(incident),
        "stale" => IncidentChange::Stale(incident),
        "resolved" => IncidentChange::Resolved(incident),
        "rebaselined" => IncidentChange::Rebaselined(incident),
        "expired" => IncidentChange::Expired(incident),
        other => panic!("no such change: {other}"),
    }
}

/// A call for this reason, to the default channel.
pub(crate) fn escalation(reason: &str) -> Escalation {
    let incident = incident("payment-api");
    Escalation {
        incident: incident.id,
        correlation: incident.correlation,
        subject: incident.subject,
        channels: [].into(),
        reason: reason.to_owned(),
        message: "2 restarts didn't help".to_owned(),
        history: vec!["12:00 restarted".to_owned(), "12:06 not recovered".to_owned()],
        at: noon(),
    }
}

/// A clock that is told the time.
#[derive(Default)]
pub(crate) struct FakeClock {
    state: Mutex<FakeTime>,
}

#[derive(Default)]
struct FakeTime {
    elapsed: Duration,
    /// How far the wall clock was put forward beside it, and back.
    forward: Duration,
    back: Duration,
    sleepers: Vec<(Duration, Arc<Notify>)>,
}

impl FakeClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Lets time pass, and everybody do what they do then.
    pub(crate) async fn advance(&self, time: Duration) {
        settle().await;
        let due: Vec<Arc<Notify>> = {
            let mut state = self.state.lock().unwrap();
            state.elapsed += time;
            let elapsed = state.elapsed;
            state.sleepers.extract_if(.., |(at, _)| *at <= elapsed).map(|(_, sleeper)| sleeper).collect()
        };
        due.iter().for_each(|sleeper| sleeper.notify_one());
        settle().await;
    }

    /// As [`advance`](Self::advance), second by second.
    pub(crate) async fn advance_secs(&self, secs: u64) {
        for _ in 0..secs {
            self.advance(Duration::from_secs(1)).await;
        }
    }

    pub(crate) fn put_wall_back(&self, time: Duration) {
        self.state.lock().unwrap().back += time;
    }

    pub(crate) fn put_wall_forward(&self, time: Duration) {
        self.state.lock().unwrap().forward += time;
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let state = self.state.lock().unwrap();
        noon() + state.elapsed + state.forward - state.back
    }

    fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().elapsed
    }

    async fn sleep(&self, time: Duration) {
        let sleeper = Arc::new(Notify::new());
        {
            let mut state = self.state.lock().unwrap();
            if time.is_zero() {
                return;
            }
            let at = state.elapsed + time;
            state.sleepers.push((at, Arc::clone(&sleeper)));
        }
        sleeper.notified().await;
    }
}

/// Lets every task of the test's thread run until all of them wait.
pub(crate) async fn settle() {
    // Each turn lets every task that can go on do so once. A delivery takes some five turns; twenty in a row are plenty.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A receiver without a network.
#[derive(Default)]
pub(crate) struct FakeReceiver {
    script: Mutex<VecDeque<Answer>>,
    got: Mutex<Vec<Event>>,
    limits: Mutex<Vec<Duration>>,
    under_way: Mutex<(usize, usize)>,
}

/// How it answers one attempt.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Now(Delivery),
    Never,
}

pub(crate) fn retry(why: &str) -> Answer {
    Answer::Now(Delivery::Retry { why: why.to_owned(), after: None })
}

pub(crate) fn refuse(why: &str) -> Answer {
    Answer::Now(Delivery::Refused { why: why.to_owned() })
}

impl FakeReceiver {
    /// It gives the answers in turn, and then accepts everything.
    pub(crate) fn new(script: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(script.into_iter().collect()), ..Self::default() })
    }

    /// It gives the same answer for ever.
    pub(crate) fn always(answer: Answer) -> Arc<Self> {
        Self::new(std::iter::repeat_n(answer, 100_000))
    }

    pub(crate) fn now_accepts(&self) {
        self.script.lock().unwrap().clear();
    }

    /// What arrived so far, accepted or not.
    pub(crate) fn got(&self) -> Vec<Event> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) fn n_got(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    /// How long each attempt was allowed to take.
    pub(crate) fn limits(&self) -> Vec<Duration> {
        self.limits.lock().unwrap().clone()
    }

    /// The most attempts at a time.
    pub(crate) fn under_way_peak(&self) -> usize {
        self.under_way.lock().unwrap().1
    }
}

#[async_trait]
impl Deliver for FakeReceiver {
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Delivery {
        self.got.lock().unwrap().push(event.clone());
        self.limits.lock().unwrap().push(attempt.limit);
        {
            let mut under_way = self.under_way.lock().unwrap();
            under_way.0 += 1;
            under_way.1 = under_way.1.max(under_way.0);
        }
        let answer = self.script.lock().unwrap().pop_front();
        // Others get their turn while it thinks.
        tokio::task::yield_now().await;
        let delivery = match answer {
            None => Delivery::Accepted,
            Some(Answer::Now(delivery)) => delivery,
            Some(Answer::Never) => std::future::pending().await,
        };
        self.under_way.lock().unwrap().0 -= 1;
        delivery
    }
}

/// How the receiver on loopback answers one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// A status with `Retry-After`.
    RetryAfter(u16, &'static str),
    /// A status, with the path that was asked for in the answer.
    EchoesPath(u16),
    /// The connection closes without an answer.
    HangUp,
    /// Nothing, for ever.
    Silence,
}

/// A receiver on loopback: it gives the replies in turn, then the last one for ever.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<(String, String)>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(replies.to_vec()));
        let log = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&replies)));
            }
        });
        Self { address, requests, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook/s3cret", self.address)
    }

    /// Closes the port: from here on connections are refused.
    pub(crate) async fn stop(self) {
        self.accepting.abort();
        assert!(self.accepting.await.unwrap_err().is_cancelled());
    }

    /// The heads, in lower case, and bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<(String, String)>>>, script: Arc<Mutex<Vec<Reply>>>) {
    let Some(request) = read(&mut stream).await else { return };
    let path = request.0.split_whitespace().nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(request);
    let reply = {
        let mut script = script.lock().unwrap();
        if script.len() > 1 { script.remove(0) } else { script[0] }
    };
    let (status, extra, answer) = match reply {
        Reply::Status(status) => (status, String::new(), "answer".to_owned()),
        Reply::RetryAfter(status, after) => (status, format!("retry-after: {after}\r\n"), "answer".to_owned()),
        Reply::EchoesPath(status) => (status, String::new(), format!("no such hook: {path}")),
        Reply::HangUp => return,
        Reply::Silence => std::future::pending().await,
    };
    let length = answer.len();
    let text = format!("HTTP/1.1 {status} x\r\n{extra}content-length: {length}\r\nconnection: close\r\n\r\n{answer}");
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Some((head, body.to_owned()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n_bytes) => bytes.extend_from_slice(&buffer[..n_bytes]),
        }
    }
}

/// Writes each event down as `LEVEL field=value …`.
pub(crate) struct Lines(pub(crate) Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}
