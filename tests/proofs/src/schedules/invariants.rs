//! The invariants of docs/safety.md as functions over what happened in a schedule, one each, under its number. Those that can't be
//! violated here, because nothing in a schedule has to do with them, have none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use homeostat_core::{Subject, Timestamp};
use homeostat_execute::DriverEvent;
use homeostat_remediate::{Decision, PastAction, PlanId, Policy, Stage, Verdict};
use serde_json::Value;

use super::record::{Call, Record, What};
use super::{API, NAMESPACE, WEB, policies};

/// One check: every sentence is a violation.
type Check = fn(&Record) -> Vec<String>;

/// All of them.
pub(super) const ALL: [(u8, Check); 18] = [
    (1, one_action_at_a_time),
    (3, no_more_attempts_than_allowed),
    (4, every_end_starts_the_cooldown),
    (5, an_intent_with_the_write_comes_first),
    (6, what_was_written_is_never_called_not_applied),
    (7, every_write_has_one_effect),
    (8, nothing_leaves_late),
    (9, only_the_newest_process_writes),
    (10, nothing_leaves_the_scope),
    (11, a_stop_holds_every_write),
    (13, recovery_rests_on_fresh_normal_points),
    (15, every_action_ends_in_time),
    (16, taken_back_once_and_only_after_it_was_written),
    (17, what_made_it_worse_is_frozen),
    (22, what_was_put_back_isnt_written_again),
    (26, what_keeps_state_is_left_alone),
    (30, below_execute_nothing_is_written),
    (32, every_decision_is_recorded_and_the_chain_holds),
];

/// Those that rest on escalations, which are asked of the journal.
pub(super) const CALLS: (u8, Check) = (33, whoever_is_needed_is_called);

fn one_action_at_a_time(record: &Record) -> Vec<String> {
    let mut in_flight: BTreeSet<&str> = BTreeSet::new();
    let mut broken = Vec::new();
    let ended: BTreeMap<&str, usize> =
        record.rows.iter().enumerate().filter_map(|(idx, row)| ends(row).map(|plan| (plan, idx))).collect();
    for (idx, row) in record.rows.iter().enumerate() {
        if row.kind == "intent" {
            in_flight.insert(&row.about.plan);
            if in_flight.len() > 1 {
                broken.push(format!("row {}: {} actions in flight", row.seq, in_flight.len()));
            }
        }
        if ended.get(row.about.plan.as_str()) == Some(&idx) {
            in_flight.remove(row.about.plan.as_str());
        }
    }
    broken
}

/// The plan that this row ends.
fn ends(row: &homeostat_journal::Row) -> Option<&str> {
    let is_end = match row.kind.as_str() {
        "not-applied" | "recovered" | "outcome-unknown" | "overridden" | "undone" | "stuck" => true,
        "not-recovered" => !row.body.contains("\"undo\":true"),
        _ => false,
    };
    is_end.then_some(row.about.plan.as_str())
}

fn policy_of<'a>(policies: &'a [Policy], action: &PastAction) -> Option<&'a Policy> {
    policies.iter().find(|policy| policy.name == action.plan.policy)
}

/// By the journal's times. A clock that is set forward makes windows shorter, so those schedules say nothing here.
fn no_more_attempts_than_allowed(record: &Record) -> Vec<String> {
    let policies = policies();
    let mut broken = Vec::new();
    for action in record.actions.iter().filter(|_| !record.is_clock_set) {
        let Some(policy) = policy_of(&policies, action) else { continue };
        let same = |other: &&PastAction| {
            other.stage != Stage::NotApplied
                && other.plan.target.subject == action.plan.target.subject
                && other.plan.incident_type == action.plan.incident_type
                && other.intended_at <= action.intended_at
                && other.intended_at + policy.attempts_window > action.intended_at
        };
        let n = record.actions.iter().filter(same).count();
        if n > usize::try_from(policy.max_attempts).unwrap_or(usize::MAX) {
            broken.push(format!("{}: attempt {n} of {}", action.plan.id, policy.max_attempts));
        }
    }
    broken
}

fn every_end_starts_the_cooldown(record: &Record) -> Vec<String> {
    let policies = policies();
    let mut broken = Vec::new();
    for action in record.actions.iter().filter(|_| !record.is_clock_set) {
        let Some(policy) = policy_of(&policies, action) else { continue };
        for other in record.actions.iter().filter(|other| other.plan.target.subject == action.plan.target.subject) {
            let wrote_nothing = other.stage == Stage::NotApplied;
            let cooldown = if wrote_nothing { Duration::from_secs(60) } else { policy.cooldown_after_action };
            let is_before = other.intended_at < action.intended_at && other.stage.is_end();
            if is_before && other.stage_at + cooldown > action.intended_at {
                broken.push(format!("{} begins before the cooldown after {} is over", action.plan.id, other.plan.id));
            }
        }
    }
    broken
}

