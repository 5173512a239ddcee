//! One object of the cluster, stripped to what facts need: no `managedFields`, no environment, no values of anything.

use homeostat_core::{ClusterObjectRef, Timestamp, WorkloadKind};
use serde_json::Value;

use super::claim::Claim;
use super::event::Event;
use super::json::Json;
use super::meta::Meta;
use super::network::Service;
use super::node::Node;
use super::pod::Pod;
use super::scaling::{Autoscaler, Budget};
use super::workload::{ReplicaSet, Workload};

/// An object that facts are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterObject(pub(super) Kind);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Pod(Box<Pod>),
    Workload(Box<Workload>),
    ReplicaSet(ReplicaSet),
    Event(Event),
    Service(Service),
    Node(Node),
    Claim(Claim),
    Autoscaler(Autoscaler),
    Budget(Budget),
}

/// What came of a JSON value.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart as soon as it was read, and never kept")]
pub enum Read {
    /// An object that facts are made of.
    Object(ClusterObject),
    /// An object of another kind, or an event that says nothing new.
    NotNeeded,
    /// No object at all: it has no kind, or no name.
    NotAnObject,
}

impl ClusterObject {
    /// Reads an object in the JSON of the API, whatever parts of it are missing.
    ///
    /// ```
    /// use homeostat_ingest::{ClusterObject, Read};
    /// use serde_json::json;
    ///
    /// let node = json!({"kind": "Node", "metadata": {"name": "node-0"}});
    /// assert!(matches!(ClusterObject::read(&node), Read::Object(_)));
    /// assert_eq!(ClusterObject::read(&json!({"kind": "Secret", "metadata": {"name": "key"}})), Read::NotNeeded);
    /// assert_eq!(ClusterObject::read(&json!([1, 2])), Read::NotAnObject);
    /// ```
    pub fn read(value: &Value) -> Read {
        Self::read_as(&Json::new(value).text("kind"), value)
    }

    /// The same of an item of a list, which doesn't say its kind.
    pub fn read_as(kind: &str, value: &Value) -> Read {
        let object = Json::new(value);
        if kind.is_empty() || object.at("metadata").text("name").is_empty() {
            return Read::NotAnObject;
        }
        let workload = |kind: WorkloadKind| Kind::Workload(Box::new(Workload::read(kind, object)));
        let kind = match kind {
            "Pod" => Kind::Pod(Box::new(Pod::read(object))),
            "Deployment" => workload(WorkloadKind::Deployment),
            "StatefulSet" => workload(WorkloadKind::StatefulSet),
            "DaemonSet" => workload(WorkloadKind::DaemonSet),
            "ReplicaSet" => Kind::ReplicaSet(ReplicaSet::read(object)),
            "Event" => match Event::read(object) {
                Some(event) => Kind::Event(event),
                None => return Read::NotNeeded,
            },
            "Service" => Kind::Service(Service::read(object)),
            "Node" => Kind::Node(Node::read(object)),
            "PersistentVolumeClaim" => Kind::Claim(Claim::read(object)),
            "HorizontalPodAutoscaler" => Kind::Autoscaler(Autoscaler::read(object)),
            "PodDisruptionBudget" => Kind::Budget(Budget::read(object)),
            _other => return Read::NotNeeded,
        };
        Read::Object(Self(kind))
    }

    /// Its name in the cluster.
    pub fn key(&self) -> ClusterObjectRef {
        self.meta().object(self.kind_name())
    }

    pub(super) fn meta(&self) -> &Meta {
        match &self.0 {
            Kind::Pod(pod) => &pod.meta,
            Kind::Workload(workload) => &workload.meta,
            Kind::ReplicaSet(set) => &set.meta,
            Kind::Event(event) => &event.meta,
            Kind::Service(service) => &service.meta,
            Kind::Node(node) => &node.meta,
            Kind::Claim(claim) => &claim.meta,
            Kind::Autoscaler(autoscaler) => &autoscaler.meta,
            Kind::Budget(budget) => &budget.meta,
        }
    }

    pub(super) fn kind_name(&self) -> &'static str {
        match &self.0 {
            Kind::Pod(_) => "Pod",
            Kind::Workload(workload) => workload.kind_name(),
            Kind::ReplicaSet(_) => "ReplicaSet",
            Kind::Event(_) => "Event",
            Kind::Service(_) => "Service",
            Kind::Node(_) => "Node",
            Kind::Claim(_) => "PersistentVolumeClaim",
            Kind::Autoscaler(_) => "HorizontalPodAutoscaler",
            Kind::Budget(_) => "PodDisruptionBudget",
        }
    }

    /// The latest moment that it tells of: what was read from files is as of the latest of these.
    pub fn newest_moment(&self) -> Option<Timestamp> {
        let meta = self.meta();
        let mut moments: Vec<Option<Timestamp>> = vec![meta.created];
        match &self.0 {
            Kind::Pod(pod) => {
                moments.extend(pod.conditions.iter().map(|condition| condition.since));
                for container in &pod.containers {
                    moments.push(container.running_since());
                    moments.extend(container.ends().map(|end| Some(end.finished)));
                }
            }
            Kind::Workload(workload) => moments.extend(workload.conditions.iter().map(|condition| condition.since)),
            Kind::ReplicaSet(set) => moments.extend(set.conditions.iter().map(|condition| condition.since)),
            Kind::Event(event) => moments.push(Some(event.last)),
            Kind::Node(node) => moments.extend(node.conditions.iter().map(|condition| condition.since)),
            Kind::Autoscaler(one) => moments.extend(one.conditions.iter().map(|condition| condition.since)),
            Kind::Service(_) | Kind::Claim(_) | Kind::Budget(_) => {}
        }
        moments.into_iter().flatten().max()
    }
}
