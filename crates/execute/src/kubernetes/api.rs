//! The few calls this executor makes, each with a time limit, and what can come of them.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::Request;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

/// Who we are in an object's `managedFields`.
pub(super) const FIELD_MANAGER: &str = "homeostat";

/// Objects a page, and pages a list. Ten thousand ReplicaSets or autoscalers behind one selector are no normal namespace;
/// the limit keeps a strange one from filling our memory.
const PAGE_OBJECTS: u32 = 500;
const PAGES_MAX: usize = 20;

/// A client that never waits for ever.
#[derive(Clone)]
pub(super) struct ApiServer {
    client: Client,
    timeout: Duration,
}

/// What came of a call that didn't succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The API server, or something in front of it, answered with an error. `code` is 0 when the answer's body names none.
    #[error("{code} {reason}: {message}")]
    Answered { code: u16, reason: String, message: String },
    /// There was no answer, half an answer, or none that can be read.
    #[error("{why}")]
    NoAnswer { why: String },
}

impl ApiServer {
    pub(super) fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    /// The server's version, as it calls it.
    pub(super) async fn version(&self) -> Result<String, CallError> {
        self.within_time(self.client.apiserver_version()).await.map(|info| info.git_version)
    }

    /// One Deployment.
    pub(super) async fn deployment(&self, namespace: &str, name: &str) -> Result<Deployment, CallError> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let deployment = self.within_time(api.get(name)).await?;
        // Any JSON object reads as a Deployment in which everything is missing; an object without a UID is none.
        if deployment.metadata.uid.as_deref().is_none_or(str::is_empty) {
            return Err(CallError::NoAnswer { why: "the answer is no Deployment: it has no UID".to_owned() });
        }
        Ok(deployment)
    }

    /// Sends exactly this merge patch, once.
    pub(super) async fn patch_deployment(
        &self,
        namespace: &str,
        name: &str,
        patch: &str,
    ) -> Result<Deployment, CallError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let unsendable =
            |error: &dyn Error| CallError::NoAnswer { why: format!("the request can't be built: {}", chain(error)) };
        let request = Request::new(Deployment::url_path(&(), Some(namespace))).patch(name, &params, &Patch::Merge(()));
        let mut request = request.map_err(|error| unsendable(&error))?;
        // The server gives up before we do, so that a slow write can't land after somebody looked for its marker in vain.
        let server_ms = self.timeout.as_millis() * 3 / 4;
        let uri = format!("{}&timeout={server_ms}ms", request.uri());
        *request.uri_mut() = uri.parse().map_err(|error| unsendable(&error))?;
        // The journaled text itself, byte by byte, not what a serialiser would make of it.
        *request.body_mut() = patch.as_bytes().to_vec();
        self.within_time(self.client.request(request)).await
    }

    /// All objects of a kind in a namespace, page by page.
    pub(super) async fn list<K>(&self, namespace: &str, params: ListParams) -> Result<Vec<K>, CallError>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let mut params = params.limit(PAGE_OBJECTS);
        let mut objects = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.within_time(api.list(&params)).await?;
            objects.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(objects),
            }
        }
        Err(CallError::NoAnswer { why: format!("more than {} objects", PAGE_OBJECTS as usize * PAGES_MAX) })
    }

    async fn within_time<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
        let Ok(answered) = tokio::time::timeout(self.timeout, call).await else {
            return Err(CallError::NoAnswer { why: format!("no answer within {:?}", self.timeout) });
        };
        answered.map_err(|error| {
            if let kube::Error::Api(status) = error {
                CallError::Answered { code: status.code, reason: status.reason, message: status.message }
            } else {
                CallError::NoAnswer { why: chain(&error) }
            }
        })
    }
}

/// An error with all its causes. A cause whose text is already in the text before it isn't repeated.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
