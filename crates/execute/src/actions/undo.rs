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

use crate::effect::RollOut;
use crate::{merge_patch, patch};

const NAME: ActionName = ActionName::new("rollout-undo");

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment],
    default_for: &[IncidentType::BadDeployment],
    // The same template written twice is one template.
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &[
        Right { verb: "get", resource: "deployments", group: "apps" },
        Right { verb: "patch", resource: "deployments", group: "apps" },
        Right { verb: "list", resource: "replicasets", group: "apps" },
    ],
};

pub(super) struct Undo;

/// Goes to this revision; `template` is the merge patch that makes its template of the current one.
fn to(revision: &str, template: Option<&Value>) -> Step {
    let args = Args::default().with("to_revision", revision);
    Step { action: NAME, args: template.iter().fold(args, |args, template| args.with("template", (*template).clone())) }
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
        let change = previous.change.as_ref();
        let back = |revision: &str| Inverse::Step(to(revision, change.map(|change| &change.back)));
        let inverse = seen.revision.as_deref().map_or(Inverse::Irreversible, back);
        Ok((to(&previous.revision, change.map(|change| &change.to)), inverse))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let template = step.args.get("template").filter(|template| template.is_object());
        let template = template.ok_or_else(|| PayloadError("it doesn't have the template to go back to".to_owned()))?;
        patch::of_template(plan, template)
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let text = "an automatic undo can bring back a schema or protocol that the data has left: be sure that releases go \
                    back cleanly";
        if policy.auto_execute { vec![text.to_owned()] } else { Vec::new() }
    }
}

impl RollOut for Undo {
    fn is_in_effect(&self, template: &Value, step: &Step) -> bool {
        step.args.get("template").is_some_and(|patch| merge_patch::holds(template, patch))
    }
}
