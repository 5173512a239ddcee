//! What an action says of its own step counts in the decision: when it works, what it takes down, what it writes, what it leaves.

use homeostat_core::WorkloadKind;
use serde_json::json;

use super::*;
use crate::action::{Action, ActionSpec, Right, WorksWhile};
use crate::inspected::SeenObject;
use crate::object_ref::{ObjectKind, ObjectRef};
use crate::payload_error::PayloadError;
use crate::step::{Recovery, Repeat, Step};

const FLAG: ActionName = ActionName::new("flag");

/// Writes a ConfigMap, works during rollouts, takes nothing down, lends what it does, and leaves two replicas.
struct Flag;

impl Action for Flag {
    fn spec(&self) -> &'static ActionSpec {
        static SPEC: ActionSpec = ActionSpec {
            name: FLAG,
            targets: &[WorkloadKind::Deployment],
            default_for: &[],
            repeat: Repeat::Idempotent,
            recovery: Recovery::SignalsOnly,
            rights: &[Right { verb: "patch", resource: "configmaps", group: "" }],
        };
        &SPEC
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let flags = seen.others.first().ok_or_else(|| Objection::escalate("no-config-map", "there is none"))?;
        let step = Step { action: FLAG, args: flags.object.in_args(Args::default()) };
        Ok((step.clone(), Inverse::Temporary { step, until: ask.now + Duration::from_secs(3600) }))
    }

    fn payload(&self, _: &Plan, step: &Step) -> Result<String, PayloadError> {
        Ok(format!("{step:?}"))
    }

    fn disruption(&self, _: &Step, _: &Inspected) -> Disruption {
        Disruption::default()
    }

    fn works_while(&self) -> WorksWhile {
        WorksWhile { rolling_out: true, paused: true }
    }

    fn replicas_after(&self, _: &Step) -> Option<u32> {
        Some(2)
    }
}

fn flag_case() -> Case {
    let flag: Actions = [&Flag as &'static dyn Action].into_iter().collect();
    let policy = "remediation_policy: {incident_type: oom-killed, auto_execute: true, confidence_threshold: 0.9,
        rollback_if_failed: true, action: flag, scope: {namespaces: [shop]}}";
    let mut case = Case { policies: load_policies(policy, "p", &flag).unwrap(), actions: flag, ..case() };
    let manifest = json!({ "metadata": { "name": "flags", "uid": "c", "resourceVersion": "5" } });
    let object = ObjectRef::of(ObjectKind::ConfigMap, &manifest).unwrap();
    case.see().others = vec![SeenObject { object, manifest, owner: None }];
    case
}

/// What would be written is a ScaledObject with this annotation.
pub(super) fn scaled_by_keda(key: &str, value: &str) -> Case {
    let mut case = flag_case();
    let metadata = json!({ "name": "cart", "uid": "k", "resourceVersion": "5", "annotations": { key: value } });
    let manifest = json!({ "metadata": metadata });
    let object = ObjectRef::of(ObjectKind::ScaledObject, &manifest).unwrap();
    case.see().others = vec![SeenObject { object, manifest, owner: None }];
    case
}

#[test]
fn what_keda_doesnt_scale_now_is_not_written() {
    assert_eq!(codes(&scaled_by_keda("autoscaling.keda.sh/paused", "false")), Vec::<String>::new());
    assert_eq!(codes(&scaled_by_keda("autoscaling.keda.sh/paused-replicas", "0")), ["autoscaler-paused"]);
    assert_eq!(codes(&scaled_by_keda("autoscaling.keda.sh/paused-scale-out", "true")), ["autoscaler-paused"]);
}

fn codes(case: &Case) -> Vec<String> {
    case.decide().objections().iter().map(|objection| objection.code.clone().into_owned()).collect()
}

#[test]
fn an_action_is_stopped_by_rollouts_only_where_it_doesnt_work_during_one() {
    for stop in [|seen: &mut Inspected| seen.rollout_in_progress = true, |seen: &mut Inspected| seen.paused = true] {
        let (mut flag, mut restart) = (flag_case(), case());
        stop(flag.see());
        stop(restart.see());
        assert_eq!(codes(&flag), Vec::<String>::new());
        assert_eq!(codes(&restart).len(), 1);
    }
}

#[test]
fn what_a_rollout_would_take_down_stops_only_what_rolls_out() {
    let (mut flag, mut restart) = (flag_case(), case());
    for case in [&mut flag, &mut restart] {
        case.see().disruption.is_recreate = true;
    }
    assert_eq!((codes(&flag), codes(&restart)), (vec![], vec!["takes-all-down".to_owned()]));
}

#[test]
fn what_somebody_keeps_in_git_isnt_written_beside_the_workload_either() {
    let mut case = flag_case();
    case.see().others[0].owner = Some(Owner { name: "Flux".into(), seen_by: "a label".into() });
    let decision = case.decide();
    assert_eq!(codes(&case), ["gitops-managed"]);
    assert!(decision.objections()[0].text.contains("what would be written"), "{decision:?}");
}

#[test]
fn what_is_lent_is_taken_back_when_it_fails_and_fewer_replicas_count_where_they_are_meant() {
    let Decision::Execute(plan) = flag_case().decide() else { panic!("{:?}", flag_case().decide()) };
    assert!(plan.undo_if_failed);
    assert_eq!(plan.verify.replicas_before, 2, "three before, and two are meant");
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "{json}");
}
