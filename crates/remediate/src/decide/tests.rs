mod approvals;
mod rego;
mod steps;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{
    Annotation, Calendar, Calibrated, Confidence, CorrelationId, Evidence, Incident, IncidentId, IncidentState,
    IncidentType, Mode, PlannedEvent, Score, Signal, Subject, Topology, Weekday, WorkloadKind,
};
use proptest::prelude::*;

use super::*;
use crate::action::Actions;
use crate::approval::{Answer, ProposedPlan};
use crate::dry_run::DryRun;
use crate::guardrails::GUARDRAILS;
use crate::inspected::{Disruption, DisruptionBudget, Marker, Owner, PreviousRevision};
use crate::kill_switch::KillSwitch;
use crate::known::Known;
use crate::newest_rows::NewestRows;
use crate::observation::{Observation, RowScore};
use crate::past_action::PastAction;
use crate::past_actions::PastActions;
use crate::policy::{ActionBudget, AllowedHours, Freeze, IfFailed, Scope, load_policies};
use crate::rego::{RegoFile, RegoRules};
use crate::same_cluster::SameCluster;
use crate::stage::{JournalEvent, Stage};
use crate::step::{Args, Inverse};
use crate::test_actions::{RESTART, actions, undo_to};
use crate::test_plan::plan as restart_of;

mod facts;

/// Everything that decides, all of it speaking for acting; tests change one thing.
struct Case {
    incident: Incident,
    policies: Vec<Policy>,
    seen: Result<Inspected, InspectError>,
    history: History,
    mode: Mode,
    kill_switch: KillSwitch,
    others: Vec<Incident>,
    is_storm: bool,
    newest_rows: NewestRows,
    dry_run: DryRun,
    same_cluster: SameCluster,
    topology: Topology,
    calendar: Calendar,
    actions: Actions,
    rego: Option<RegoRules>,
    limits: SafetyLimits,
    now: Timestamp,
}

const NOW: Timestamp = Timestamp::from_secs(100_000);

fn cart() -> Subject {
    Subject::deployment("shop", "cart")
}

