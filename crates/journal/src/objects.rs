//! Objects of a Kubernetes API server as JSON: what the journal and the leader election ask, and what can come of it.
//!
//! A trait, so that both are tested without a cluster. The client is `homeostat-execute`'s.

use async_trait::async_trait;
use serde_json::Value;

/// The objects of one kind in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The API group and version, such as `coordination.k8s.io/v1`.
    pub api_version: &'static str,
    /// The plural, such as `leases`.
    pub resource: &'static str,
    /// The namespace.
    pub namespace: String,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectRequest {
    /// Of which objects.
    pub of: Collection,
    /// What to do.
    pub verb: Verb,
}

/// What to do with an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Read one. The answer is the object, as the cluster has it now.
    Get {
        /// Its name.
        name: String,
    },
    /// Read a page, by name. The answer is a list.
    List {
        /// A label selector; empty for all.
        labels: String,
        /// Objects a page.
        limit: u32,
        /// Where an earlier page ended.
        token: Option<String>,
    },
    /// Make one that isn't there yet.
    Create {
        /// The object, with its name.
        object: Value,
    },
    /// Replace one whose `resourceVersion` is still the object's.
    Replace {
        /// Its name.
        name: String,
        /// The object, with its `resourceVersion`.
        object: Value,
    },
    /// Server-side apply, which makes the object if it isn't there.
    Apply {
        /// Its name.
        name: String,
        /// The fields that are ours.
        object: Value,
    },
    /// Delete one.
    Delete {
        /// Its name.
        name: String,
    },
}

/// What came of a request that didn't succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The API server, or something in front of it, answered with an error.
    #[error("{code} {reason}: {message}")]
    Answered {
        /// The HTTP status; 0 when the answer names none.
        code: u16,
        /// The reason, such as `Conflict`.
        reason: String,
        /// The message.
        message: String,
    },
    /// There was no answer, half an answer, or none that can be read.
    #[error("{why}")]
    NoAnswer {
        /// Why.
        why: String,
    },
}

impl RequestError {
    /// The HTTP status, if there is one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Answered { code, .. } => Some(*code),
            Self::NoAnswer { .. } => None,
        }
    }

    /// Whether a write surely wasn't done: it was refused, and not by a server that may have lost track of it.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Answered { code, .. } => (400..500).contains(code),
            Self::NoAnswer { .. } => false,
        }
    }
}

/// Whoever sends requests. One attempt each, within a time limit.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Sends one request. The answer may come through another thread, as the journal waits for it where it stands.
    async fn send(&self, request: ObjectRequest) -> Result<Value, RequestError>;
}

/// Reads one object; `None` if there is none.
pub async fn get(objects: &dyn Objects, of: &Collection, name: &str) -> Result<Option<Value>, RequestError> {
    let request = ObjectRequest { of: of.clone(), verb: Verb::Get { name: name.to_owned() } };
    match objects.send(request).await {
        Ok(object) => Ok(Some(object)),
        Err(RequestError::Answered { code: 404, reason, .. }) if reason == "NotFound" => Ok(None),
        Err(error) => Err(error),
    }
}

/// One page of objects, and where the next one begins.
pub(crate) async fn list(
    objects: &dyn Objects,
    of: &Collection,
    labels: &str,
    limit: u32,
    token: Option<String>,
) -> Result<(Vec<Value>, Option<String>), RequestError> {
    let request = ObjectRequest { of: of.clone(), verb: Verb::List { labels: labels.to_owned(), limit, token } };
    let mut answer = objects.send(request).await?;
    let next = answer["metadata"]["continue"].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
    match answer["items"].take() {
        Value::Array(items) => Ok((items, next)),
        _other => Err(RequestError::NoAnswer { why: format!("the list of {} has no items", of.resource) }),
    }
}

/// Makes an object, replaces one, and so on: what is answered is the object as it is then.
pub(crate) async fn write(objects: &dyn Objects, of: &Collection, verb: Verb) -> Result<Value, RequestError> {
    objects.send(ObjectRequest { of: of.clone(), verb }).await
}
