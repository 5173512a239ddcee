//! Workloads that somebody scaled to zero.

use homeostat_core::{ClusterFact, FactKind, Standing, Timestamp, WorkloadKind};

use super::super::draft::Draft;
use super::super::view::View;

/// It is only ever an explanation: environments are scaled to zero at night, and only who misses it knows that it wasn't meant.
pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    let scalable = view.workloads.iter().filter(|(subject, workload)| {
        let is_scalable = match subject.kind {
            WorkloadKind::Deployment | WorkloadKind::StatefulSet => true,
            WorkloadKind::DaemonSet | WorkloadKind::External => false,
        };
        is_scalable && workload.wanted == 0 && workload.meta.deleted.is_none()
    });
    let fact = |(subject, workload): (&homeostat_core::Subject, &&super::super::workload::Workload)| {
        let available = workload.condition("Available").and_then(|condition| condition.since);
        let since = available.or(workload.meta.created).unwrap_or(Timestamp::from_secs(0));
        let object = workload.meta.object(workload.kind_name());
        let sentence = format!("{} `{}` is scaled to zero: it has no pods", workload.kind_name(), workload.meta.name);
        Draft::new(FactKind::ScaledToZero, object, since, sentence).about(subject.clone(), Standing::Explains)
    };
    scalable.map(fact).collect()
}