fn incident(subject: &Subject, kind: IncidentType) -> Incident {
    let sure = Confidence::new(0.95).unwrap();
    Incident {
        id: IncidentId::of(subject, NOW),
        correlation: CorrelationId::of(subject, NOW),
        subject: subject.clone(),
        incident_type: kind,
        state: IncidentState::Open,
        opened_at: NOW,
        updated_at: NOW,
        score: Score::THRESHOLD,
        score_peak: Score::THRESHOLD,
        confidence: Calibrated { confidence: sure, lower: sure, n_outcomes: 50, n_verdicts: 0 },
        evidence: vec![Evidence {
            feature: "errors".into(),
            signal: Signal::ErrorRatio,
            observed: 1.0,
            expected: 0.0,
            deviation: 8.0,
        }],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}

fn case() -> Case {
    let policies = "
remediation_policies:
- {incident_type: oom-killed, auto_execute: true, confidence_threshold: 0.9, max_attempts: 2, rollback_if_failed: true,
   scope: {namespaces: [shop, kube-system]}}
- {incident_type: bad-deployment, auto_execute: true, confidence_threshold: 0.9, rollback_if_failed: true,
   scope: {namespaces: [shop]}}
";
    Case {
        incident: incident(&cart(), IncidentType::OomKilled),
        policies: load_policies(policies, "p", &actions()).unwrap(),
        seen: Ok(Inspected {
            generation: Some(4),
            revision: Some("7".into()),
            revision_previous: Known::Is(PreviousRevision { revision: "6".into(), change: None }),
            replicas_wanted: 3,
            replicas_available: 1,
            disruption: Disruption { is_recreate: false, unavailable_max: 1, budget: Known::NotApplicable },
            ..Inspected::at_rest("u", WorkloadKind::Deployment, NOW)
        }),
        history: History::default(),
        mode: Mode::Execute,
        kill_switch: KillSwitch::default(),
        others: vec![],
        is_storm: false,
        newest_rows: NewestRows::default(),
        dry_run: DryRun::Passed,
        same_cluster: SameCluster::Proven,
        topology: Topology::new(),
        calendar: Calendar::default(),
        actions: actions(),
        rego: None,
        limits: SafetyLimits::default(),
        now: NOW,
    }
}

impl Case {
    fn decide(&self) -> Decision {
        let mut open = self.others.clone();
        open.push(self.incident.clone());
        let environment = self.environment(&open);
        let proposal = Proposal::new(&self.incident, &self.policies, &self.history);
        decide(&proposal, self.seen.as_ref(), &self.history, &environment, &self.limits, self.now)
    }

    fn environment<'a>(&'a self, open: &'a [Incident]) -> Environment<'a> {
        Environment {
            mode: self.mode,
            kill_switch: &self.kill_switch,
            open,
            is_storm: self.is_storm,
            newest_rows: &self.newest_rows,
            dry_run: &self.dry_run,
            same_cluster: &self.same_cluster,
            topology: &self.topology,
            calendar: &self.calendar,
            actions: &self.actions,
            rego: self.rego.as_ref(),
        }
    }

    fn see(&mut self) -> &mut Inspected {
        self.seen.as_mut().unwrap()
    }
}

/// One row since the incident opened, and it is normal.
fn normal_row(incident: &Incident) -> NewestRows {
    let (at, features) = (incident.opened_at, features(incident));
    let normal = |feature: &String| Observation {
        feature: feature.clone(),
        signal: Signal::Memory,
        at,
        value: Some(0.5),
        deviation: Some(0.0),
        normal: true,
    };
    let observations: Vec<Observation> = features.iter().map(normal).collect();
    NewestRows::of(&features, at, &observations, &[RowScore { at, is_calm: true, opens_at_once: false }])
}

fn shared(actions: impl IntoIterator<Item = PastAction>) -> Arc<PastActions> {
    Arc::new(actions.into_iter().collect())
}

/// An action of this workload that ended `ago_s` seconds before [`NOW`].
fn ended(name: &str, kind: IncidentType, ago_s: i64) -> PastAction {
    let unknown = JournalEvent::OutcomeUnknown { why: "test".into() };
    ended_by(name, kind, ago_s, &[JournalEvent::ApplyStarted, unknown])
}

fn ended_by(name: &str, kind: IncidentType, ago_s: i64, events: &[JournalEvent]) -> PastAction {
    let at = Timestamp::from_secs(100_000 - ago_s);
    let mut plan = restart_of(name, at);
    plan.incident_type = kind;
    let mut action = PastAction::intended(plan, at);
    for event in events {
        action.step(event, at).unwrap();
    }
    action
}

/// An attempt that surely wrote nothing.
fn not_applied(ago_s: i64, refused: bool) -> PastAction {
    let event = JournalEvent::NotApplied { why: "denied".into(), refused };
    let mut action = ended_by("cart", IncidentType::OomKilled, ago_s, &[event]);
    action.plan.incident = IncidentId::of(&cart(), NOW);
    action
}

#[test]
fn with_nothing_against_it_the_plan_is_complete() {
    let Decision::Execute(plan) = case().decide() else { panic!("{:?}", case().decide()) };
    assert_eq!(
        (&plan.step.action, &plan.step.args),
        (&RESTART, &Args::default().with("restarted_at", NOW.to_string()))
    );
    assert_eq!((plan.inverse, plan.undo_if_failed), (Inverse::Nothing, false));
    assert_eq!((plan.target.uid.as_str(), plan.target.resource_version.as_str()), ("u", "1"));
    assert_eq!(plan.verify.features, ["errors"]);
    assert_eq!(plan.verify.replicas_before, 3);
    assert!(plan.apply_before > NOW && plan.deadline > plan.apply_before + plan.verify.settle + plan.verify.window);
}

#[test]
fn an_undo_names_both_revisions() {
    let mut case = case();
    case.incident.incident_type = IncidentType::BadDeployment;
    let Decision::Execute(plan) = case.decide() else { panic!("{:?}", case.decide()) };
    assert_eq!(plan.step, undo_to("6"));
    assert_eq!(plan.inverse, Inverse::Step(undo_to("7")));
    assert!(plan.undo_if_failed);
}

/// One reason each: what is changed, the code that must come out, and nothing else.
///
/// I1, I18, I24, I26, I27, I29.
#[test]
fn every_guardrail_objects_alone_and_with_its_own_code() {
    type Change = fn(&mut Case);
    let changes: &[(&str, Change)] = &[
        ("kill-switch", |case| case.kill_switch.engaged = true),
        ("mode", |case| case.mode = Mode::Recommend),
        ("mode", |case| case.policies[0].mode = Mode::Observe),
        ("incident-not-open", |case| case.incident.state = IncidentState::Stale),
        ("incident-not-open", |case| case.incident.state = IncidentState::Resolved),
        ("stale-decision", |case| case.incident.updated_at = Timestamp::from_secs(99_000)),
        ("stale-decision", |case| case.incident.updated_at = Timestamp::from_secs(100_001)),
        ("stale-decision", |case| case.see().seen_at = Timestamp::from_secs(99_900)),
        ("stale-decision", |case| case.see().seen_at = Timestamp::from_secs(100_001)),
        ("planned-event", |case| case.incident.annotations.push(Annotation::PlannedEvent { name: "sale".into() })),
        ("planned-event", |case| case.calendar.events.push(event(99_000, 101_000))),
        // It would still be at work when the event begins (I29).
        ("planned-event", |case| case.calendar.events.push(event(100_300, 101_000))),
        ("dependency-first", |case| {
            let db = Subject::deployment("shop", "db");
            case.topology.add(cart(), db.clone());
            case.others.push(incident(&db, IncidentType::Unknown));
        }),
        ("dependency-first", |case| {
            let db = Subject::deployment("shop", "db");
            let incident = IncidentId::of(&db, NOW);
            case.incident.annotations.push(Annotation::DependencyAffected { dependency: db, incident });
        }),
        ("no-policy", |case| case.incident.incident_type = IncidentType::Latency),
        ("not-typed-yet", |case| case.incident.incident_type = IncidentType::Unknown),
        ("fake", |case| case.incident.subject.name = "fake-guardrail".into()),
        ("out-of-scope", |case| case.incident.subject.namespace = "bank".into()),
        ("no-scope", |case| case.policies[0].scope = Scope::Unstated),
        ("no-action", |case| case.policies[0].action = None),
        ("ladder-ended", |case| {
            if let Some(action) = &mut case.policies[0].action {
                action.if_failed = IfFailed::Escalate;
            }
            let mut before = ended("cart", IncidentType::CpuSpike, 5000);
            before.plan.incident = case.incident.id.clone();
            before.plan.policy = case.policies[0].name.clone();
            case.history.actions = shared([before]);
        }),
        ("needs-approval", |case| case.policies[0].approval.for_actions = BTreeSet::from([RESTART])),
        ("needs-approval", |case| case.policies[0].approval.below_confidence = Confidence::new(0.99).ok()),
        ("outside-hours", |case| {
            // It is a Friday, 03:46 in UTC.
            let hours = |from: &str, to: &str| AllowedHours {
                days: BTreeSet::from([Weekday::Friday]),
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
            };
            case.policies[0].calendar.allowed = vec![hours("00:00", "03:46"), hours("03:47", "24:00")];
        }),
        // It would still be at work when the freeze begins.
        ("change-freeze", |case| {
            let (from, to) = (Timestamp::from_secs(100_300), Timestamp::from_secs(101_000));
            case.policies[0].calendar.freezes = vec![Freeze { name: "release".into(), from, to }];
        }),
        ("policy-budget", |case| {
            case.policies[0].budget = Some(ActionBudget { max: 2, window: Duration::from_secs(7200) });
            let mut others = [ended("a", IncidentType::OomKilled, 4000), ended("b", IncidentType::OomKilled, 7199)];
            others.iter_mut().for_each(|other| other.plan.policy = case.policies[0].name.clone());
            case.history.actions = shared(others);
        }),
        ("poor-record", |case| {
            let mut others = [1, 2, 3, 4].map(|idx| ended(&format!("s{idx}"), IncidentType::OomKilled, 20_000 * idx));
            others.iter_mut().for_each(|other| other.plan.policy = case.policies[0].name.clone());
            case.history.actions = shared(others);
        }),
        ("unsupported-action", |case| case.actions = Actions::default()),
        ("fact-forbids", |case| case.incident.annotations.push(facts::missing_image())),
        ("policy-frozen", |case| {
            case.history.frozen.insert("oom-killed".into(), "worse".into());
        }),
        ("auto-execute-off", |case| case.policies[0].auto_execute = false),
        ("self-protection", |case| {
            case.limits.own_namespaces = BTreeSet::from(["shop".to_owned()]);
        }),
        ("self-protection", |case| case.limits.own_subjects = BTreeSet::from([cart()])),
        ("never-auto", |case| case.incident.subject.namespace = "kube-system".into()),
        ("never-auto", |case| case.see().has_persistent_volume = true),
        ("never-auto", |case| {
            case.incident.subject.kind = WorkloadKind::StatefulSet;
            case.see().kind = WorkloadKind::StatefulSet;
        }),
        ("never-auto", |case| {
            case.incident.incident_type = IncidentType::BadDeployment;
            case.see().revision = None;
        }),
        ("low-confidence", |case| case.incident.confidence.lower = Confidence::new(0.899).unwrap()),
        ("too-few-outcomes", |case| case.incident.confidence.n_outcomes = 19),
        ("not-verifiable", |case| case.incident.evidence.clear()),
        ("max-attempts", |case| {
            case.history.actions =
                shared([ended("cart", IncidentType::OomKilled, 3599), ended("cart", IncidentType::OomKilled, 1000)]);
        }),
        ("target-attempts", |case| {
            case.history.actions = shared((0..4).map(|idx| ended("cart", IncidentType::CpuSpike, 1000 + idx)));
        }),
        ("start-limit", |case| {
            case.history.actions = shared((0..6).map(|idx| ended(&format!("s{idx}"), IncidentType::OomKilled, 5)));
        }),
        ("cooldown-active", |case| case.history.actions = shared([ended("cart", IncidentType::CpuSpike, 599)])),
        ("in-flight", |case| {
            case.history.actions = shared([PastAction::intended(restart_of("other", NOW), NOW)]);
        }),
        ("storm", |case| case.is_storm = true),
        ("signals-normal", |case| case.newest_rows = normal_row(&case.incident)),
        ("not-inspected", |case| case.seen = Err(InspectError::NotConfigured { why: "nothing to look with".into() })),
        ("cluster-unavailable", |case| case.seen = Err(InspectError::Unavailable { why: "down".into() })),
        ("target-not-found", |case| case.seen = Err(InspectError::NotFound { subject: cart() })),
        ("target-changed", |case| case.see().kind = WorkloadKind::DaemonSet),
        ("target-changed", |case| {
            let mut before = ended("cart", IncidentType::CpuSpike, 5000);
            before.plan.incident = case.incident.id.clone();
            before.plan.target.uid = "an earlier object".into();
            case.history.actions = shared([before]);
        }),
        ("scaled-to-zero", |case| case.see().replicas_wanted = 0),
        ("rollout-in-progress", |case| case.see().rollout_in_progress = true),
        ("rollout-failed", |case| case.see().rollout_failed = Some("ProgressDeadlineExceeded".into())),
        ("paused", |case| case.see().paused = true),
        ("autoscaler-paused", |case| *case = steps::scaled_by_keda("autoscaling.keda.sh/paused", "true")),
        ("gitops-managed", |case| {
            case.see().owner = Some(Owner { name: "Flux".into(), seen_by: "a label".into() });
        }),
        ("overridden", |case| {
            let applied = JournalEvent::Applied { resource_version: "2".into(), altered: None };
            let events = [JournalEvent::ApplyStarted, applied, JournalEvent::Overridden { why: "put back".into() }];
            case.history.actions = shared([ended_by("cart", IncidentType::CpuSpike, 5000, &events)]);
        }),
        ("rejected", |case| {
            let plan = crate::test_plan::plan("cart", NOW);
            let (incident, digest, at) = (plan.incident.clone(), plan.digest(), NOW);
            let (by, note) = ("anna".to_owned(), "not now".to_owned());
            let no = Approval { incident: incident.clone(), digest, answer: Answer::Reject, by, note, at };
            let shown = PendingPlan::new(ProposedPlan { plan, write: "{}".into() });
            case.history.pending = [(incident, Arc::new(PendingPlan { answer: Some(no), ..shown }))].into();
        }),
        ("write-refused", |case| case.history.actions = shared([not_applied(5000, true)])),
        ("another-instance", |case| {
            case.see().marker = Some(Marker { action: "act-theirs".into(), at: Some(Timestamp::from_secs(99_000)) });
        }),
        ("another-instance", |case| case.see().marker = Some(Marker { action: "act-theirs".into(), at: None })),
        ("admission-denied", |case| {
            let why = "403 Forbidden: admission webhook \"validation.gatekeeper.sh\" denied the request: [owner] no owner label";
            case.dry_run = DryRun::Refused { why: why.into() };
        }),
        ("admission-denied", |case| {
            let why = "deployments.apps \"cart\" is forbidden: ValidatingAdmissionPolicy 'owners' with binding 'all' denied request: no owner";
            case.dry_run = DryRun::Refused { why: why.into() };
        }),
        ("dry-run-refused", |case| case.dry_run = DryRun::Refused { why: "403 Forbidden: exceeded quota".into() }),
        ("not-writable-now", |case| case.dry_run = DryRun::NotNow { why: "a webhook is down".into() }),
        ("rego-denied", |case| {
            case.rego = rego::rules("package homeostat\n\ndeny contains \"not now\" if input.action.attempt == 1")
        }),
        ("rego-failed", |case| {
            case.rego = rego::rules("package homeostat\n\ndeny contains 7 if input.mode == \"execute\"")
        }),
        ("takes-all-down", |case| case.see().disruption.is_recreate = true),
        ("takes-all-down", |case| case.see().disruption.unavailable_max = 3),
        ("disruption-budget", |case| {
            case.see().disruption.budget = Known::Is(DisruptionBudget { name: "cart".into(), allowed: 0 });
        }),
        ("cluster-unproven", |case| case.same_cluster = SameCluster::Unproven { why: "two clusters".into() }),
        ("no-previous-revision", |case| {
            case.incident.incident_type = IncidentType::BadDeployment;
            case.see().revision_previous = Known::NotApplicable;
        }),
    ];
    let mut met = BTreeSet::from(["just-recovered".to_owned()]);
    for (code, change) in changes {
        let mut case = case();
        change(&mut case);
        let decision = case.decide();
        let codes: Vec<&str> = decision.objections().iter().map(|objection| objection.code.as_ref()).collect();
        assert_eq!(codes, [*code], "{decision:?}");
        let is_proposed = matches!(decision, Decision::Propose { .. });
        assert_eq!(is_proposed, decision.objections()[0].approvable, "{decision:?}");
        let text = decision.objections()[0].to_string();
        assert!(text.split_whitespace().count() >= 3 && !text.ends_with('.'), "{text}");
        met.insert((*code).to_owned());
    }
    // It comes beside the cooldown, never alone.
    let mut case = case();
    let applied = JournalEvent::Applied { resource_version: "2".into(), altered: None };
    let mut recovered =
        ended_by("cart", IncidentType::OomKilled, 30, &[JournalEvent::ApplyStarted, applied, JournalEvent::Recovered]);
    recovered.plan.incident = case.incident.id.clone();
    case.history.actions = shared([recovered]);
    let codes: Vec<String> = case.decide().objections().iter().map(|objection| objection.code.to_string()).collect();
    assert_eq!(codes, ["cooldown-active", "just-recovered"]);
    let all: BTreeSet<String> =
        GUARDRAILS.iter().flat_map(|guardrail| guardrail.codes()).map(|code| (*code).to_owned()).collect();
    assert_eq!(all.difference(&met).collect::<Vec<_>>(), Vec::<&String>::new(), "codes that no case meets");
}

fn event(start_s: i64, end_s: i64) -> PlannedEvent {
    PlannedEvent {
        name: "sale".into(),
        start: Timestamp::from_secs(start_s),
        end: Timestamp::from_secs(end_s),
        namespaces: vec![],
        workloads: vec![],
    }
}

#[test]
fn every_reason_is_listed_with_its_values_and_the_action_still_shown() {
    let mut case = case();
    case.kill_switch = KillSwitch { engaged: true, why: "drill by ada".into() };
    case.incident.confidence.lower = Confidence::new(0.61).unwrap();
    case.history.actions = shared([ended("cart", IncidentType::CpuSpike, 240)]);
    let decision = case.decide();
    assert_eq!(decision.action(), Some(&RESTART));
    let told: Vec<String> = decision.objections().iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "automation is stopped: drill by ada");
    assert_eq!(told[1], "the confidence's lower bound is 0.61 (estimate 0.95), below the threshold 0.90");
    assert!(told[2].starts_with("6m of the cooldown after act-"), "{}", told[2]);
}

