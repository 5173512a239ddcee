//! `scale`: gives a workload more replicas, up to a maximum. Where an autoscaler owns the count, its minimum is raised, for a while.

use std::time::Duration;

use homeostat_core::{IncidentType, WorkloadKind, format_duration, parse_duration, parse_quantity};
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Autoscaler, Disruption, Inspected, Inverse, Known, ObjectKind,
    ObjectRef, Objection, PayloadError, Plan, Policy, QuotaLimit, Reader, Recovery, Repeat, Right, Step,
};
use serde_json::{Value, json};

use crate::effect::{ClusterAction, ClusterWrite};
use crate::patch;
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("scale");

/// On an autoscaler whose minimum is raised: the minimum to go back to. A second raise goes back to it, too.
const RESTORE_MIN: &str = "homeostat.io/restore-min-replicas";

/// How long an autoscaler's minimum stays raised: an hour covers a burst of load and its end.
const FOR_DEFAULT: Duration = Duration::from_secs(3600);
/// Longer than a day is a new minimum, which its owner should set.
const FOR_MAX: Duration = Duration::from_secs(24 * 3600);
const FOR_MIN: Duration = Duration::from_secs(300);

/// More replicas than this is a slip of the keyboard.
const REPLICAS_MAX: u32 = 1000;
/// Ten times as many is no correction any more.
const TIMES_MAX: f64 = 10.0;

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet],
    default_for: &[],
    // The count itself is written, not a difference: written twice it is written once.
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &[
        Right { verb: "get", resource: "deployments", group: "apps" },
        Right { verb: "patch", resource: "deployments", group: "apps" },
        Right { verb: "get", resource: "statefulsets", group: "apps" },
        Right { verb: "patch", resource: "statefulsets", group: "apps" },
        Right { verb: "list", resource: "horizontalpodautoscalers", group: "autoscaling" },
        Right { verb: "get", resource: "horizontalpodautoscalers", group: "autoscaling" },
        Right { verb: "patch", resource: "horizontalpodautoscalers", group: "autoscaling" },
        Right { verb: "get", resource: "scaledobjects", group: "keda.sh" },
        Right { verb: "patch", resource: "scaledobjects", group: "keda.sh" },
        Right { verb: "list", resource: "resourcequotas", group: "" },
    ],
};

pub(super) struct Scale;

impl Action for Scale {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let (to, by) = (with.count("to", 1..=REPLICAS_MAX), with.count("by", 1..=REPLICAS_MAX));
        let times = with.number("times", 1.0..=TIMES_MAX);
        let n_ways = [to.is_some(), by.is_some(), times.is_some()].into_iter().filter(|given| *given).count();
        if n_ways > 1 {
            with.problem(with.place(), "to, by and times exclude each other: say one of them");
        }
        let is_unreadable = ["to", "by", "times"].into_iter().any(|key| with.has(key));
        if n_ways == 0 && !is_unreadable {
            let message = format!("{} is missing; for instance `by: 2`, `times: 1.5` or `to: 6`", with.path_of("by"));
            with.problem(with.place(), message);
        }
        let max = with.count("max", 1..=REPLICAS_MAX);
        with.require_such_as("max", max, "10");
        let allow_down = with.flag("allow_down").unwrap_or(false);
        let lasts = with.duration_in("for", FOR_MIN..=FOR_MAX).unwrap_or(FOR_DEFAULT);
        let counts = [("to", to), ("by", by), ("max", max)].into_iter().filter_map(|(key, n)| Some((key, n?)));
        let args = counts.fold(Args::default(), |args, (key, n)| args.with(key, n));
        let args = times.into_iter().fold(args, |args, times| args.with("times", times));
        args.with("allow_down", allow_down).with("for", format_duration(lasts))
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let now = seen.replicas_wanted;
        let wanted = wanted(ask.args, now)?;
        if wanted < now && ask.args.get("allow_down") != Some(&json!(true)) {
            let text =
                format!("{wanted} replicas are fewer than the {now} there are, and the policy doesn't allow that");
            return Err(Objection::escalate("scale-down", text).with("wanted", wanted).with("now", now));
        }
        if let Some(limit) = exceeded(seen, wanted.saturating_sub(now))? {
            return Err(limit);
        }
        match &seen.autoscaler {
            Known::Is(autoscaler) => raise_minimum(ask, autoscaler, now, wanted),
            Known::NotApplicable => replicas(seen, now, wanted),
            Known::NotVisible { why } => {
                let text = format!("whether an autoscaler owns the number of replicas can't be seen: {why}");
                Err(Objection::escalate("autoscaler-not-visible", text))
            }
        }
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let replicas = step.args.count("replicas");
        let replicas = replicas.ok_or_else(|| PayloadError("it doesn't say how many replicas".to_owned()))?;
        let object = patch::written_by(plan, step)?;
        let mut change = json!({ "spec": { field(object.kind): replicas } });
        if object.kind == ObjectKind::HorizontalPodAutoscaler || object.kind == ObjectKind::ScaledObject {
            // Of the inverse `null`, which takes it away.
            let restore = step.args.count("restore").map(|replicas| replicas.to_string());
            change["metadata"] = json!({ "annotations": { RESTORE_MIN: restore } });
        }
        patch::of(plan, step, change)
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let mut found = Vec::new();
        let mut add = |text: &str| found.push(text.to_owned());
        match policy.incident_type {
            IncidentType::CrashLoop => add("scaling a crash loop out only makes more pods that crash"),
            IncidentType::BadDeployment | IncidentType::ConfigDrift | IncidentType::VersionSkew => {
                add("more replicas of a wrong template are as wrong; consider rollout-undo");
            }
            IncidentType::ImagePull
            | IncidentType::Unschedulable
            | IncidentType::ProbeFailing
            | IncidentType::AdmissionDenied
            | IncidentType::VolumePending
            | IncidentType::ServiceUnreachable
            | IncidentType::AutoscalerInactive
            | IncidentType::EvictionBlocked
            | IncidentType::StuckTerminating => add("more pods of the same revision need the same thing"),
            IncidentType::DependencyFailure | IncidentType::CircuitBreakerOpen => {
                add("more callers make it harder for a dependency that fails");
            }
            IncidentType::OomKilled
            | IncidentType::MemoryLeak
            | IncidentType::CpuSpike
            | IncidentType::CpuThrottling
            | IncidentType::ErrorBurst
            | IncidentType::Latency
            | IncidentType::TrafficDrop
            | IncidentType::TrafficSurge
            | IncidentType::ReplicaLoss
            | IncidentType::DiskFilling
            | IncidentType::HpaThrash
            | IncidentType::NetworkPartition
            | IncidentType::PacketLoss
            | IncidentType::ResourceStarvation
            | IncidentType::WorkloadGone
            | IncidentType::FrozenData
            | IncidentType::NodeFailure
            | IncidentType::Unknown => {}
        }
        let args = policy.action.as_ref().map(|action| &action.args);
        if args.is_some_and(|args| args.count("to").is_some()) {
            add(
                "an absolute number of replicas is refused where there are more already; `by` or `times` say what is meant",
            );
        }
        found
    }

    fn example(&self) -> &'static str {
        "{by: 2, max: 10}"
    }

    /// More pods take none down.
    fn disruption(&self, _: &Step, _: &Inspected) -> Disruption {
        Disruption::default()
    }

    fn replicas_after(&self, step: &Step) -> Option<u32> {
        step.args.count("replicas")
    }
}

