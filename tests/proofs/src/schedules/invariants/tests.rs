use homeostat_core::WorkloadKind;

use super::super::record::Effect;
use super::super::{Drill, World, record};
use super::*;
use homeostat_core::Seed;

const HOUR: Duration = Duration::from_secs(3600);

/// A schedule in which nothing goes wrong but the shop's own faults, with at least one action.
fn calm() -> Record {
    let calm = |seed| record(|| World::drill(Seed::new(seed), Drill { after: 10 * HOUR, hangs_after: None }));
    (0..50).map(calm).find(|record| !record.effects.is_empty() && !record.actions.is_empty()).unwrap()
}

/// What is done to the record of a schedule in which all is well, so that exactly this invariant doesn't hold.
fn break_it(record: &mut Record, invariant: u8) {
    let action = record.actions[0].clone();
    let another = |stage: Stage, intended_at: Timestamp| {
        let mut other = action.clone();
        other.plan.id = PlanId::of(&other.plan.incident, 99);
        (other.stage, other.intended_at) = (stage, intended_at);
        other
    };
    match invariant {
        1 => {
            let at = record.rows.iter().position(|row| row.kind == "intent").unwrap();
            let mut row = record.rows[at].clone();
            row.about.plan = "act-other".into();
            record.rows.insert(at + 1, row);
        }
        3 => record.actions.extend([action.clone(), action.clone(), action]),
        4 => {
            let at = action.stage_at + Duration::from_secs(1);
            record.actions.push(another(Stage::Recovered, at));
        }
        5 => record.calls[0].n_rows = 0,
        6 => record.actions[0].stage = Stage::NotApplied,
        7 => record.effects.push(record.effects[0].clone()),
        8 => record.calls[0].at = record.calls[0].plan.apply_before,
        9 => record.calls[0].epoch -= 1,
        10 => record.calls[0].plan.target.subject.name = "batch".into(),
        11 => record.calls[0].is_stopped = true,
        13 => {
            record.actions[0].stage = Stage::Recovered;
            record.actions[0].applied_at = Some(action.stage_at);
        }
        15 => {
            record.actions[0].stage = Stage::Verifying;
            record.ended_at = Some(action.plan.deadline + HOUR);
        }
        16 => {
            let undone = Effect { what: What::Undo, ..record.effects[0].clone() };
            record.effects.extend([undone.clone(), undone]);
        }
        17 => {
            let verdict = Verdict::NotRecovered { why: "worse".into(), made_worse: true };
            record.events.push(DriverEvent::Verdict { plan: action.plan, verdict });
        }
        22 => {
            record.actions[0].stage = Stage::Overridden;
            record.actions.push(another(Stage::Recovered, action.stage_at + HOUR));
        }
        26 => record.calls[0].plan.target.subject.kind = WorkloadKind::StatefulSet,
        30 => record.calls[0].may_write = false,
        32 => record.is_chain_whole = false,
        33 => {
            record.actions[0].stage = Stage::Unknown;
            record.rows.retain(|row| row.kind != "escalated");
            record.events.clear();
        }
        other => panic!("I{other}: say here how it is broken"),
    }
}

#[test]
fn every_check_notices_when_its_invariant_doesnt_hold() {
    let (mut all, well) = (ALL.to_vec(), calm());
    all.push(CALLS);
    for (number, check) in &all {
        assert_eq!(check(&well), Vec::<String>::new(), "I{number} of a schedule in which all is well");
        let mut broken = calm();
        break_it(&mut broken, *number);
        assert!(!check(&broken).is_empty(), "I{number} is broken and nobody notices");
    }
}
