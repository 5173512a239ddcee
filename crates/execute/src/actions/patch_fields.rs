//! `patch`: merges the policy's own patch into the workload, in the fields of its spec that the policy names.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Inspected, Inverse, Objection, PayloadError, Plan, Policy, Reader,
    Recovery, Repeat, Step, read_json,
};
use serde_json::{Value, json};

use super::{update_strategy, workload_rights};
use crate::effect::{ClusterAction, ClusterWrite};
use crate::{merge_patch, patch};

const NAME: ActionName = ActionName::new("patch");

/// Fields that no patch may change: others own them, or actions of their own bound them.
const FORBIDDEN: [(&str, &str); 4] = [
    ("spec.replicas", "use the action scale, which heeds autoscalers"),
    ("spec.selector", "it can't be changed"),
    ("spec.template.spec.serviceAccountName", "it would change what the pods may do"),
    ("spec.template.spec.securityContext", "it would change what the pods may do"),
];

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[],
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &workload_rights::CHANGE,
};

pub(super) struct PatchFields;

impl Action for PatchFields {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let patch = read_json(with, "patch");
        with.require_such_as("patch", patch.as_ref(), "{spec: {progressDeadlineSeconds: 900}}");
        let fields = with.texts("fields");
        with.require_such_as("fields", fields.as_ref(), "[spec.progressDeadlineSeconds]");
        let fields = fields.unwrap_or_default();
        for field in &fields {
            if let Some(why) = forbidden(field) {
                with.reject("fields", why);
            }
        }
        if let Some(patch) = &patch {
            for path in paths(patch, "") {
                if let Some(why) = forbidden(&path) {
                    with.reject("patch", why);
                } else if !fields.iter().any(|field| is_within(&path, field)) {
                    with.reject("patch", format!("changes {path}, which isn't among `fields`"));
                }
            }
        }
        let args = patch.into_iter().fold(Args::default(), |args, patch| args.with("patch", patch));
        args.with("fields", fields)
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let patch = ask.args.get("patch").filter(|patch| paths(patch, "").iter().all(|path| forbidden(path).is_none()));
        let patch = patch.ok_or_else(|| Objection::escalate("no-arguments", "the policy has no patch"))?;
        let before = json!({ "spec": seen.manifest["spec"] });
        if merge_patch::holds(&before, patch) {
            return Err(Objection::escalate("already-set", "the workload is as the patch says already"));
        }
        if !patch["spec"]["template"].is_null() {
            update_strategy::replaces_pods(seen)?;
        }
        let after = merge_patch::merge(before.clone(), patch);
        let step = |patch: Value| Step { action: NAME, args: Args::default().with("patch", patch) };
        Ok((step(patch.clone()), Inverse::Step(step(merge_patch::between(&after, &before)))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let change = step.args.get("patch").filter(|patch| patch["spec"].is_object());
        let change = change.ok_or_else(|| PayloadError("it has no patch of a spec".to_owned()))?;
        patch::of(plan, step, json!({ "spec": change["spec"] }))
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let text =
            "a merge patch replaces lists whole, also what somebody added to them: name fields that are no lists";
        let patch = policy.action.as_ref().and_then(|action| action.args.get("patch"));
        if patch.is_some_and(has_list) { vec![text.to_owned()] } else { Vec::new() }
    }

    fn example(&self) -> &'static str {
        "{patch: {spec: {minReadySeconds: 20}}, fields: [spec.minReadySeconds]}"
    }
}

impl ClusterAction for PatchFields {
    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: is_patched }
    }
}

fn is_patched(object: &Value, step: &Step) -> bool {
    step.args.get("patch").is_some_and(|patch| merge_patch::holds(object, patch))
}

/// Why nothing may be written there.
fn forbidden(path: &str) -> Option<String> {
    if !path.starts_with("spec.") {
        return Some(format!("{path} isn't a field of the spec, such as spec.progressDeadlineSeconds"));
    }
    // Neither the field itself, nor a part of it, nor a whole that it is a part of.
    let concerns = |(field, _): &&(&str, &str)| is_within(path, field) || is_within(field, path);
    FORBIDDEN.iter().find(concerns).map(|(field, why)| format!("{path} may not be changed, as {field} is: {why}"))
}

fn is_within(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The fields that a patch writes. A list is one field, as the patch replaces it whole.
fn paths(patch: &Value, within: &str) -> Vec<String> {
    match patch {
        Value::Object(map) if !map.is_empty() => map
            .iter()
            .flat_map(|(key, value)| {
                paths(value, &if within.is_empty() { key.clone() } else { format!("{within}.{key}") })
            })
            .collect(),
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            vec![within.to_owned()]
        }
    }
}

fn has_list(patch: &Value) -> bool {
    match patch {
        Value::Array(_) => true,
        Value::Object(map) => map.values().any(has_list),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use homeostat_remediate::load_policies;

    use crate::actions::actions;

    #[test]
    fn a_patch_stays_within_the_fields_that_the_policy_names_and_the_action_allows() {
        let problem = |with: &str| {
            let text = format!(
                "remediation_policy: {{incident_type: latency, auto_execute: false, confidence_threshold: 0.9, action: patch, with: {with}}}"
            );
            load_policies(&text, "p", &actions()).err().map(|problems| problems[0].to_string())
        };
        assert_eq!(problem("{patch: {spec: {minReadySeconds: 5}}, fields: [spec.minReadySeconds]}"), None);
        assert_eq!(
            problem(
                "{patch: {spec: {template: {spec: {priorityClassName: high}}}}, fields: [spec.template.spec.priorityClassName]}"
            ),
            None
        );
        for (with, part) in [
            ("{patch: {spec: {minReadySeconds: 5}}}", "with.fields is missing"),
            ("{fields: [spec.minReadySeconds]}", "with.patch is missing"),
            ("{patch: {spec: {minReadySeconds: 5}}, fields: [spec.paused]}", "isn't among `fields`"),
            ("{patch: {spec: {replicas: 0}}, fields: [spec.replicas]}", "use the action scale"),
            ("{patch: {spec: {selector: null}}, fields: [spec.selector]}", "it can't be changed"),
            ("{patch: {metadata: {labels: null}}, fields: [spec.paused]}", "metadata.labels isn't a field of the spec"),
            (
                "{patch: {spec: {template: {spec: {serviceAccountName: root}}}}, fields: [spec.template]}",
                "what the pods may do",
            ),
        ] {
            let problem = problem(with).unwrap_or_else(|| panic!("{with} is accepted"));
            assert!(problem.contains(part), "{with}: {problem}");
        }
    }
}