impl ClusterAction for Scale {
    fn sights(&self, _: &Args) -> Vec<Sight> {
        vec![Sight::Quotas, Sight::ScaledObject]
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: has_replicas }
    }
}

fn has_replicas(object: &Value, step: &Step) -> bool {
    let kind = ObjectRef::in_step(step).ok().flatten().map_or(ObjectKind::Deployment, |object| object.kind);
    let replicas = step.args.count("replicas");
    replicas.is_some() && object["spec"][field(kind)].as_u64() == replicas.map(u64::from)
}

/// In which field an object says how many replicas there are at least, or exactly.
fn field(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::HorizontalPodAutoscaler => "minReplicas",
        ObjectKind::ScaledObject => "minReplicaCount",
        ObjectKind::Deployment
        | ObjectKind::StatefulSet
        | ObjectKind::DaemonSet
        | ObjectKind::ConfigMap
        | ObjectKind::Pod
        | ObjectKind::Node
        | ObjectKind::NetworkPolicy
        | ObjectKind::HttpRoute
        | ObjectKind::VirtualService => "replicas",
    }
}

/// How many replicas the policy wants, at most its maximum.
fn wanted(args: &Args, now: u32) -> Result<u32, Objection> {
    let no_args =
        || Objection::escalate("no-arguments", "the policy doesn't say how many replicas, or how many at most");
    let max = args.count("max").ok_or_else(no_args)?;
    let times = args.get("times").and_then(Value::as_f64).filter(|times| (1.0..=TIMES_MAX).contains(times));
    let wanted = match (args.count("to"), args.count("by"), times) {
        (Some(to), _, _) => to,
        (None, Some(by), _) => now.saturating_add(by),
        // At most ten times a count that fits in 32 bits, and rounded up to a whole one.
        (None, None, Some(times)) => {
            let product = (f64::from(now) * times).ceil().min(f64::from(REPLICAS_MAX));
            (now..=REPLICAS_MAX).find(|count| f64::from(*count) >= product).unwrap_or(REPLICAS_MAX)
        }
        (None, None, None) => return Err(no_args()),
    };
    // Where there are more than the maximum already, the maximum is no reason to take some away.
    let wanted = wanted.min(max.max(now));
    if wanted == now {
        let text = format!("there are {now} replicas already, and the policy's maximum is {max}");
        return Err(Objection::escalate("at-maximum", text).with("now", now).with("max", max));
    }
    Ok(wanted)
}

