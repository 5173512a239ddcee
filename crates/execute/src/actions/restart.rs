//! `rollout-restart`: replaces a workload's pods one by one, template unchanged.

use homeostat_core::{IncidentType, Remedy, WorkloadKind};
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Inspected, Inverse, Objection, PayloadError, Plan, Policy, Recovery,
    Repeat, Step,
};
use serde_json::{Value, json};

use super::{update_strategy, workload_rights};
use crate::effect::{ClusterAction, ClusterWrite};
use crate::patch::{self, RESTARTED_AT};

const NAME: ActionName = ActionName::new("rollout-restart");

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[IncidentType::OomKilled, IncidentType::MemoryLeak, IncidentType::CpuSpike],
    // The annotation's value is fixed in the plan: written twice it is written once.
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &workload_rights::CHANGE,
};

pub(crate) struct Restart;

impl Action for Restart {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        // A restart would only start a second rollout that hangs; going back is what helps then.
        if let Some(why) = seen.rollout_failed.clone() {
            let text = format!("the newest rollout failed, a restart won't mend that: {why}");
            return Err(Objection::escalate("rollout-failed", text));
        }
        update_strategy::replaces_pods(seen)?;
        let args = Args::default().with("restarted_at", ask.now.to_string());
        Ok((Step { action: NAME, args }, Inverse::Nothing))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let restarted_at = step.args.text("restarted_at");
        let restarted_at = restarted_at.ok_or_else(|| PayloadError("it has no restarted_at".to_owned()))?;
        patch::of_template(plan, step, &json!({ "metadata": { "annotations": { RESTARTED_AT: restarted_at } } }))
    }

    fn remedy(&self) -> Option<Remedy> {
        Some(Remedy::NewPods)
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let mut found = Vec::new();
        let mut add = |text: &str| found.push(text.to_owned());
        match policy.incident_type {
            IncidentType::CrashLoop => add("restarting a crash loop hides its cause: the kubelet restarts it already"),
            IncidentType::BadDeployment | IncidentType::ConfigDrift => {
                add("a restart keeps the template that is at fault; consider rollout-undo");
            }
            IncidentType::DependencyFailure | IncidentType::NetworkPartition => {
                add("a restart doesn't heal what is elsewhere, and costs the capacity that is left");
            }
            IncidentType::ImagePull
            | IncidentType::Unschedulable
            | IncidentType::AdmissionDenied
            | IncidentType::VolumePending
            | IncidentType::ServiceUnreachable
            | IncidentType::AutoscalerInactive
            | IncidentType::EvictionBlocked
            | IncidentType::StuckTerminating => {
                add("new pods of the same revision need the same thing: a restart can't cure it, and is refused");
            }
            IncidentType::WorkloadGone | IncidentType::FrozenData => {
                add("nothing is measured there, so nobody can see whether a restart helps");
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
            | IncidentType::PacketLoss
            | IncidentType::CircuitBreakerOpen
            | IncidentType::ResourceStarvation
            | IncidentType::VersionSkew
            | IncidentType::NodeFailure
            | IncidentType::ProbeFailing
            | IncidentType::Unknown => {}
        }
        if policy.rollback_if_failed {
            add("rollback_if_failed does nothing for a restart, which can't be taken back; a human is called");
        }
        found
    }
}

impl ClusterAction for Restart {
    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: is_restarted }
    }
}

fn is_restarted(object: &Value, step: &Step) -> bool {
    let restarted_at = step.args.text("restarted_at");
    let annotations = &object["spec"]["template"]["metadata"]["annotations"];
    restarted_at.is_some() && annotations[RESTARTED_AT].as_str() == restarted_at
}