fn an_intent_with_the_write_comes_first(record: &Record) -> Vec<String> {
    let begins = |what: What| match what {
        What::Apply => "apply-started",
        What::Undo => "undo-started",
    };
    let is_right = |call: &&Call| {
        let before = &record.rows[..call.n_rows.min(record.rows.len())];
        let of_plan = || before.iter().filter(|row| row.about.plan == call.plan.id.as_str());
        let write = serde_json::to_string(&call.plan.step).unwrap_or_default();
        let has_write =
            |body: &str| serde_json::from_str::<Value>(body).is_ok_and(|body| body["write"] == write.as_str());
        let is_intended = of_plan().any(|row| row.kind == "intent" && has_write(&row.body));
        is_intended && of_plan().any(|row| row.kind == begins(call.what))
    };
    record
        .calls
        .iter()
        .filter(|call| !is_right(call))
        .map(|call| format!("{} {:?} at {}", call.plan.id, call.what, call.at))
        .collect()
}

fn what_was_written_is_never_called_not_applied(record: &Record) -> Vec<String> {
    let not_applied: BTreeSet<&PlanId> = record
        .actions
        .iter()
        .filter(|action| action.stage == Stage::NotApplied)
        .map(|action| &action.plan.id)
        .collect();
    let wrong = record.effects.iter().filter(|effect| not_applied.contains(&effect.plan.id));
    wrong.map(|effect| format!("{} was written at {}", effect.plan.id, effect.at)).collect()
}

fn every_write_has_one_effect(record: &Record) -> Vec<String> {
    n_effects(record, What::Apply)
        .into_iter()
        .filter(|(_, n)| *n > 1)
        .map(|(plan, n)| format!("{plan}: {n} effects"))
        .collect()
}

fn n_effects(record: &Record, what: What) -> BTreeMap<&PlanId, usize> {
    let mut n_effects = BTreeMap::new();
    for effect in record.effects.iter().filter(|effect| effect.what == what) {
        *n_effects.entry(&effect.plan.id).or_insert(0) += 1;
    }
    n_effects
}

fn nothing_leaves_late(record: &Record) -> Vec<String> {
    let is_late = |call: &&Call| call.what == What::Apply && call.at >= call.plan.apply_before;
    let late = record.calls.iter().filter(|_| !record.is_clock_set).filter(is_late);
    late.map(|call| format!("{} left at {}, it was due before {}", call.plan.id, call.at, call.plan.apply_before))
        .collect()
}

fn only_the_newest_process_writes(record: &Record) -> Vec<String> {
    let old = record.calls.iter().filter(|call| call.epoch < call.newest_epoch);
    old.map(|call| format!("{} {:?} by process {} of {}", call.plan.id, call.what, call.epoch, call.newest_epoch))
        .collect()
}

fn is_in_scope(subject: &Subject) -> bool {
    subject.namespace == NAMESPACE && [WEB, API].contains(&subject.name.as_str())
}

fn nothing_leaves_the_scope(record: &Record) -> Vec<String> {
    let outside = record.calls.iter().filter(|call| !is_in_scope(&call.plan.target.subject));
    outside.map(|call| format!("{} of {}", call.plan.id, call.plan.target.subject)).collect()
}

fn a_stop_holds_every_write(record: &Record) -> Vec<String> {
    let is_within = |at: Timestamp| record.stops.iter().any(|(from, until)| *from < at && at < *until);
    let wrong = record.calls.iter().filter(|call| call.is_stopped || is_within(call.at));
    wrong.map(|call| format!("{} {:?} left at {}", call.plan.id, call.what, call.at)).collect()
}

/// At least three rows after the action must have been there and normal: the schedule's signals are one feature, a row a cycle.
fn recovery_rests_on_fresh_normal_points(record: &Record) -> Vec<String> {
    let mut broken = Vec::new();
    for action in record.actions.iter().filter(|action| action.stage == Stage::Recovered && !record.is_clock_set) {
        let from = action.applied_at.unwrap_or(action.stage_at) + action.plan.verify.settle;
        if action.stage_at < from + Duration::from_secs(60) {
            broken.push(format!(
                "{} recovered at {}, less than three rows after {from}",
                action.plan.id, action.stage_at
            ));
        }
    }
    broken
}

