//! Lists and watches as raw JSON, for whoever keeps an eye on the cluster's objects. Only ever `GET`.

use std::time::Duration;

use futures::stream::StreamExt;
use kube::api::{ListParams, WatchParams};
use kube::core::WatchEvent;
use serde_json::Value;

use super::Cluster;
use super::api::{CallError, RawChanges};
use super::error_chain::chain;

/// A watch without a word for longer than this has died unnoticed: the client asks the server to end it after 290 s, and to send a
/// bookmark about every minute.
const SILENCE_MAX: Duration = Duration::from_secs(330);

/// Objects a page: of pods with long lists of environment variables, ten megabytes at most while they are read.
const PAGE_OBJECTS: u32 = 250;

/// Why nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterReadError {
    /// The API server knows us and says no.
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// This API server has no such resource.
    #[error("not there: {0}")]
    NotThere(String),
    /// What was to be watched from there is too long ago: list again.
    #[error("too long ago: {0}")]
    Expired(String),
    /// Anything else: it may pass.
    #[error("{0}")]
    Failed(String),
}

impl From<CallError> for ClusterReadError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Answered { code: 401 | 403, message, .. } => Self::NotAllowed(message),
            CallError::Answered { code: 404, message, .. } => Self::NotThere(message),
            CallError::Answered { code: 410, message, .. } => Self::Expired(message),
            CallError::Answered { .. } | CallError::NoAnswer { .. } => Self::Failed(error.to_string()),
        }
    }
}

/// One change of a watched object.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectChange {
    /// It is there, and like this now.
    Changed(Value),
    /// It is gone; this is how it was.
    Gone(Value),
    /// Nothing changed up to this version.
    UpTo(String),
}

/// Changes as they come.
pub struct ObjectChanges(RawChanges);

impl Cluster {
    /// One page of the list at a path such as `/api/v1/pods`: the first one, or that which a page before names (`continue`). `fields`
    /// selects by field.
    pub async fn list_page(
        &self,
        path: &str,
        fields: Option<&str>,
        page: Option<&str>,
    ) -> Result<Value, ClusterReadError> {
        let params = ListParams::default().limit(PAGE_OBJECTS);
        let params = fields.iter().fold(params, |params, fields| params.fields(fields));
        let params = page.iter().fold(params, |params, token| params.continue_token(token));
        Ok(self.api.page(path, &params).await?)
    }

    /// Changes of what is at a path, from a version on.
    pub async fn watch(
        &self,
        path: &str,
        fields: Option<&str>,
        version: &str,
    ) -> Result<ObjectChanges, ClusterReadError> {
        let params = fields.iter().fold(WatchParams::default(), |params, fields| params.fields(fields));
        Ok(ObjectChanges(self.api.changes(path, &params, version).await?))
    }
}

impl ObjectChanges {
    /// The next change; `None` when the server has ended the watch, as it does every few minutes.
    pub async fn next(&mut self) -> Option<Result<ObjectChange, ClusterReadError>> {
        let Ok(event) = tokio::time::timeout(SILENCE_MAX, self.0.next()).await else {
            return Some(Err(ClusterReadError::Failed("the watch fell silent".to_owned())));
        };
        Some(match event? {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => Ok(ObjectChange::Changed(object)),
            Ok(WatchEvent::Deleted(object)) => Ok(ObjectChange::Gone(object)),
            Ok(WatchEvent::Bookmark(bookmark)) => Ok(ObjectChange::UpTo(bookmark.metadata.resource_version)),
            Ok(WatchEvent::Error(status)) => {
                let (code, reason, message) = (status.code, status.reason, status.message);
                Err(CallError::Answered { code, reason, message }.into())
            }
            Err(error) => Err(ClusterReadError::Failed(chain(&error))),
        })
    }
}
