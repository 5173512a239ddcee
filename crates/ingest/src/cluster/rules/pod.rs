//! Facts about a workload's pods: those of all pods with the same cause are one.

use std::collections::BTreeMap;

use homeostat_core::{ClusterFact, ClusterObjectRef, FactKind, Standing, Subject, Timestamp};

use super::super::draft::Draft;
use super::super::meta::condition;
use super::super::pod::Pod;
use super::super::revision::{self, Revision};
use super::super::view::View;
use super::words::{cut, of_pods};
use super::{container, mount, probe, scheduling};

/// An evicted pod stays as a failed object for long; what was evicted longer ago than this is over.
const EVICTION_FRESH_S: u64 = 1_800;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    let mut facts = Vec::new();
    for subject in view.pods_of.keys() {
        let mut groups: BTreeMap<Cause, Group> = BTreeMap::new();
        for pod in view.live_pods(subject) {
            if is_on_a_lost_node(view, pod) {
                continue;
            }
            for (draft, standing) in of_pod(view, pod) {
                let revision = revision::of(view, subject, pod, draft.since);
                add(&mut groups, draft, standing, revision, pod);
            }
        }
        for (draft, pod) in evicted(view, subject) {
            add(&mut groups, draft, Standing::Explains, None, pod);
        }
        let n_pods = view.live_pods(subject).count();
        facts.extend(groups.into_values().map(|group| group.fact(subject, n_pods)));
    }
    facts
}

/// What is said of pods together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    kind: FactKind,
    sentence: String,
    /// The object at fault, where it isn't the pod itself.
    object: Option<ClusterObjectRef>,
    revision: Option<Revision>,
}

struct Group {
    draft: Draft,
    standing: Standing,
    revision: Option<Revision>,
    n_pods: usize,
}

fn add(groups: &mut BTreeMap<Cause, Group>, draft: Draft, standing: Standing, revision: Option<Revision>, pod: &Pod) {
    let object = (draft.object != pod.meta.object("Pod")).then(|| draft.object.clone());
    let cause = Cause { kind: draft.kind, sentence: draft.sentence.clone(), object, revision: revision.clone() };
    let group = groups.entry(cause).or_insert_with(|| Group { draft: draft.clone(), standing, revision, n_pods: 0 });
    group.n_pods += 1;
    group.draft.since = group.draft.since.min(draft.since);
    group.draft.object = group.draft.object.clone().min(draft.object);
    group.standing = group.standing.min(standing);
}

impl Group {
    fn fact(self, subject: &Subject, n_pods: usize) -> ClusterFact {
        let Self { mut draft, standing, revision, n_pods: n_affected } = self;
        if draft.kind == FactKind::Unschedulable {
            draft.sentence = format!("{} {}", of_pods(n_affected, n_pods), draft.sentence);
        } else if draft.kind != FactKind::PodEvicted && n_affected < n_pods {
            draft.sentence.push_str(&format!(" ({})", of_pods(n_affected, n_pods)));
        }
        draft.of_revision(subject.clone(), standing, revision.as_ref())
    }
}

fn of_pod(view: &View<'_>, pod: &Pod) -> Vec<(Draft, Standing)> {
    if let Some(draft) = scheduling::finding(view, pod) {
        return vec![(draft, Standing::Opens)];
    }
    let mut findings: Vec<(Draft, Standing)> =
        pod.containers.iter().flat_map(|one| container::findings(view, pod, one)).collect();
    if findings.is_empty() {
        let mount = mount::finding(view, pod).map(|draft| (draft, Standing::Opens));
        findings.extend(mount.or_else(|| probe::finding(view, pod)));
    }
    findings
}

/// Whether its node doesn't report: then what its status says is old, and the node is the cause.
fn is_on_a_lost_node(view: &View<'_>, pod: &Pod) -> bool {
    let node = view.nodes.get(pod.node.as_str());
    node.and_then(|node| condition(&node.conditions, "Ready")).is_some_and(|ready| !ready.is_true)
}

/// Pods that their node evicted not long ago.
fn evicted<'a>(view: &View<'a>, subject: &Subject) -> Vec<(Draft, &'a Pod)> {
    let pods = view.pods_of.get(subject).into_iter().flatten().copied();
    let evicted = pods.filter(|pod| pod.phase == "Failed" && pod.reason == "Evicted");
    let draft = |pod: &'a Pod| {
        let ended = pod.conditions.iter().filter_map(|condition| condition.since).max();
        let since = ended.or(pod.meta.created).unwrap_or(Timestamp::from_secs(0));
        if view.now.since(since).as_secs() > EVICTION_FRESH_S {
            return None;
        }
        // `The node was low on resource: memory. Threshold quantity: …`
        let why = pod.message.split(". ").next().map(cut).unwrap_or_default();
        let sentence = format!("pods were evicted from node `{}`: {why}", pod.node);
        Some((Draft::new(FactKind::PodEvicted, pod.meta.object("Pod"), since, sentence), pod))
    };
    evicted.filter_map(draft).collect()
}
