//! What is never acted on without a human, whatever the policies say (I26, I27).

use homeostat_core::{ActionKind, WorkloadKind};

use crate::decide::Facts;
use crate::refusal::Refusal;

/// Kubernetes keeps this prefix for namespaces of the system itself.
const SYSTEM_NAMESPACE_PREFIX: &str = "kube-";

/// Homeostat itself and what it needs; the cluster's own parts; what keeps state; what can't be taken back.
pub(super) fn protected(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    let subject = &facts.proposal.incident.subject;
    let limits = facts.limits;
    if limits.own_namespaces.contains(&subject.namespace) {
        found.push(Refusal::SelfProtection { what: format!("namespace {}", subject.namespace) });
    } else if limits.own_subjects.contains(subject) {
        found.push(Refusal::SelfProtection { what: subject.to_string() });
    }
    let mut never = |why: &str| found.push(Refusal::NeverAuto { why: why.to_owned() });
    if subject.namespace.starts_with(SYSTEM_NAMESPACE_PREFIX) {
        never("it is part of the cluster itself");
    }
    match subject.kind {
        WorkloadKind::StatefulSet => never("it keeps state"),
        WorkloadKind::External => never("it is outside the cluster"),
        WorkloadKind::Deployment | WorkloadKind::DaemonSet => {
            if facts.seen.is_ok_and(|seen| seen.has_persistent_volume) {
                never("it has a persistent volume");
            }
        }
    }
    let undoes = facts.proposal.action() == Some(ActionKind::RolloutUndo);
    if undoes && facts.seen.is_ok_and(|seen| seen.revision.is_none()) {
        never("the current revision is unknown, so it couldn't be taken back");
    }
}
