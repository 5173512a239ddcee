//! The API server, asked from code that must wait where it stands.
//!
//! The journal waits for each write before it goes on, on whichever thread that is, and the lease is renewed whatever the rest of
//! the process does. Both need answers that don't come through the thread that waits: this one has its own.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use homeostat_journal::{ObjectRequest, Objects, RequestError};
use serde_json::Value;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::api::ApiServer;
use super::connect::{ConnectSpec, NoConfig};

/// After a request without an answer no other one is sent for so long: whoever asks several things in a row, as a cycle does, waits
/// for a hung server once, and detection goes on.
const SILENCE: Duration = Duration::from_secs(5);

/// A thread with a client. It ends when this is dropped.
pub struct ApiThread {
    api: ApiServer,
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// When a request last went without an answer.
    unanswered_at: Mutex<Option<Instant>>,
}

impl ApiThread {
    /// Starts it. The API server isn't asked.
    pub fn start(spec: &ConnectSpec) -> Result<Self, NoConfig> {
        let no_thread = |why: String| NoConfig { why: format!("no thread for the API server: {why}") };
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| no_thread(error.to_string()))?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let (loaded, load) = sync_channel(1);
        let spec = spec.clone();
        let run = move || {
            runtime.block_on(async move {
                // Whoever waits for it has gone only if the process ends.
                let _ = loaded.send(ApiServer::load(&spec).await);
                let _ = ended.await;
            });
        };
        let thread = std::thread::Builder::new().name("kubernetes-api".to_owned()).spawn(run);
        let thread = thread.map_err(|error| no_thread(error.to_string()))?;
        let api = load.recv().map_err(|error| no_thread(error.to_string()))??;
        Ok(Self { api, handle, end: Some(end), thread: Some(thread), unanswered_at: Mutex::new(None) })
    }

    /// What is answered without asking.
    fn refusal(&self) -> Option<RequestError> {
        let at = *self.unanswered_at.lock().unwrap_or_else(PoisonError::into_inner);
        let since = at?.elapsed();
        // A refusal: what wasn't sent surely wasn't written.
        (since < SILENCE).then(|| RequestError::Answered {
            code: 429,
            reason: "NotSent".to_owned(),
            message: format!("the API server didn't answer {} s ago", since.as_secs()),
        })
    }

    /// The namespace of the kubeconfig's context, or of the pod.
    pub fn namespace(&self) -> &str {
        self.api.namespace()
    }

    /// The client, for tasks on this thread.
    pub(super) fn api(&self) -> &ApiServer {
        &self.api
    }

    /// Runs a task on this thread.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }
}

impl Drop for ApiThread {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It only panics where it has said so already.
            let _ = thread.join();
        }
    }
}

/// Waits without holding up other tasks of this thread, where they could go on elsewhere.
fn wait(answer: &Receiver<Result<Value, RequestError>>) -> Result<Value, RequestError> {
    let gone = |_| RequestError::NoAnswer { why: "the process is ending".to_owned() };
    let wait = || answer.recv().map_err(gone)?;
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        Ok(_) | Err(_) => wait(),
    }
}

#[async_trait]
impl Objects for ApiThread {
    async fn send(&self, request: ObjectRequest) -> Result<Value, RequestError> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let (reply, answer) = sync_channel(1);
        let api = self.api.clone();
        self.spawn(async move {
            // Nobody waits any more: whoever asked has gone.
            let _ = reply.send(api.send(request).await);
        });
        let answer = wait(&answer);
        let unanswered = matches!(answer, Err(RequestError::NoAnswer { .. })).then(Instant::now);
        *self.unanswered_at.lock().unwrap_or_else(PoisonError::into_inner) = unanswered;
        answer
    }
}

#[cfg(test)]
mod tests {
    use homeostat_core::Timestamp;
    use homeostat_journal::{Collection, LeaseTimes, Verb};
    use serde_json::json;

    use super::super::election::{Election, ElectionSpec};
    use super::super::testing::{FakeApi, Reply, TIMEOUT};
    use super::*;
    use crate::fence::Fence;

