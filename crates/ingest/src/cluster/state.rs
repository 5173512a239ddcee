//! What is known of the cluster's objects, and what is remembered of their containers: the state machine's state.

use std::collections::{BTreeMap, BTreeSet};

use homeostat_core::{ClusterObjectRef, Timestamp};

use super::life_cycle::LifeCycle;
use super::object::{ClusterObject, Kind};

/// Objects that are kept. A pod takes two to four kilobytes here, so this is within half a gigabyte, in a cluster at the
/// limits of Kubernetes itself (150 000 pods); most have a hundredth of it.
const OBJECTS_MAX: usize = 200_000;

/// Events that are kept. The API server keeps them for an hour; a namespace in trouble makes some hundred.
const EVENTS_MAX: usize = 20_000;

/// What is remembered, by UID of the pod and by container.
type Lives = BTreeMap<String, BTreeMap<String, LifeCycle>>;

/// The cluster as it was seen, object by object.
///
/// Objects may come in any order, and several states of one object, too: the one with the highest `resourceVersion` counts, and what
/// is remembered of containers adds up. So the facts are the same whatever the order was.
///
/// ```
/// use homeostat_core::Timestamp;
/// use homeostat_ingest::{ClusterObject, ClusterState, Read};
/// use serde_json::json;
///
/// let mut cluster = ClusterState::default();
/// let node = json!({
///     "kind": "Node", "metadata": {"name": "node-0"},
///     "status": {"conditions": [{
///         "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": "2026-01-08T03:00:00Z",
///     }]},
/// });
/// if let Read::Object(object) = ClusterObject::read(&node) {
///     cluster.take(object);
/// }
/// let facts = cluster.facts("2026-01-08T03:05:00Z".parse()?);
/// assert_eq!(facts[0].sentence, "node `node-0` isn't ready: its kubelet doesn't report any more");
/// # Ok::<(), homeostat_core::NotATimestamp>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClusterState {
    pub(super) objects: BTreeMap<ClusterObjectRef, ClusterObject>,
    lives: Lives,
    n_events: usize,
    n_left_out: u64,
    /// Whether it has the objects of all namespaces: only then it is known what is free on a node.
    pub(super) is_whole: bool,
}

impl ClusterState {
    /// It has, or will have, the pods of all namespaces.
    #[must_use]
    pub fn of_all_namespaces(self) -> Self {
        Self { is_whole: true, ..self }
    }

    /// Takes an object, or a later state of one.
    pub fn take(&mut self, object: ClusterObject) {
        let key = object.key();
        let is_event = matches!(object.0, Kind::Event(_));
        if let Some(known) = self.objects.get_mut(&key) {
            remember(&mut self.lives, &object);
            let other = if rank(&object) > rank(known) { std::mem::replace(known, object) } else { object };
            // Another pod of the same name, as StatefulSets make them: nobody asks for its life any more.
            if other.meta().uid != known.meta().uid {
                self.lives.remove(&other.meta().uid);
            }
            return;
        }
        let is_full = self.objects.len() >= OBJECTS_MAX || (is_event && self.n_events >= EVENTS_MAX);
        if is_full {
            self.n_left_out += 1;
            return;
        }
        self.n_events += usize::from(is_event);
        remember(&mut self.lives, &object);
        self.objects.insert(key, object);
    }

    /// An object is gone.
    pub fn remove(&mut self, key: &ClusterObjectRef) {
        let Some(gone) = self.objects.remove(key) else { return };
        match &gone.0 {
            Kind::Pod(pod) => {
                self.lives.remove(&pod.meta.uid);
            }
            Kind::Event(_) => self.n_events = self.n_events.saturating_sub(1),
            Kind::Workload(_)
            | Kind::ReplicaSet(_)
            | Kind::Service(_)
            | Kind::Node(_)
            | Kind::Claim(_)
            | Kind::Autoscaler(_)
            | Kind::Budget(_) => {}
        }
    }

    /// All objects of a kind in a namespace (all, if it is empty) were listed: those that aren't in the list are gone.
    pub fn keep_only(&mut self, kind: &str, namespace: &str, listed: &BTreeSet<ClusterObjectRef>) {
        let is_gone = |key: &&ClusterObjectRef| {
            key.kind == kind && (namespace.is_empty() || key.namespace == namespace) && !listed.contains(*key)
        };
        let gone: Vec<ClusterObjectRef> = self.objects.keys().filter(is_gone).cloned().collect();
        gone.iter().for_each(|key| self.remove(key));
    }

    /// Number of objects that are kept.
    pub fn n_objects(&self) -> usize {
        self.objects.len()
    }

    /// Number of objects that there was no room for.
    pub fn n_left_out(&self) -> u64 {
        self.n_left_out
    }

    /// The latest moment that any object tells of.
    pub fn newest_moment(&self) -> Option<Timestamp> {
        self.objects.values().filter_map(ClusterObject::newest_moment).max()
    }

    pub(super) fn life(&self, pod_uid: &str, container: &str) -> Option<&LifeCycle> {
        self.lives.get(pod_uid)?.get(container)
    }
}

/// Remembers how the containers of a pod ended, as far as they did.
fn remember(lives: &mut Lives, object: &ClusterObject) {
    let Kind::Pod(pod) = &object.0 else { return };
    for container in pod.containers.iter().filter(|container| container.ends().next().is_some()) {
        let of_pod = lives.entry(pod.meta.uid.clone()).or_default();
        of_pod.entry(container.name.clone()).or_default().observe(container);
    }
}

/// Which of two states of an object is the later one: by its version, which etcd counts up. Where neither has one, any rule will do
/// that doesn't depend on which came first.
fn rank(object: &ClusterObject) -> (u64, Option<Timestamp>, String) {
    let version = object.meta().version;
    let tie = if version == 0 { format!("{object:?}") } else { String::new() };
    (version, object.newest_moment(), tie)
}
