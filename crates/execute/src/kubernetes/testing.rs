//! For this executor's tests: recorded objects, a plan, and an API server that answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use homeostat_core::{CorrelationId, IncidentId, IncidentType, Subject, Timestamp, WorkloadKind};
use homeostat_journal::{Intent, Journal, Journaled};
use homeostat_remediate::{
    ActionName, Args, Inverse, Levels, Plan, PlanId, Recovery, Repeat, Step, Target, VerifySpec,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::workload::Workload;
use super::{Cluster, ConnectSpec};
use crate::patch::{ACTION_ID, RESTARTED_AT};
use crate::places::Places;
use crate::registry::Registry;

pub(super) const RESTART: ActionName = ActionName::new("rollout-restart");

/// Long enough for a loopback answer on a busy machine, short enough to wait for once.
pub(super) const TIMEOUT: Duration = Duration::from_millis(1500);

/// The UID in `fixtures/deployment.json`.
pub(super) const UID: &str = "0226565c-012c-4f73-b048-451bad837fb7";

/// A Deployment recorded from API server 1.36, then renamed and given six of six replicas, with `changes` merged in
/// (RFC 7396).
pub(super) fn deployment_json(changes: Value) -> Value {
    let mut object: Value = serde_json::from_str(include_str!("fixtures/deployment.json")).unwrap();
    merge(&mut object, changes);
    object
}

pub(super) fn deployment(changes: Value) -> Workload {
    Workload::read(WorkloadKind::Deployment, deployment_json(changes)).unwrap()
}

/// A StatefulSet or a DaemonSet with the recorded pod template, with `changes` merged in.
pub(super) fn other_workload(kind: WorkloadKind, changes: Value) -> Workload {
    let recorded = deployment_json(json!({}));
    let mut object = json!({ "metadata": recorded["metadata"],
        "spec": { "selector": recorded["spec"]["selector"], "template": recorded["spec"]["template"] }, "status": {} });
    merge(&mut object, changes);
    Workload::read(kind, object).unwrap()
}

pub(super) fn items<K: DeserializeOwned>(list: &str) -> Vec<K> {
    let list: Value = serde_json::from_str(list).unwrap();
    serde_json::from_value(list["items"].clone()).unwrap()
}

/// What the API server does with a merge patch.
pub(super) fn merge(object: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else {
        *object = changes;
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (key, change) in changes {
        if change.is_null() {
            object.as_object_mut().unwrap().remove(&key);
        } else {
            merge(&mut object[key], change);
        }
    }
}

/// What the plan's write leaves on the object.
pub(super) fn written(plan: &Plan) -> Value {
    let restarted_at = plan.step.args.text("restarted_at").unwrap();
    json!({
        "metadata": { "annotations": { ACTION_ID: plan.id.as_str() }, "generation": 4, "resourceVersion": "2800" },
        "spec": { "template": { "metadata": { "annotations": { RESTARTED_AT: restarted_at } } } },
    })
}

/// A restart of the recorded Deployment, decided at noon.
pub(super) fn plan() -> Plan {
    let subject = Subject::deployment("shop", "payment-api");
    let noon = "2026-01-31T12:00:00Z".parse::<Timestamp>().unwrap();
    let incident = IncidentId::of(&subject, noon);
    Plan {
        id: PlanId::of(&incident, 1),
        correlation: CorrelationId::of(&subject, noon),
        incident,
        incident_type: IncidentType::OomKilled,
        policy: "restart-on-oom".into(),
        attempt: 1,
        target: Target { subject, uid: UID.into(), resource_version: "2741".into(), generation: Some(3) },
        step: Step { action: RESTART, args: Args::default().with("restarted_at", noon.to_string()) },
        inverse: Inverse::Nothing,
        repeat: Repeat::Idempotent,
        undo_if_failed: false,
        verify: VerifySpec {
            features: vec!["oom_kills".into()],
            window: Duration::from_secs(300),
            settle: Duration::from_secs(60),
            fresh_points_min: 3,
            traffic_floor: 0.5,
            replicas_before: 6,
            rollout_failed_before: false,
            recovery: Recovery::RollOut,
        },
        decided_at: noon,
        apply_before: noon + Duration::from_secs(60),
        deadline: noon + Duration::from_secs(900),
    }
}

pub(super) fn journaled() -> Journaled {
    journal(plan())
}

/// The plan through a real journal: nothing else makes a `Journaled`.
pub(super) fn journal(plan: Plan) -> Journaled {
    let (decided_at, journal) = (plan.decided_at, Journal::in_memory().unwrap());
    let intent = Intent {
        plan,
        executor: "test".into(),
        write: String::new(),
        traffic_before: None,
        levels_before: Levels::new(),
    };
    journal.record(&intent, decided_at).unwrap()
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// With the query.
    pub(super) path: String,
    /// As sent, in lower case.
    pub(super) head: String,
    pub(super) body: String,
}

/// How the fake answers a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// This status with this object.
    Json(u16, Value),
    /// This status with this text.
    Text(u16, &'static str),
    /// A 200 that announces more bytes than come.
    Half,
    /// The connection closes without an answer.
    HangUp,
    /// Nothing, for ever.
    Silence,
}

impl Reply {
    /// A Kubernetes error.
    pub(super) fn status(code: u16, reason: &str, message: &str) -> Self {
        Self::Json(
            code,
            json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": message }),
        )
    }
}

/// Every action, on this cluster.
pub(super) fn registry(cluster: Cluster) -> Registry {
    Registry::new(Places::default().with_cluster(cluster))
}

/// An API server on loopback that answers `/version` properly and everything else as the test says.
pub(super) struct FakeApi {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl FakeApi {
    pub(super) async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let log = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&log)));
            }
        });
        Self { address, requests, accepting }
    }

    /// Closes the port: from here on connections are refused.
    pub(super) async fn stop(self) {
        self.accepting.abort();
        assert!(self.accepting.await.unwrap_err().is_cancelled());
    }

    /// An executor connected to it.
    pub(super) async fn executor(&self) -> Registry {
        registry(self.cluster("token").await)
    }

    /// A kubeconfig file with this token.
    pub(super) fn kubeconfig(&self, token: &str) -> tempfile::NamedTempFile {
        let kubeconfig = tempfile::NamedTempFile::new().unwrap();
        self.write_kubeconfig(&kubeconfig, token);
        kubeconfig
    }

    /// Puts another token into the file.
    pub(super) fn write_kubeconfig(&self, kubeconfig: &tempfile::NamedTempFile, token: &str) {
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{ "name": "fake", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "fake", "user": { "token": token } }],
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "fake" } }],
        });
        std::fs::write(kubeconfig.path(), text.to_string()).unwrap();
    }

    /// The cluster of a kubeconfig file with this token.
    pub(super) async fn cluster(&self, token: &str) -> Cluster {
        let kubeconfig = self.kubeconfig(token);
        let spec = ConnectSpec { kubeconfig: Some(kubeconfig.path().into()), context: None, timeout: TIMEOUT };
        Cluster::load(&spec).await.unwrap()
    }

    /// The requests so far, without those for the version.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().iter().filter(|request| request.path != "/version").cloned().collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<impl Fn(&Request) -> Reply + Send + Sync + 'static>,
    log: Arc<Mutex<Vec<Request>>>,
) {
    let Some(request) = read(&mut stream).await else { return };
    log.lock().unwrap().push(request.clone());
    let reply = if request.path == "/version" && !request.head.contains("wrong-token") {
        let version = json!({ "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": "" });
        Reply::Json(200, version)
    } else {
        answer(&request)
    };
    let (status, content_type, body) = match reply {
        Reply::Json(status, object) => (status, "application/json", object.to_string()),
        Reply::Text(status, text) => (status, "text/plain", text.to_owned()),
        Reply::Half => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"kind\":\"Deploy").await;
            return;
        }
        Reply::HangUp => return,
        Reply::Silence => std::future::pending().await,
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let mut line = text.split_whitespace();
                let (method, path) = (line.next()?.to_owned(), line.next()?.to_owned());
                return Some(Request { method, path, head, body: body.to_owned() });
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n_bytes) => bytes.extend_from_slice(&buffer[..n_bytes]),
        }
    }
}
