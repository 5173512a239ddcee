//! Whether a workload replaces its pods when its template changes: for the actions that change it.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{Inspected, Objection};

/// An objection where pods are replaced only when somebody deletes them: there, a new template changes nothing by itself.
pub(super) fn replaces_pods(seen: &Inspected) -> Result<(), Objection> {
    match seen.kind {
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {}
        WorkloadKind::Deployment | WorkloadKind::External => return Ok(()),
    }
    if seen.manifest["spec"]["updateStrategy"]["type"].as_str() == Some("OnDelete") {
        let text = "its update strategy is OnDelete: pods are replaced only when somebody deletes them";
        return Err(Objection::escalate("on-delete", text));
    }
    Ok(())
}