/// I4: whatever the end, it starts the cooldown.
#[test]
fn every_end_starts_the_cooldown() {
    for stage in Stage::ALL.into_iter().filter(|stage| stage.is_end()) {
        let mut case = case();
        let mut action = ended("cart", IncidentType::CpuSpike, 10);
        action.stage = stage;
        case.history.actions = shared([action]);
        assert_eq!(case.decide().objections()[0].code, "cooldown-active", "{stage}");
    }
}

#[test]
fn the_longer_of_two_policies_cooldowns_holds() {
    let mut case = case();
    case.policies[1].cooldown_after_action = Duration::from_secs(3600);
    let mut long_ago = ended("cart", IncidentType::BadDeployment, 3000);
    long_ago.plan.policy = "bad-deployment".into();
    case.history.actions = shared([long_ago, ended("cart", IncidentType::CpuSpike, 2000)]);
    let decision = case.decide();
    let [objection] = decision.objections() else { panic!("{decision:?}") };
    assert_eq!((objection.code.as_ref(), &objection.values["remaining_s"]), ("cooldown-active", &600.into()));
    assert_eq!(objection.next_step(), NextStep::Escalate);
}

#[test]
fn what_wrote_nothing_costs_no_attempt_but_isnt_tried_without_end() {
    let mut case = case();
    case.history.actions = shared([not_applied(1000, false), not_applied(61, false)]);
    assert!(matches!(case.decide(), Decision::Execute(_)), "{:?}", case.decide());
    Arc::make_mut(&mut case.history.actions).push(not_applied(59, false));
    let codes: Vec<String> = case.decide().objections().iter().map(|objection| objection.code.to_string()).collect();
    assert_eq!(codes, ["cooldown-active", "max-attempts"]);
}

