//! The few calls this executor makes, each with a time limit, and what can come of them.

use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use homeostat_remediate::ObjectKind;
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::core::{Request, WatchEvent};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::connect::{self, ConnectSpec, NoConfig};
use super::error_chain::chain;

/// Who we are in an object's `managedFields`.
pub(super) const FIELD_MANAGER: &str = "homeostat";

/// The header under whose value the API server records a request in its audit log.
const AUDIT_ID: &str = "audit-id";

/// Objects a page, and pages a list. Ten thousand ReplicaSets or autoscalers behind one selector are no normal namespace;
/// the limit keeps a strange one from filling our memory.
const PAGE_OBJECTS: u32 = 500;
const PAGES_MAX: usize = 20;

/// Waits between attempts to read: an API server that restarts, or sheds load, is back within a second more often than
/// not. A read that still fails then is asked again in the next cycle.
const READ_AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Where an object is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) kind: ObjectKind,
    /// The namespace, of what is in one.
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

impl Place<'_> {
    /// The path of all objects of its kind there.
    pub(super) fn collection(&self) -> String {
        let (group, version, plural) = self.kind.resource();
        let api = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        if self.kind.is_namespaced() {
            format!("{api}/namespaces/{}/{plural}", self.namespace)
        } else {
            format!("{api}/{plural}")
        }
    }
}

/// A client that never waits for ever.
#[derive(Clone)]
pub(super) struct ApiServer {
    /// Replaced when its credentials aren't accepted any more.
    client: Arc<RwLock<Client>>,
    spec: ConnectSpec,
    timeout: Duration,
    namespace: Arc<str>,
}

/// Changes of objects, in the JSON of the API.
pub(super) type RawChanges = BoxStream<'static, Result<WatchEvent<Value>, kube::Error>>;

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

/// What the TLS library says of a certificate that no authority we know has signed.
const UNTRUSTED: &str = "invalid peer certificate";

impl CallError {
    /// Whether the configuration may have changed since it was loaded: a token that has expired, an authority that was replaced.
    fn may_be_outdated(&self) -> bool {
        match self {
            Self::Answered { code, .. } => *code == 401,
            Self::NoAnswer { why } => why.contains(UNTRUSTED),
        }
    }

    /// Whether the same read may well be answered a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Answered { code, .. } => matches!(code, 429 | 500..=599),
            Self::NoAnswer { .. } => true,
        }
    }
}

impl ApiServer {
    /// Loads the configuration and builds a client. Nothing is asked yet.
    pub(super) async fn load(spec: &ConnectSpec) -> Result<Self, NoConfig> {
        let connect::Connection { client, url, namespace } = connect::client(spec).await?;
        tracing::info!(url, "the Kubernetes API server to act on");
        let client = Arc::new(RwLock::new(client));
        Ok(Self { client, spec: spec.clone(), timeout: spec.timeout, namespace: namespace.into() })
    }

    /// The pod's namespace, or that of the kubeconfig's context.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the configuration, its tokens and authorities again: they are rotated while we run.
    async fn reload(&self) {
        match connect::client(&self.spec).await {
            Ok(connect::Connection { client, .. }) => {
                tracing::info!(
                    "the API server rejected the credentials, or its certificate isn't trusted; reloaded them"
                );
                *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
            }
            Err(error) => {
                tracing::warn!(%error, "the API server rejected the credentials, or its certificate isn't trusted, and they can't be reloaded")
            }
        }
    }

