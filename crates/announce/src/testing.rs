//! For this crate's tests: an incident, and a receiver that answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use homeostat_core::{
    Calibrated, Confidence, CorrelationId, Incident, IncidentChange, IncidentId, IncidentState, IncidentType, Score,
    Subject, Timestamp,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::escalation::Escalation;

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
        confidence: Calibrated { confidence: confidence(0.95), lower: confidence(0.93), n_outcomes: 120 },
        evidence: vec![],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}

pub(crate) fn change(name: &str) -> IncidentChange {
    let incident = incident("payment-api");
    match name {
        "opened" => IncidentChange::Opened(incident),
        "updated" => IncidentChange::Updated(incident),
        "refired" => IncidentChange::Refired(incident),
        "stale" => IncidentChange::Stale(incident),
        "resolved" => IncidentChange::Resolved(incident),
        "rebaselined" => IncidentChange::Rebaselined(incident),
        other => panic!("no such change: {other}"),
    }
}

pub(crate) fn escalation(channel: &str) -> Escalation {
    Escalation {
        incident: incident("payment-api"),
        channel: channel.to_owned(),
        reason: "2 restarts didn't help".to_owned(),
        history: vec!["12:00 restarted".to_owned(), "12:06 not recovered".to_owned()],
        suggested_action: Some("rollout-undo to revision 1".to_owned()),
    }
}

/// How the receiver answers one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// A status with `Retry-After`.
    RetryAfter(u16, &'static str),
    /// The connection closes without an answer.
    HangUp,
    /// Nothing, for ever.
    Silence,
}

/// A receiver on loopback: it gives the replies in turn, then the last one for ever.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
    replies: Arc<Mutex<Vec<Reply>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(replies.to_vec()));
        let (log, script) = (Arc::clone(&requests), Arc::clone(&replies));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&script)));
            }
        });
        Self { address, requests, replies, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook/s3cret", self.address)
    }

    /// From here on it answers so.
    pub(crate) fn now_answers(&self, reply: Reply) {
        *self.replies.lock().unwrap() = vec![reply];
    }

    /// Closes the port: from here on connections are refused.
    pub(crate) async fn stop(self) {
        self.accepting.abort();
        assert!(self.accepting.await.unwrap_err().is_cancelled());
    }

    /// The heads, in lower case, and bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<(String, Value)> {
        self.requests.lock().unwrap().clone()
    }

    /// The ids of the events that arrived so far, accepted or not.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.requests().iter().map(|(_, body)| body["id"].as_str().unwrap().to_owned()).collect()
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<(String, Value)>>>, script: Arc<Mutex<Vec<Reply>>>) {
    let Some(request) = read(&mut stream).await else { return };
    log.lock().unwrap().push(request);
    let reply = {
        let mut script = script.lock().unwrap();
        if script.len() > 1 { script.remove(0) } else { script[0] }
    };
    let (status, extra) = match reply {
        Reply::Status(status) => (status, String::new()),
        Reply::RetryAfter(status, after) => (status, format!("retry-after: {after}\r\n")),
        Reply::HangUp => return,
        Reply::Silence => std::future::pending().await,
    };
    let text = format!("HTTP/1.1 {status} x\r\n{extra}content-length: 6\r\nconnection: close\r\n\r\nanswer");
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Some((head, serde_json::from_str(body).unwrap()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n_bytes) => bytes.extend_from_slice(&buffer[..n_bytes]),
        }
    }
}
