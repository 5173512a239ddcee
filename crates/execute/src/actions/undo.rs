//! `rollout-undo`: goes back to the revision of the template before the current one.
//!
//! The API has no call for it: going back is writing the earlier template over the current one, as `kubectl rollout undo`
//! does. The plan carries the difference of the two, so that what is approved and journaled is what is sent, and its
//! opposite, so that it can be taken back even when the revision is gone by then.

use homeostat_core::{IncidentType, Remedy, WorkloadKind};
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Inspected, Inverse, Known, Objection, PayloadError, Plan, Policy,
    PreviousRevision, Recovery, Repeat, Right, Step,
};
use serde_json::Value;

use super::{template, update_strategy, workload_rights};
use crate::effect::{ClusterAction, ClusterWrite};

const NAME: ActionName = ActionName::new("rollout-undo");

/// And the revisions: a Deployment's are ReplicaSets, those of the others ControllerRevisions.
static RIGHTS: [Right; 8] = workload_rights::and(
    &workload_rights::CHANGE,
    &[
        Right { verb: "list", resource: "replicasets", group: "apps" },
        Right { verb: "list", resource: "controllerrevisions", group: "apps" },
    ],
);

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[IncidentType::BadDeployment],
    // The same template written twice is one template.
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &RIGHTS,
};

pub(super) struct Undo;

/// Goes to this revision; `template` is the merge patch that makes its template of the current one.
fn to(revision: &str, template: Option<&Value>) -> Step {
    let args = Args::default().with("to_revision", revision);
    Step { action: NAME, args: template.iter().fold(args, |args, template| args.with("template", (*template).clone())) }
}

/// What is left for a person. A StatefulSet that starts its pods in order waits for a broken one to become ready and never replaces
/// it, also not by the revision that would be well: the Kubernetes documentation calls it a forced rollback.
fn by_hand(seen: &Inspected) -> Option<&'static str> {
    let is_ordered = seen.kind == WorkloadKind::StatefulSet
        && seen.manifest["spec"]["podManagementPolicy"].as_str() != Some("Parallel");
    let text = "the StatefulSet starts its pods in order (podManagementPolicy: OrderedReady): delete the pod that isn't \
                ready once this is written, it isn't replaced by itself";
    (is_ordered && seen.replicas_available < seen.replicas_wanted).then_some(text)
}

fn no_previous_revision() -> Objection {
    Objection::escalate("no-previous-revision", "there is no previous revision to go back to")
}

impl Action for Undo {
    fn remedy(&self) -> Option<Remedy> {
        Some(Remedy::EarlierRevision)
    }

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn step(&self, _: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let previous = match seen.get::<PreviousRevision>() {
            Known::Is(previous) => previous,
            Known::NotApplicable => return Err(no_previous_revision()),
            Known::NotVisible { why } => {
                let text = format!("earlier revisions can't be seen: {why}");
                return Err(Objection::escalate("revisions-not-visible", text));
            }
        };
        update_strategy::replaces_pods(seen)?;
        let change = previous.change.as_ref();
        let back = |revision: &str| Inverse::Step(to(revision, change.map(|change| &change.back)));
        let inverse = seen.revision.as_deref().map_or(Inverse::Irreversible, back);
        let mut step = to(&previous.revision, change.map(|change| &change.to));
        if let Some(by_hand) = by_hand(seen) {
            step.args = step.args.with("by_hand", by_hand);
        }
        Ok((step, inverse))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        template::payload(plan, step)
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let text = "an automatic undo can bring back a schema or protocol that the data has left: be sure that releases go \
                    back cleanly";
        if policy.auto_execute { vec![text.to_owned()] } else { Vec::new() }
    }
}

impl ClusterAction for Undo {
    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: template::holds }
    }
}
