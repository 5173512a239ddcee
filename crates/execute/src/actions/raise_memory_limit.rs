//! `raise-memory-limit`: gives a container more memory, up to a maximum: a new revision of the template, taken back by the old one.

use homeostat_core::{IncidentType, WorkloadKind, parse_quantity};
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Inspected, Inverse, Objection, PayloadError, Plan, Policy, Reader,
    Recovery, Repeat, Step,
};
use serde_json::{Value, json};

use super::{template, update_strategy, workload_rights};
use crate::effect::{ClusterAction, ClusterWrite};
use crate::{merge_patch, quantity};

const NAME: ActionName = ActionName::new("raise-memory-limit");

/// Half as much again: an out-of-memory kill tells that the limit is too low, not by how much.
const TIMES_DEFAULT: f64 = 1.5;
/// Four times as much is no correction any more.
const TIMES_MAX: f64 = 4.0;

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[],
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &workload_rights::CHANGE,
};

pub(super) struct RaiseMemoryLimit;

impl Action for RaiseMemoryLimit {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let container = with.text("container");
        let times = with.number("times", 1.1..=TIMES_MAX).unwrap_or(TIMES_DEFAULT);
        let max = with.parsed_by("max", |text| match parse_quantity(text) {
            Some(_) => Ok(text.to_owned()),
            None => Err(format!("{text:?} isn't an amount of memory such as 1Gi")),
        });
        with.require_such_as("max", max.as_ref(), "1Gi");
        let args = Args::default().with("times", times);
        let args = max.into_iter().fold(args, |args, max| args.with("max", max));
        container.into_iter().fold(args, |args, container| args.with("container", container))
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        update_strategy::replaces_pods(seen)?;
        let template = &seen.manifest["spec"]["template"];
        let (idx, container) = container(ask, template)?;
        let limit = container["resources"]["limits"]["memory"].as_str();
        let Some((limit, bytes)) = limit.and_then(|limit| Some((limit, parse_quantity(limit)?))) else {
            let text = format!("the container {} has no memory limit that could be raised", container["name"]);
            return Err(Objection::escalate("no-memory-limit", text));
        };
        let max = ask.args.text("max").and_then(parse_quantity);
        let max = max.ok_or_else(|| Objection::escalate("no-arguments", "the policy says no maximum"))?;
        let times = ask.args.get("times").and_then(Value::as_f64).unwrap_or(TIMES_DEFAULT);
        let raised = (bytes * times.clamp(1.0, TIMES_MAX)).min(max);
        if raised <= bytes {
            let text = format!("the memory limit is {limit} already, and the policy's maximum is {}", shown(ask));
            return Err(Objection::escalate("at-maximum", text).with("limit", limit));
        }
        let raised = quantity::mebibytes(raised);
        let mut changed = template.clone();
        changed["spec"]["containers"][idx]["resources"]["limits"]["memory"] = json!(raised);
        let step = |template: Value, memory: &str| {
            let args = Args::default().with("container", container["name"].clone()).with("memory", memory);
            Step { action: NAME, args: args.with(template::TEMPLATE, template) }
        };
        let back = step(merge_patch::between(&changed, template), limit);
        Ok((step(merge_patch::between(template, &changed), &raised), Inverse::Step(back)))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        template::payload(plan, step)
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let text = "more memory puts a leak off and costs a node more when it comes: consider rollout-restart";
        if policy.incident_type == IncidentType::MemoryLeak { vec![text.to_owned()] } else { Vec::new() }
    }

    fn example(&self) -> &'static str {
        "{max: 1Gi}"
    }
}

impl ClusterAction for RaiseMemoryLimit {
    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: template::holds }
    }
}

/// The container that the policy names, or the only one.
fn container<'a>(ask: &Ask<'_>, template: &'a Value) -> Result<(usize, &'a Value), Objection> {
    let containers = template["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = ask.args.text("container");
    let mut fitting = containers
        .iter()
        .enumerate()
        .filter(|(_, container)| wanted.is_none_or(|wanted| container["name"].as_str() == Some(wanted)));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            let text = format!("it has no container named {}", wanted.unwrap_or("anything"));
            Err(Objection::escalate("no-such-container", text))
        }
        (Some(_), Some(_)) => {
            let text = "it has several containers: the policy must say which one (`with.container`)";
            Err(Objection::escalate("which-container", text))
        }
    }
}

fn shown(ask: &Ask<'_>) -> String {
    ask.args.text("max").unwrap_or("nothing").to_owned()
}
