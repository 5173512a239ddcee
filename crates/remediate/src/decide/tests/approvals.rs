//! What a person said of a plan, and what is decided then (I25).

use super::*;
use crate::approval::{Answer, Approval, PendingPlan, ProposedPlan};

/// The case's proposal, answered like this; decided again `later_s` seconds afterwards.
fn answered(case: &mut Case, answer: Option<Answer>, later_s: i64) {
    let Decision::Propose { plan, .. } = case.decide() else { panic!("{:?}", case.decide()) };
    let digest = plan.digest();
    let approval = |answer| Approval {
        incident: plan.incident.clone(),
        digest,
        answer,
        by: "anna".into(),
        note: String::new(),
        at: case.now,
    };
    let pending = PendingPlan {
        answer: answer.map(approval),
        ..PendingPlan::new(ProposedPlan { plan: plan.clone(), write: "{}".into() })
    };
    case.history.pending = [(plan.incident.clone(), Arc::new(pending))].into();
    case.now = Timestamp::from_secs(100_000 + later_s);
    case.incident.updated_at = case.now;
    let now = case.now;
    case.see().seen_at = now;
}

fn unsure() -> Case {
    let mut case = case();
    let low = Confidence::new(0.6).unwrap();
    case.incident.confidence = Calibrated { confidence: low, lower: low, n_outcomes: 50, n_verdicts: 0 };
    case
}

#[test]
fn what_was_shown_stays_the_very_plan_until_it_expires() {
    let mut case = unsure();
    let first = case.decide().plan().cloned().unwrap();
    answered(&mut case, None, 60);
    case.see().resource_version = "99".into();
    assert_eq!(case.decide().plan(), Some(&first), "only its status changed");
    let waits_s = i64::try_from(case.limits.approve_within.as_secs()).unwrap();
    for (later_s, is_same) in [(waits_s - 1, true), (waits_s, false)] {
        case.now = Timestamp::from_secs(100_000 + later_s);
        case.incident.updated_at = case.now;
        let now = case.now;
        case.see().seen_at = now;
        let decision = case.decide();
        assert!(matches!(decision, Decision::Propose { .. }), "{decision:?}");
        assert_eq!(decision.plan() == Some(&first), is_same, "{later_s}");
    }
}

#[test]
fn an_approval_overrules_what_a_person_may_overrule_and_names_who_did() {
    let mut case = unsure();
    answered(&mut case, Some(Answer::Approve), 60);
    case.see().resource_version = "99".into();
    let decision = case.decide();
    let Decision::Approved { plan, approval, resource_version, overruled } = &decision else { panic!("{decision:?}") };
    assert_eq!(
        (plan.digest(), approval.by.as_str(), resource_version.as_str()),
        (approval.digest.clone(), "anna", "99")
    );
    assert_eq!(overruled[0].code, "low-confidence");
    let record = decision.record(&Proposal::new(&case.incident, &case.policies, &case.history));
    assert_eq!((record.outcome, record.approved_by.as_deref()), (DecisionOutcome::Execute, Some("anna")));
}

/// A reason's code, and what brings it about.
type Against = (&'static str, fn(&mut Case));

#[test]
fn nothing_that_no_person_can_overrule_is_overruled() {
    let against: [Against; 6] = [
        ("kill-switch", |case| case.kill_switch = KillSwitch { engaged: true, why: "test".into() }),
        ("rollout-in-progress", |case| case.see().rollout_in_progress = true),
        ("max-attempts", |case| {
            let kind = IncidentType::OomKilled;
            case.history.actions = shared([ended("cart", kind, 3000), ended("cart", kind, 2000)]);
        }),
        ("managed-by-other", |case| {
            case.see().owner = Some(Owner { name: "Argo CD".into(), seen_by: "a label".into() });
        }),
        ("not-open", |case| case.incident.state = IncidentState::Stale),
        ("policy-frozen", |case| {
            case.history.frozen.insert(case.policies[0].name.clone(), "worse".into());
        }),
    ];
    for (code, change) in against {
        let mut case = unsure();
        answered(&mut case, Some(Answer::Approve), 60);
        change(&mut case);
        let decision = case.decide();
        let codes: Vec<&str> = decision.objections().iter().map(|objection| objection.code.as_ref()).collect();
        assert!(matches!(decision, Decision::Refuse { .. }) && codes.len() >= 2, "{code}: {decision:?}");
    }
}

#[test]
fn below_execute_an_approval_writes_nothing() {
    let mut case = unsure();
    case.mode = Mode::Recommend;
    answered(&mut case, Some(Answer::Approve), 60);
    assert!(matches!(case.decide(), Decision::Propose { .. }), "{:?}", case.decide());
}

#[test]
fn what_was_approved_and_is_not_what_would_be_done_now_is_proposed_anew() {
    let changes: [fn(&mut Case); 4] = [
        |case| case.see().uid = "another".into(),
        |case| case.see().generation = Some(5),
        |case| case.see().replicas_wanted = 2,
        |case| case.policies[0].name = "another".into(),
    ];
    for (idx, change) in changes.into_iter().enumerate() {
        let mut case = unsure();
        answered(&mut case, Some(Answer::Approve), 60);
        let shown = case.history.pending.values().next().unwrap().plan().clone();
        change(&mut case);
        let decision = case.decide();
        let Decision::Propose { plan, .. } = &decision else { panic!("{idx}: {decision:?}") };
        assert_ne!(plan, &shown, "{idx}");
        assert_eq!(plan.decided_at, case.now, "{idx}");
    }
}

#[test]
fn a_rejected_action_is_not_proposed_again_and_another_one_is() {
    let mut case = unsure();
    answered(&mut case, Some(Answer::Reject), 40_000);
    let decision = case.decide();
    assert_eq!(decision.objections()[0].code, "rejected");
    assert!(matches!(decision, Decision::Refuse { .. }), "{decision:?}");
    assert_eq!(decision.next_step(), NextStep::Note, "whoever said no needn't be called");
    case.incident.incident_type = IncidentType::BadDeployment;
    assert!(matches!(case.decide(), Decision::Propose { .. }), "{:?}", case.decide());
}
