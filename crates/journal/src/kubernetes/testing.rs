//! An API server in memory: versions, names, pages and labels as the real one has them, and faults where a test wants them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::KubernetesStore;
use crate::objects::{ObjectRequest, Objects, RequestError, Verb};

/// A store over an API server of its own, which archives into this folder.
pub(crate) fn store(folder: &std::path::Path) -> KubernetesStore {
    let may_write = Arc::new(|| Ok(()));
    KubernetesStore::new(Arc::new(FakeApi::default()), "ops", folder.join("journal.db"), may_write)
}

/// How one changing request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Too many requests: nothing was done.
    Refused,
    /// Neither done nor answered.
    Lost,
    /// Done, and the answer is lost.
    AnswerLost,
    /// Done, and answered as if it hadn't been.
    ServerError,
}

/// The server. Its clones are the same one.
#[derive(Clone, Default)]
pub(super) struct FakeApi(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    objects: BTreeMap<(&'static str, String), Value>,
    version: u64,
    n_changes: usize,
    fault: Option<(usize, Fault)>,
    /// The next changing request waits until it is sent again: it was given up, and comes late.
    late: Option<ObjectRequest>,
    holds_back_next: bool,
}

impl FakeApi {
    /// From now on the `n`-th changing request (from 1) fails so.
    pub(super) fn fail_at(&self, n: usize, fault: Fault) {
        let mut inner = self.0.lock().unwrap();
        (inner.n_changes, inner.fault) = (0, Some((n, fault)));
    }

    /// The next changing request isn't answered, and is done when [`FakeApi::arrive`] is called.
    pub(super) fn hold_back_next(&self) {
        self.0.lock().unwrap().holds_back_next = true;
    }

    /// What was held back arrives now.
    pub(super) fn arrive(&self) -> Result<Value, RequestError> {
        let mut inner = self.0.lock().unwrap();
        let late = inner.late.take().expect("something was held back");
        inner.answer(late)
    }

    /// How many changing requests came.
    pub(super) fn n_changes(&self) -> usize {
        self.0.lock().unwrap().n_changes
    }

    /// The names of the objects of this kind.
    pub(super) fn names(&self, resource: &'static str) -> Vec<String> {
        let inner = self.0.lock().unwrap();
        inner.objects.keys().filter(|(of, _)| *of == resource).map(|(_, name)| name.clone()).collect()
    }

    /// Changes an object behind everybody's back.
    pub(super) fn change(&self, resource: &'static str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.0.lock().unwrap();
        inner.version += 1;
        let version = inner.version.to_string();
        let object = inner.objects.get_mut(&(resource, name.to_owned())).expect("it is there");
        change(object);
        object["metadata"]["resourceVersion"] = json!(version);
    }

    pub(super) fn object(&self, resource: &'static str, name: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(&(resource, name.to_owned())).cloned()
    }

    pub(super) fn delete(&self, resource: &'static str, name: &str) {
        self.0.lock().unwrap().objects.remove(&(resource, name.to_owned()));
    }
}

fn refused(code: u16, reason: &str) -> RequestError {
    RequestError::Answered { code, reason: reason.to_owned(), message: format!("a test says {reason}") }
}

impl Inner {
    fn answer(&mut self, request: ObjectRequest) -> Result<Value, RequestError> {
        let of = request.of.resource;
        let place = |name: &str| (of, name.to_owned());
        match request.verb {
            Verb::Get { name } => self.objects.get(&place(&name)).cloned().ok_or(refused(404, "NotFound")),
            Verb::List { labels, limit, token } => Ok(self.page(of, &labels, limit as usize, token.as_deref())),
            Verb::Create { object } => {
                let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
                if self.objects.contains_key(&place(&name)) {
                    return Err(refused(409, "AlreadyExists"));
                }
                Ok(self.put(of, name, object))
            }
            Verb::Replace { name, object } => {
                let Some(there) = self.objects.get(&place(&name)) else { return Err(refused(404, "NotFound")) };
                if there["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                    return Err(refused(409, "Conflict"));
                }
                Ok(self.put(of, name, object))
            }
            Verb::Apply { name, object } => Ok(self.put(of, name, object)),
            Verb::Delete { name } => self.objects.remove(&place(&name)).ok_or(refused(404, "NotFound")),
        }
    }

    fn put(&mut self, of: &'static str, name: String, mut object: Value) -> Value {
        self.version += 1;
        let before = self.objects.get(&(of, name.clone()));
        let uid = before.map_or_else(|| json!(format!("uid-{}", self.version)), |it| it["metadata"]["uid"].clone());
        object["metadata"]["uid"] = uid;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert((of, name), object.clone());
        object
    }

    fn page(&self, of: &'static str, labels: &str, limit: usize, token: Option<&str>) -> Value {
        let matches = |object: &Value| {
            labels.split(',').filter(|label| !label.is_empty()).all(|label| {
                let (key, value) = label.split_once('=').expect("an equality");
                object["metadata"]["labels"][key] == value
            })
        };
        let all = self.objects.iter().filter(|((kind, _), object)| *kind == of && matches(object));
        let after = token.unwrap_or_default();
        let rest: Vec<_> = all.filter(|((_, name), _)| name.as_str() > after).collect();
        let items: Vec<&Value> = rest.iter().take(limit).map(|(_, object)| *object).collect();
        let next = if rest.len() > limit { rest[limit - 1].0.1.as_str() } else { "" };
        json!({"items": items, "metadata": {"continue": next}})
    }
}

#[async_trait]
impl Objects for FakeApi {
    async fn send(&self, request: ObjectRequest) -> Result<Value, RequestError> {
        let mut inner = self.0.lock().unwrap();
        let no_answer = || RequestError::NoAnswer { why: "no answer within 5s".to_owned() };
        if matches!(request.verb, Verb::Get { .. } | Verb::List { .. }) {
            return inner.answer(request);
        }
        inner.n_changes += 1;
        if std::mem::take(&mut inner.holds_back_next) {
            inner.late = Some(request);
            return Err(no_answer());
        }
        let n = inner.n_changes;
        match inner.fault.filter(|(at, _)| *at == n).map(|(_, fault)| fault) {
            None => inner.answer(request),
            Some(Fault::Refused) => Err(refused(429, "TooManyRequests")),
            Some(Fault::Lost) => Err(no_answer()),
            Some(Fault::AnswerLost) => inner.answer(request).and(Err(no_answer())),
            Some(Fault::ServerError) => inner.answer(request).and(Err(refused(500, "InternalError"))),
        }
    }
}