    fn request(verb: Verb) -> ObjectRequest {
        let of = Collection { api_version: "homeostat.io/v1alpha1", resource: "journals", namespace: "ops".into() };
        ObjectRequest { of, verb }
    }

    fn thread(fake: &FakeApi) -> ApiThread {
        let kubeconfig = fake.kubeconfig("token");
        let spec = ConnectSpec { kubeconfig: Some(kubeconfig.path().into()), context: None, timeout: TIMEOUT };
        ApiThread::start(&spec).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_verb_is_one_request_with_its_preconditions() {
        let fake = FakeApi::start(|_| Reply::Json(200, json!({"kind": "Journal"}))).await;
        let thread = thread(&fake);
        assert_eq!(thread.namespace(), "default");
        let (name, object) = ("homeostat".to_owned(), json!({"metadata": {"resourceVersion": "7"}}));
        for verb in [
            Verb::Get { name: name.clone() },
            Verb::List { labels: "a=b".into(), limit: 5, token: Some("next".into()) },
            Verb::Create { object: object.clone() },
            Verb::Replace { name: name.clone(), object: object.clone() },
            Verb::Apply { name: name.clone(), object: object.clone() },
            Verb::Delete { name },
        ] {
            thread.send(request(verb)).await.unwrap();
        }
        let base = "/apis/homeostat.io/v1alpha1/namespaces/ops/journals";
        let sent: Vec<String> = fake.requests().iter().map(|one| format!("{} {}", one.method, one.path)).collect();
        let expected = [
            format!("GET {base}/homeostat"),
            format!("GET {base}?&labelSelector=a%3Db&limit=5&continue=next"),
            format!("POST {base}?&fieldManager=homeostat&timeout=1125ms"),
            format!("PUT {base}/homeostat?&fieldManager=homeostat&timeout=1125ms"),
            format!("PATCH {base}/homeostat?&force=true&fieldManager=homeostat&timeout=1125ms"),
            format!("DELETE {base}/homeostat?&timeout=1125ms"),
        ];
        assert_eq!(sent, expected);
        assert_eq!(fake.requests()[3].body, object.to_string());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hung_server_is_waited_for_once() {
        let fake = FakeApi::start(|_| Reply::Silence).await;
        let thread = thread(&fake);
        let create = || request(Verb::Create { object: json!({}) });
        assert!(matches!(thread.send(create()).await, Err(RequestError::NoAnswer { .. })));
        let error = thread.send(create()).await.unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains("didn't answer"), "{error}");
        assert_eq!(fake.requests().len(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_candidate_takes_the_lease_that_nobody_has_and_gives_it_back() {
        let lease = std::sync::Arc::new(Mutex::new(None));
        let stored = std::sync::Arc::clone(&lease);
        let fake = FakeApi::start(move |request| {
            let mut stored = stored.lock().unwrap();
            if request.method != "GET" {
                let mut object: Value = serde_json::from_str(&request.body).unwrap();
                object["metadata"]["uid"] = json!("u1");
                *stored = Some(object);
            }
            stored.clone().map_or_else(|| Reply::status(404, "NotFound", "there is none"), |it| Reply::Json(200, it))
        })
        .await;
        let thread = thread(&fake);
        let times = LeaseTimes { retry_period: Duration::from_millis(20), ..LeaseTimes::default() };
        let fence = std::sync::Arc::new(Fence::new(times, TIMEOUT));
        let now = || Timestamp::from_millis(0);
        let (namespace, lease_name, identity) = ("ops".to_owned(), "homeostat".to_owned(), "a".to_owned());
        let spec = ElectionSpec { namespace, lease_name, identity, times, now };
        let election = Election::start(&thread, spec, std::sync::Arc::clone(&fence));
        while fence.term().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(fence.term().unwrap().holder, "a");
        election.release().await;
        assert!(fence.check().is_err());
        let lease = lease.lock().unwrap().clone().unwrap();
        assert_eq!((&lease["spec"]["holderIdentity"], &lease["spec"]["leaseTransitions"]), (&json!(""), &json!(0)));
        let path = "/apis/coordination.k8s.io/v1/namespaces/ops/leases/homeostat";
        assert_eq!(fake.requests()[0].path, path);
    }
}
