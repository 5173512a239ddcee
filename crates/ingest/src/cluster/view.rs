//! The objects by what they belong to: which pods are whose, and of which revision.

use std::collections::BTreeMap;

use homeostat_core::{ClusterObjectRef, Subject, Timestamp, WorkloadKind};

use super::claim::Claim;
use super::container::Container;
use super::event::Event;
use super::life_cycle::LifeCycle;
use super::meta::Meta;
use super::network::Service;
use super::node::Node;
use super::object::{ClusterObject, Kind};
use super::pod::Pod;
use super::scaling::{Autoscaler, Budget};
use super::state::ClusterState;
use super::workload::{ReplicaSet, Workload};

/// The label by which a Deployment's pods are told apart by revision, and that of a StatefulSet's and a DaemonSet's.
const TEMPLATE_HASH: &str = "pod-template-hash";
const CONTROLLER_HASH: &str = "controller-revision-hash";

/// The cluster at one moment.
pub(super) struct View<'a> {
    state: &'a ClusterState,
    pub(super) now: Timestamp,
    pub(super) workloads: BTreeMap<Subject, &'a Workload>,
    pub(super) pods: Vec<&'a Pod>,
    pub(super) pods_of: BTreeMap<Subject, Vec<&'a Pod>>,
    pub(super) sets_of: BTreeMap<Subject, Vec<&'a ReplicaSet>>,
    pub(super) nodes: BTreeMap<&'a str, &'a Node>,
    pub(super) services: Vec<&'a Service>,
    pub(super) claims: Vec<&'a Claim>,
    pub(super) autoscalers: Vec<&'a Autoscaler>,
    pub(super) budgets: Vec<&'a Budget>,
    events: BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a Event>>,
}

impl<'a> View<'a> {
    pub(super) fn of(state: &'a ClusterState, now: Timestamp) -> Self {
        let mut view = Self {
            state,
            now,
            workloads: BTreeMap::new(),
            pods: Vec::new(),
            pods_of: BTreeMap::new(),
            sets_of: BTreeMap::new(),
            nodes: BTreeMap::new(),
            services: Vec::new(),
            claims: Vec::new(),
            autoscalers: Vec::new(),
            budgets: Vec::new(),
            events: BTreeMap::new(),
        };
        for object in state.objects.values() {
            match &object.0 {
                Kind::Pod(pod) => view.pods.push(pod),
                Kind::Workload(workload) => {
                    view.workloads.insert(workload.subject(), workload);
                }
                Kind::ReplicaSet(set) => {
                    if let Some(subject) = view.subject_of_set(set) {
                        view.sets_of.entry(subject).or_default().push(set);
                    }
                }
                Kind::Event(event) => {
                    let about = (event.about_kind.as_str(), event.meta.namespace.as_str(), event.about_name.as_str());
                    view.events.entry(about).or_default().push(event);
                }
                Kind::Service(service) => view.services.push(service),
                Kind::Node(node) => {
                    view.nodes.insert(&node.meta.name, node);
                }
                Kind::Claim(claim) => view.claims.push(claim),
                Kind::Autoscaler(autoscaler) => view.autoscalers.push(autoscaler),
                Kind::Budget(budget) => view.budgets.push(budget),
            }
        }
        for pod in view.pods.clone() {
            if let Some(subject) = view.subject_of(pod) {
                view.pods_of.entry(subject).or_default().push(pod);
            }
        }
        view
    }

    /// Whether what is free on a node can be known.
    pub(super) fn is_whole(&self) -> bool {
        self.state.is_whole
    }

    /// Every object, whatever it is.
    pub(super) fn objects(&self) -> impl Iterator<Item = &'a ClusterObject> + use<'a> {
        self.state.objects.values()
    }

    /// The workload that a pod belongs to; none for jobs and for pods that nobody controls.
    pub(super) fn subject_of(&self, pod: &Pod) -> Option<Subject> {
        let owner = pod.meta.owner.as_ref()?;
        let of = |kind: WorkloadKind, name: &str| {
            Some(Subject { namespace: pod.meta.namespace.clone(), kind, name: name.to_owned() })
        };
        match owner.kind.as_str() {
            "StatefulSet" => of(WorkloadKind::StatefulSet, &owner.name),
            "DaemonSet" => of(WorkloadKind::DaemonSet, &owner.name),
            "ReplicaSet" => {
                let key = ClusterObjectRef {
                    kind: "ReplicaSet".to_owned(),
                    namespace: pod.meta.namespace.clone(),
                    name: owner.name.clone(),
                };
                match self.state.objects.get(&key).map(|object| &object.0) {
                    Some(Kind::ReplicaSet(set)) => self.subject_of_set(set),
                    Some(_) => None,
                    // Whoever may not list ReplicaSets sees it in the name.
                    None => {
                        let hash = pod.label(TEMPLATE_HASH)?;
                        of(WorkloadKind::Deployment, owner.name.strip_suffix(hash)?.strip_suffix('-')?)
                    }
                }
            }
            _other => None,
        }
    }

    fn subject_of_set(&self, set: &ReplicaSet) -> Option<Subject> {
        let owner = set.meta.owner.as_ref().filter(|owner| owner.kind == "Deployment")?;
        Some(Subject::deployment(&set.meta.namespace, &owner.name))
    }

    /// The pods of a workload that aren't about to go and haven't ended.
    pub(super) fn live_pods(&self, subject: &Subject) -> impl Iterator<Item = &'a Pod> + '_ {
        let pods = self.pods_of.get(subject).into_iter().flatten().copied();
        pods.filter(|pod| pod.meta.deleted.is_none() && !pod.has_ended())
    }

    pub(super) fn life(&self, pod: &Pod, container: &Container) -> Option<&'a LifeCycle> {
        self.state.life(&pod.meta.uid, &container.name)
    }

    /// What events say about an object, the newest first.
    pub(super) fn events_about(&self, kind: &str, meta: &Meta) -> Vec<&'a Event> {
        let about = (kind, meta.namespace.as_str(), meta.name.as_str());
        let events = self.events.get(&about).into_iter().flatten().copied();
        let mut events: Vec<&Event> = events.filter(|event| event.is_about(kind, meta)).collect();
        events.sort_by(|a, b| (b.last, &b.message).cmp(&(a.last, &a.message)));
        events
    }

    /// The ReplicaSet of a pod.
    pub(super) fn set_of(&self, pod: &Pod) -> Option<&'a ReplicaSet> {
        let owner = pod.meta.owner.as_ref()?;
        let sets = self.sets_of.get(&self.subject_of(pod)?)?;
        sets.iter().copied().find(|set| set.meta.name == owner.name)
    }

    /// The newest ReplicaSet of a Deployment.
    pub(super) fn newest_set(&self, subject: &Subject) -> Option<&'a ReplicaSet> {
        let sets = self.sets_of.get(subject)?.iter().copied();
        sets.max_by_key(|set| (set.revision, set.created(), &set.meta.name))
    }

    /// What tells a pod's revision from others of its workload.
    pub(super) fn revision_hash<'p>(&self, pod: &'p Pod) -> Option<&'p str> {
        pod.label(TEMPLATE_HASH).or_else(|| pod.label(CONTROLLER_HASH))
    }
}
