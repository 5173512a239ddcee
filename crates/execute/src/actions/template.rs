//! The write of every action that changes the pod template: the step carries the difference as a merge patch.

use homeostat_remediate::{PayloadError, Plan, Step};
use serde_json::Value;

use crate::{merge_patch, patch};

/// The argument with the merge patch.
pub(super) const TEMPLATE: &str = "template";

pub(super) fn payload(plan: &Plan, step: &Step) -> Result<String, PayloadError> {
    let template = step.args.get(TEMPLATE).filter(|template| template.is_object());
    let template = template.ok_or_else(|| PayloadError("it doesn't have the template to write".to_owned()))?;
    patch::of_template(plan, step, template)
}

/// Whether the workload's template is as the step leaves it.
pub(super) fn holds(object: &Value, step: &Step) -> bool {
    step.args.get(TEMPLATE).is_some_and(|patch| merge_patch::holds(&object["spec"]["template"], patch))
}