    /// What a program of the Kubernetes family needs in its environment to find the same cluster with the same credentials.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        connect::environment(&self.spec)
    }

    /// The server's version, as it calls it.
    pub(super) async fn version(&self) -> Result<String, CallError> {
        let version = |client: Client| async move { client.apiserver_version().await };
        self.read(version).await.map(|info| info.git_version)
    }

    /// One object.
    pub(super) async fn object(&self, place: &Place<'_>) -> Result<Value, CallError> {
        let get = |client: Client| async move {
            let request = Request::new(place.collection()).get(place.name, &GetParams::default());
            client.request(request.map_err(kube::Error::BuildRequest)?).await
        };
        let object: Value = self.read(get).await?;
        // Any JSON object reads as one in which everything is missing; an object without a UID is none.
        if object["metadata"]["uid"].as_str().is_none_or(str::is_empty) {
            let kind = place.kind.name();
            return Err(CallError::NoAnswer { why: format!("the answer isn't a {kind}: it has no UID") });
        }
        Ok(object)
    }

    /// Sends exactly this merge patch, once; as a dry run everything happens but the writing.
    pub(super) async fn patch(&self, place: &Place<'_>, patch: &str, dry_run: bool) -> Result<Value, CallError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run, ..PatchParams::default() };
        let request = Request::new(place.collection()).patch(place.name, &params, &Patch::Merge(()));
        self.send(request, patch, None).await
    }

    /// Creates, or acts on, what the path names with exactly this body, once, under this id in the API server's audit log. `dry_run` is for
    /// that log; an eviction says it in its body, too.
    pub(super) async fn create(
        &self,
        path: &str,
        body: &str,
        audit_id: &str,
        dry_run: bool,
    ) -> Result<Value, CallError> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run };
        self.send(Request::new(path).create(&params, Vec::new()), body, Some(audit_id)).await
    }

    /// Deletes one object with exactly these options, once, under this id in the API server's audit log. `dry_run` is for that log; the
    /// options say it, too, and only they count.
    pub(super) async fn delete(
        &self,
        place: &Place<'_>,
        options: &str,
        audit_id: &str,
        dry_run: bool,
    ) -> Result<Value, CallError> {
        let mut request = Request::new(place.collection()).delete(place.name, &DeleteParams::default());
        if let (Ok(request), true) = (&mut request, dry_run)
            && let Ok(uri) = format!("{}&dryRun=All", request.uri()).parse()
        {
            *request.uri_mut() = uri;
        }
        self.send(request, options, Some(audit_id)).await
    }

    /// Sends one request that writes.
    async fn send<E: Error>(
        &self,
        request: Result<http::Request<Vec<u8>>, E>,
        body: &str,
        audit_id: Option<&str>,
    ) -> Result<Value, CallError> {
        let unsendable =
            |error: &dyn Error| CallError::NoAnswer { why: format!("the request can't be built: {}", chain(error)) };
        let mut request = request.map_err(|error| unsendable(&error))?;
        // The journaled text itself, byte by byte, not what a serialiser would make of it.
        *request.body_mut() = body.as_bytes().to_vec();
        if let Some(audit_id) = audit_id {
            // What a request deletes carries no marker; the API server's audit log does, under the id that we name.
            request.headers_mut().insert(AUDIT_ID, audit_id.parse().map_err(|error| unsendable(&error))?);
        }
        self.write_value(request).await
    }

    /// Sends one write, once.
    pub(super) async fn write_value(&self, mut request: http::Request<Vec<u8>>) -> Result<Value, CallError> {
        // The server gives up before we do, so that a slow write can't land after somebody looked for its marker in vain.
        let server_ms = self.timeout.as_millis() * 3 / 4;
        let mark = if request.uri().query().is_some() { '&' } else { '?' };
        let uri = format!("{}{mark}timeout={server_ms}ms", request.uri());
        *request.uri_mut() = uri.parse().map_err(|error: http::uri::InvalidUri| CallError::NoAnswer {
            why: format!("the request can't be built: {error}"),
        })?;
        let client = self.client();
        let written = self.within_time(client.request(request)).await;
        if written.as_ref().is_err_and(CallError::may_be_outdated) {
            self.reload().await;
        }
        written
    }

    /// Reads anything as JSON.
    pub(super) async fn read_value(&self, request: &http::Request<Vec<u8>>) -> Result<Value, CallError> {
        let read = |client: Client| {
            let request = request.clone();
            async move { client.request(request).await }
        };
        self.read(read).await
    }

    /// All objects of a kind in a namespace, page by page.
    pub(super) async fn list<K>(&self, of: impl Fn(Client) -> Api<K>, params: ListParams) -> Result<Vec<K>, CallError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let mut params = params.limit(PAGE_OBJECTS);
        let mut objects = Vec::new();
        for _ in 0..PAGES_MAX {
            let (page_params, of) = (&params, &of);
            let list = |client: Client| async move { of(client).list(page_params).await };
            let page = self.read(list).await?;
            objects.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(objects),
            }
        }
        Err(CallError::NoAnswer { why: format!("more than {} objects", PAGE_OBJECTS as usize * PAGES_MAX) })
    }

    /// One page of the list at this path, as it is.
    pub(super) async fn page(&self, path: &str, params: &ListParams) -> Result<Value, CallError> {
        let list = |client: Client| async move {
            client.request(Request::new(path).list(params).map_err(kube::Error::BuildRequest)?).await
        };
        self.read(list).await
    }

    /// Changes of what is at this path, as they come. Only the answer's beginning has a time limit.
    pub(super) async fn changes(
        &self,
        path: &str,
        params: &WatchParams,
        version: &str,
    ) -> Result<RawChanges, CallError> {
        let watch = |client: Client| async move {
            let request = Request::new(path).watch(params, version).map_err(kube::Error::BuildRequest)?;
            client.request_events(request).await.map(StreamExt::boxed)
        };
        self.read(watch).await
    }

    /// Reads, again after a short wait where that may help, all within one time limit.
    async fn read<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, CallError>
    where
        F: Future<Output = kube::Result<T>>,
    {
        let mut waits = READ_AGAIN_AFTER.into_iter();
        let mut is_reloaded = false;
        let deadline = tokio::time::Instant::now() + self.timeout;
        loop {
            let error = match self.until(deadline, call(self.client())).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.may_be_outdated() && !is_reloaded {
                is_reloaded = true;
                self.reload().await;
                continue;
            }
            match waits.next() {
                Some(wait) if error.may_pass() && tokio::time::Instant::now() + wait < deadline => {
                    tokio::time::sleep(wait).await;
                }
                Some(_) | None => return Err(error),
            }
        }
    }

    async fn within_time<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
        self.until(tokio::time::Instant::now() + self.timeout, call).await
    }

    async fn until<T>(
        &self,
        deadline: tokio::time::Instant,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CallError> {
        let Ok(answered) = tokio::time::timeout_at(deadline, call).await else {
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