fn replicas(seen: &Inspected, now: u32, wanted: u32) -> Result<(Step, Inverse), Objection> {
    if let Some(manager) = scaled_by(&seen.manifest) {
        let text = format!("{manager} sets the number of replicas, and would set it again");
        return Err(Objection::escalate("scaled-by-other", text).approvable().with("manager", manager));
    }
    let step = |replicas: u32| Step { action: NAME, args: Args::default().with("replicas", replicas) };
    Ok((step(wanted), Inverse::Step(step(now))))
}

/// Who sets the number of replicas through the scale subresource, people with kubectl apart: an autoscaler that isn't seen as one.
fn scaled_by(manifest: &Value) -> Option<&str> {
    let entries = manifest["metadata"]["managedFields"].as_array()?.iter();
    let managers =
        entries.filter(|entry| entry["subresource"] == "scale").filter_map(|entry| entry["manager"].as_str());
    managers.into_iter().find(|manager| !manager.starts_with("kubectl"))
}

/// What an autoscaler owns is never written (I21): its minimum is raised within its bounds, and given back.
fn raise_minimum(ask: &Ask<'_>, autoscaler: &Autoscaler, now: u32, wanted: u32) -> Result<(Step, Inverse), Objection> {
    let lever = match &autoscaler.lever {
        Known::Is(lever) => lever,
        Known::NotApplicable => {
            let text = format!("the autoscaler {:?} is kept by an object that isn't there", autoscaler.name);
            return Err(Objection::escalate("autoscaler-not-visible", text));
        }
        Known::NotVisible { why } => {
            let text = format!("the minimum of the autoscaler {:?} can't be raised: {why}", autoscaler.name);
            return Err(Objection::escalate("autoscaler-not-visible", text));
        }
    };
    let (min, max) = (autoscaler.replicas_min, autoscaler.replicas_max);
    let raised = wanted.min(max);
    if raised <= now.max(min) {
        let text = format!(
            "the autoscaler {:?} wants {now} replicas of {min} to {max}; its minimum can't be raised to help",
            autoscaler.name
        );
        return Err(Objection::escalate("autoscaler-at-maximum", text).with("min", min).with("max", max));
    }
    let annotation = lever.manifest["metadata"]["annotations"][RESTORE_MIN].as_str();
    let restore = annotation.and_then(|text| text.parse().ok()).unwrap_or(min);
    let lasts = ask.args.text("for").and_then(|text| parse_duration(text).ok()).unwrap_or(FOR_DEFAULT);
    let args = lever.object.in_args(Args::default());
    let step = Step { action: NAME, args: args.clone().with("replicas", raised).with("restore", restore) };
    let back = Step { action: NAME, args: args.with("replicas", restore) };
    Ok((step, Inverse::Temporary { step: back, until: ask.now + lasts }))
}

/// The first quota that so many more pods would exceed. A dry run of the workload doesn't tell: quotas count pods.
fn exceeded(seen: &Inspected, more: u32) -> Result<Option<Objection>, Objection> {
    let limits = match &seen.quotas {
        Known::Is(limits) => limits,
        Known::NotApplicable => return Ok(None),
        Known::NotVisible { why } => {
            let text = format!("whether quotas allow more pods can't be seen: {why}");
            return Err(Objection::escalate("quota-not-visible", text));
        }
    };
    let exceeds = |limit: &&QuotaLimit| {
        pod_uses(&seen.manifest, &limit.resource).is_some_and(|each| limit.used + each * f64::from(more) > limit.hard)
    };
    Ok(limits.iter().find(exceeds).map(|limit| {
        let text = format!(
            "the quota {:?} allows {} of {}, {} are used: {more} more pods don't fit",
            limit.quota, limit.hard, limit.resource, limit.used
        );
        Objection::escalate("quota", text).with("quota", limit.quota.as_str()).with("resource", limit.resource.as_str())
    }))
}

/// How much one pod of the template takes of what a quota limits. Nothing where the quota limits something else.
fn pod_uses(manifest: &Value, resource: &str) -> Option<f64> {
    let (section, name) = match resource {
        "pods" | "count/pods" => return Some(1.0),
        "cpu" | "requests.cpu" => ("requests", "cpu"),
        "memory" | "requests.memory" => ("requests", "memory"),
        "limits.cpu" => ("limits", "cpu"),
        "limits.memory" => ("limits", "memory"),
        _ => return None,
    };
    let containers = manifest["spec"]["template"]["spec"]["containers"].as_array()?;
    let uses = |container: &Value| {
        let resources = &container["resources"];
        // Without a request the limit counts as one.
        let text = resources[section][name].as_str().or_else(|| resources["limits"][name].as_str());
        text.and_then(parse_quantity).unwrap_or(0.0)
    };
    Some(containers.iter().map(uses).sum())
}

#[cfg(test)]
mod tests;