#[test]
fn a_hung_roll_out_may_be_undone() {
    let mut case = case();
    case.incident.incident_type = IncidentType::BadDeployment;
    case.see().rollout_failed = Some("ProgressDeadlineExceeded".into());
    assert!(matches!(case.decide(), Decision::Execute(_)), "{:?}", case.decide());
}

#[test]
fn incidents_that_went_silent_make_no_storm() {
    let mut case = case();
    case.others = (0..11)
        .map(|idx| incident(&Subject::deployment("preview", format!("p{idx}")), IncidentType::Unknown))
        .collect();
    assert_eq!(case.decide().objections()[0].code, "storm");
    for other in &mut case.others {
        other.state = IncidentState::Stale;
    }
    assert!(matches!(case.decide(), Decision::Execute(_)), "{:?}", case.decide());
}

#[test]
fn our_own_mark_and_an_old_one_of_another_instance_dont_count() {
    let mut case = case();
    let ours = ended("cart", IncidentType::CpuSpike, 5000);
    case.see().marker = Some(Marker { action: ours.plan.id.to_string(), at: None });
    case.history.actions = shared([ours]);
    assert!(matches!(case.decide(), Decision::Execute(_)), "{:?}", case.decide());
    case.see().marker = Some(Marker { action: "act-theirs".into(), at: Some(Timestamp::from_secs(96_000)) });
    assert!(matches!(case.decide(), Decision::Execute(_)), "{:?}", case.decide());
}