/// What is due by the schedule's end has ended, and not much later than it was due: processes may be dead for some cycles, and a
/// hung API server costs each cycle some time. What a stop holds ends, too.
fn every_action_ends_in_time(record: &Record) -> Vec<String> {
    let cycles = Duration::from_secs(60);
    let is_due = |action: &&PastAction| record.ended_at.is_some_and(|end| action.plan.deadline + cycles < end);
    let open = record.actions.iter().filter(|action| !action.stage.is_end()).filter(is_due);
    let mut broken: Vec<String> = open.map(|action| format!("{} is still {}", action.plan.id, action.stage)).collect();
    broken.extend(record.actions.iter().filter(|_| !record.is_clock_set).filter_map(|action| {
        let is_waited_for =
            record.stops.is_empty() && action.stage_at > action.plan.deadline + Duration::from_secs(600);
        is_waited_for.then(|| {
            format!("{} ended at {}, its deadline was {}", action.plan.id, action.stage_at, action.plan.deadline)
        })
    }));
    broken
}

fn taken_back_once_and_only_after_it_was_written(record: &Record) -> Vec<String> {
    let (applied, undone) = (n_effects(record, What::Apply), n_effects(record, What::Undo));
    let wrong = undone.into_iter().filter(|(plan, n)| *n > 1 || !applied.contains_key(plan));
    wrong.map(|(plan, n)| format!("{plan} was taken back {n} times")).collect()
}

fn what_made_it_worse_is_frozen(record: &Record) -> Vec<String> {
    let worse = record.events.iter().filter_map(|event| match event {
        DriverEvent::Verdict { plan, verdict: Verdict::NotRecovered { made_worse: true, .. } } => Some(plan),
        _ => None,
    });
    let is_frozen =
        |policy: &str| record.rows.iter().any(|row| row.kind == "policy-frozen" && row.about.policy == policy);
    worse
        .filter(|plan| !is_frozen(&plan.policy))
        .map(|plan| format!("{} made it worse, {} goes on", plan.id, plan.policy))
        .collect()
}

fn what_was_put_back_isnt_written_again(record: &Record) -> Vec<String> {
    let mut broken = Vec::new();
    for before in record.actions.iter().filter(|action| action.stage == Stage::Overridden) {
        let again = |action: &&PastAction| {
            action.intended_at > before.stage_at && action.plan.target.uid == before.plan.target.uid
        };
        let again = record.actions.iter().filter(|_| !record.is_clock_set).filter(again);
        broken.extend(again.map(|action| format!("{} after {} was overridden", action.plan.id, before.plan.id)));
    }
    broken
}

fn what_keeps_state_is_left_alone(record: &Record) -> Vec<String> {
    let is_stateful = |call: &&Call| call.plan.target.subject.kind != homeostat_core::WorkloadKind::Deployment;
    record
        .calls
        .iter()
        .filter(is_stateful)
        .map(|call| format!("{} of {}", call.plan.id, call.plan.target.subject))
        .collect()
}

fn below_execute_nothing_is_written(record: &Record) -> Vec<String> {
    record
        .calls
        .iter()
        .filter(|call| !call.may_write)
        .map(|call| format!("{} {:?} at {}", call.plan.id, call.what, call.at))
        .collect()
}

fn every_decision_is_recorded_and_the_chain_holds(record: &Record) -> Vec<String> {
    let mut broken = Vec::new();
    if !record.is_chain_whole {
        broken.push("the journal's chain doesn't hold".to_owned());
    }
    let decided = |plan: &str| record.rows.iter().position(|row| row.kind == "decision" && row.about.plan == plan);
    for (idx, row) in record.rows.iter().enumerate().filter(|(_, row)| row.kind == "intent") {
        if decided(&row.about.plan).is_none_or(|before| before > idx) {
            broken.push(format!("{} has no decision before its intent", row.about.plan));
        }
    }
    let told = record.events.iter().filter_map(|event| match event {
        DriverEvent::Decided { decision: Decision::Execute(plan), .. } => Some(plan),
        _ => None,
    });
    broken.extend(
        told.filter(|plan| decided(plan.id.as_str()).is_none()).map(|plan| format!("{} isn't recorded", plan.id)),
    );
    broken
}

fn whoever_is_needed_is_called(record: &Record) -> Vec<String> {
    let is_called = |action: &PastAction| {
        record.rows.iter().any(|row| row.kind == "escalated" && row.about.incident == action.plan.incident.as_str())
            || record
                .events
                .iter()
                .any(|event| matches!(event, DriverEvent::Escalate(call) if call.incident == action.plan.incident))
    };
    let needs = |action: &&PastAction| match action.stage {
        Stage::NotRecovered | Stage::Unknown | Stage::Overridden | Stage::Undone | Stage::Stuck => true,
        Stage::Planned
        | Stage::Applying
        | Stage::Verifying
        | Stage::UndoDue
        | Stage::Undoing
        | Stage::Settling
        | Stage::NotApplied
        | Stage::Recovered => false,
    };
    let uncalled = record.actions.iter().filter(needs).filter(|action| !is_called(action));
    uncalled.map(|action| format!("nobody was called for {}, which ended {}", action.plan.id, action.stage)).collect()
}

#[cfg(test)]
mod tests;
