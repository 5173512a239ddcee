//! The write of every action that cordons a node or takes that back.

use homeostat_remediate::{Args, ObjectRef, PayloadError, Plan, Step};
use serde_json::{Value, json};

use super::node_choice::is_cordoned;
use crate::patch;

const UNSCHEDULABLE: &str = "unschedulable";

/// Makes this node unschedulable, or not.
pub(super) fn args(node: &ObjectRef, is_unschedulable: bool) -> Args {
    node.in_args(Args::default()).with(UNSCHEDULABLE, is_unschedulable)
}

pub(super) fn payload(plan: &Plan, step: &Step) -> Result<String, PayloadError> {
    let wanted = step.args.get(UNSCHEDULABLE).and_then(Value::as_bool);
    let wanted = wanted.ok_or_else(|| PayloadError("it doesn't say whether the node takes pods".to_owned()))?;
    // Absent means that it takes pods.
    let value = if wanted { Value::Bool(true) } else { Value::Null };
    patch::of(plan, step, json!({ "spec": { UNSCHEDULABLE: value } }))
}

/// Whether the node is as the step leaves it.
pub(super) fn holds(node: &Value, step: &Step) -> bool {
    step.args.get(UNSCHEDULABLE).and_then(Value::as_bool) == Some(is_cordoned(node))
}