/// I31.
#[test]
fn a_confidence_equal_to_the_threshold_passes() {
    let mut case = case();
    case.incident.confidence.lower = Confidence::new(0.9).unwrap();
    assert!(matches!(case.decide(), Decision::Execute(_)));
}

proptest! {
    /// I28: at an earlier `now` the budgets object at least as much, and a clock that stepped back permits nothing new.
    #[test]
    fn a_clock_that_steps_back_only_makes_budgets_stricter(
        ago in prop::collection::vec((0usize..3, -500i64..8000), 0..12), back_s in 0i64..5000,
    ) {
        let names = ["cart", "web", "db"];
        let mut case = case();
        case.history.actions = shared(ago.iter().map(|(idx, ago_s)| ended(names[*idx], IncidentType::OomKilled, *ago_s)));
        let budget = ["max-attempts", "target-attempts", "start-limit", "cooldown-active", "in-flight"];
        let codes = |case: &Case| -> BTreeSet<String> {
            let codes = case.decide().objections().iter().map(|objection| objection.code.to_string()).collect::<Vec<_>>();
            codes.into_iter().filter(|code| budget.contains(&code.as_str())).collect()
        };
        let before = codes(&case);
        case.now = Timestamp::from_secs(100_000 - back_s);
        let after = codes(&case);
        prop_assert!(after.is_superset(&before), "{:?} then {:?}", before, after);
        // Seen and heard of in the future: nothing is done before the clock has caught up.
        prop_assert!(back_s == 0 || !matches!(case.decide(), Decision::Execute(_)));
    }
}
