//! The write of every action that pauses rollouts or lets them go on.

use homeostat_remediate::{ActionName, Args, PayloadError, Plan, Step};
use serde_json::{Value, json};

use crate::patch;

const PAUSED: &str = "paused";

/// Pauses, or lets go on.
pub(super) fn step(action: ActionName, is_paused: bool) -> Step {
    Step { action, args: Args::default().with(PAUSED, is_paused) }
}

pub(super) fn payload(plan: &Plan, step: &Step) -> Result<String, PayloadError> {
    let is_paused = step.args.get(PAUSED).and_then(Value::as_bool);
    let is_paused = is_paused.ok_or_else(|| PayloadError("it doesn't say whether to pause".to_owned()))?;
    patch::of(plan, step, json!({ "spec": { PAUSED: is_paused } }))
}

/// Whether the workload is as the step leaves it. An absent field means that it isn't paused.
pub(super) fn holds(object: &Value, step: &Step) -> bool {
    let is_paused = object["spec"][PAUSED].as_bool().unwrap_or(false);
    step.args.get(PAUSED).and_then(Value::as_bool) == Some(is_paused)
}
