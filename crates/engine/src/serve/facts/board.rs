//! What all watches together have seen, and how each of them does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use homeostat_core::{ClusterFact, ClusterObjectRef, Timestamp};
use homeostat_ingest::{ClusterObject, ClusterState, Read};
use serde_json::Value;

/// How one watch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WatchState {
    /// Nothing was listed yet.
    Starting,
    /// It sees every change.
    Following,
    /// It isn't allowed, or there is no such resource: it is done without.
    Refused,
    /// It did follow, and is cut off.
    Broken,
}

/// Shared by the tasks that watch and the one that publishes.
pub(super) struct Board {
    cluster: Mutex<ClusterState>,
    /// By number of the watch; the first one is that of pods.
    states: Mutex<Vec<WatchState>>,
}

impl Board {
    pub(super) fn new(cluster: ClusterState, n_watches: usize) -> Self {
        Self { cluster: Mutex::new(cluster), states: Mutex::new(vec![WatchState::Starting; n_watches]) }
    }

    fn with<T>(&self, of: impl FnOnce(&mut ClusterState) -> T) -> T {
        of(&mut self.cluster.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a page of a list, and adds the names of its objects.
    pub(super) fn take_page(&self, kind: &str, page: &Value, listed: &mut BTreeSet<ClusterObjectRef>) {
        let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        // Reading takes time, the lock is held for storing only.
        let objects = items.iter().filter_map(|item| match ClusterObject::read_as(kind, item) {
            Read::Object(object) => Some(object),
            Read::NotNeeded | Read::NotAnObject => None,
        });
        let objects: Vec<ClusterObject> = objects.collect();
        listed.extend(objects.iter().map(ClusterObject::key));
        self.with(|cluster| objects.into_iter().for_each(|object| cluster.take(object)));
    }

    /// A list is complete.
    pub(super) fn keep_only(&self, kind: &str, namespace: &str, listed: &BTreeSet<ClusterObjectRef>) {
        self.with(|cluster| cluster.keep_only(kind, namespace, listed));
    }

    pub(super) fn changed(&self, kind: &str, object: &Value) {
        match ClusterObject::read_as(kind, object) {
            Read::Object(object) => self.with(|cluster| cluster.take(object)),
            Read::NotNeeded | Read::NotAnObject => {}
        }
    }

    pub(super) fn gone(&self, kind: &str, object: &Value) {
        let text = |name: &str| object.pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        self.with(|cluster| cluster.remove(&ClusterObjectRef { kind: kind.to_owned(), namespace, name }));
    }

    /// How a watch does now; how it did before.
    pub(super) fn is(&self, watch_idx: usize, state: WatchState) -> Option<WatchState> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.get_mut(watch_idx).map(|known| std::mem::replace(known, state))
    }

    pub(super) fn states(&self) -> Vec<WatchState> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether what holds can be told: everything that may be listed was, and pods are followed.
    pub(super) fn can_tell(&self, n_of_pods: usize) -> bool {
        let states = self.states();
        let listed = states.iter().all(|state| *state != WatchState::Starting);
        // A watch of another kind that is cut off for a moment keeps what it had.
        listed && states.iter().take(n_of_pods).all(|state| *state == WatchState::Following)
    }

    /// What holds, how many objects are kept, and how many there was no room for.
    pub(super) fn tell(self: &Arc<Self>, now: Timestamp) -> (Vec<ClusterFact>, usize, u64) {
        self.with(|cluster| (cluster.facts(now), cluster.n_objects(), cluster.n_left_out()))
    }
}
