//! The API server, asked from code that must wait where it stands.
//!
//! The journal waits for each write before it goes on, on whichever thread that is, and the lease is renewed whatever the rest of
//! the process does. Both need answers that don't come through the thread that waits: this one has its own.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use async_trait::async_trait;
use homeostat_journal::{ObjectRequest, Objects, RequestError};
use serde_json::Value;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::sync::oneshot;

use super::api::ApiServer;
use super::connect::{ConnectSpec, NoConfig};

/// A thread with a client. It ends when this is dropped.
pub struct ApiThread {
    api: ApiServer,
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
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
        Ok(Self { api, handle, end: Some(end), thread: Some(thread) })
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
        let (reply, answer) = sync_channel(1);
        let api = self.api.clone();
        self.spawn(async move {
            // Nobody waits any more: whoever asked has gone.
            let _ = reply.send(api.send(request).await);
        });
        wait(&answer)
    }
}
