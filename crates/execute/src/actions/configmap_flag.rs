//! `configmap-flag`: gives one key of a ConfigMap another value, for programs that read it while they run.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, Inspected, Inverse, ObjectKind, Objection, PayloadError,
    Plan, Policy, Reader, Recovery, Repeat, Right, SeenObject, Step,
};
use serde_json::{Value, json};

use super::workload_rights;
use crate::effect::{ClusterAction, ClusterWrite};
use crate::patch;
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("configmap-flag");

static RIGHTS: [Right; 5] = workload_rights::and(
    &workload_rights::LOOK,
    &[
        Right { verb: "get", resource: "configmaps", group: "" },
        Right { verb: "patch", resource: "configmaps", group: "" },
    ],
);

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[],
    repeat: Repeat::Idempotent,
    recovery: Recovery::SignalsOnly,
    rights: &RIGHTS,
};

pub(super) struct ConfigMapFlag;

impl Action for ConfigMapFlag {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let (config_map, key, value) = (with.text("config_map"), with.text("key"), with.text("value"));
        with.require_such_as("config_map", config_map.as_ref(), "flags");
        with.require_such_as("key", key.as_ref(), "recommendations");
        with.require_such_as("value", value.as_ref(), "\"off\"");
        let texts = [("config_map", config_map), ("key", key), ("value", value)];
        texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)))
            .fold(Args::default(), |args, (name, text)| args.with(name, text))
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let no_args = || Objection::escalate("no-arguments", "the policy doesn't say which key to set to what");
        let text = |name: &str| ask.args.text(name).ok_or_else(no_args);
        let (name, key, value) = (text("config_map")?, text("key")?, text("value")?);
        let is_it = |seen: &&SeenObject| seen.object.kind == ObjectKind::ConfigMap && seen.object.name == name;
        let Some(found) = seen.others.iter().find(is_it) else {
            return Err(Objection::escalate("no-config-map", format!("there is no ConfigMap {name:?}")));
        };
        if found.manifest["immutable"] == true {
            return Err(Objection::escalate("immutable", format!("the ConfigMap {name:?} is immutable")));
        }
        let before = &found.manifest["data"][key];
        if before.as_str() == Some(value) {
            let text = format!("the key {key:?} of the ConfigMap {name:?} is {value:?} already");
            return Err(Objection::escalate("already-set", text));
        }
        let step = |value: Value| {
            let args = found.object.in_args(Args::default()).with("key", key);
            Step { action: NAME, args: args.with("value", value) }
        };
        Ok((step(json!(value)), Inverse::Step(step(before.clone()))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let key = step.args.text("key").ok_or_else(|| PayloadError("it names no key".to_owned()))?;
        // `null` takes the key away: the inverse of setting one that wasn't there.
        let value = step.args.get("value").ok_or_else(|| PayloadError("it names no value".to_owned()))?;
        patch::of(plan, step, json!({ "data": { key: value } }))
    }

    fn lint(&self, _: &Policy) -> Vec<String> {
        vec!["a ConfigMap that is read at start only takes effect after a restart of its readers".to_owned()]
    }

    fn example(&self) -> &'static str {
        "{config_map: flags, key: recommendations, value: \"off\"}"
    }

    fn disruption(&self, _: &Step, _: &Inspected) -> Disruption {
        Disruption::default()
    }
}

impl ClusterAction for ConfigMapFlag {
    fn sights(&self, args: &Args) -> Vec<Sight> {
        let name = args.text("config_map").map(str::to_owned);
        name.map(|name| Sight::Object(ObjectKind::ConfigMap, name)).into_iter().collect()
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: has_value }
    }
}

fn has_value(object: &Value, step: &Step) -> bool {
    step.args.text("key").is_some_and(|key| Some(&object["data"][key]) == step.args.get("value"))
}
