mod made_worse;

use std::time::Duration;

use homeostat_core::Signal;
use proptest::prelude::*;

use super::*;
use crate::test_plan::plan;

const START: Timestamp = Timestamp::from_secs(1000);

/// Seconds after the write. Settled at 60, the window ends at 360.
fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1000 + secs)
}

fn point(secs: i64, value: Option<f64>, normal: bool) -> Observation {
    let (signal, deviation) = (Signal::ErrorRatio, value.map(|_| if normal { 0.0 } else { 9.0 }));
    Observation { feature: "errors".into(), signal, at: at(secs), value, deviation, normal }
}

fn judged(observations: &[Observation], progress: Option<Progress>, now: i64) -> Verdict {
    let input = VerifyInput {
        applied_at: START,
        progress: progress.as_ref(),
        observations,
        traffic_before: None,
        traffic_now: None,
        levels_before: &Levels::new(),
    };
    verify(&plan("cart", START), &input, at(now))
}

fn complete() -> Option<Progress> {
    Some(Progress::Complete { wanted: 3 })
}

fn well() -> Vec<Observation> {
    [90, 120, 150].map(|secs| point(secs, Some(0.0), true)).to_vec()
}

#[test]
fn three_fresh_normal_points_after_a_complete_rollout_are_recovery() {
    assert_eq!(judged(&well(), complete(), 150), Verdict::Recovered);
    assert_eq!(judged(&well()[..2], complete(), 150), Verdict::Pending);
}

#[test]
fn points_before_settling_prove_nothing() {
    let early = [0, 20, 40, 60].map(|secs| point(secs, Some(0.0), true));
    assert_eq!(judged(&early, complete(), 100), Verdict::Pending);
    assert!(matches!(judged(&early, complete(), 360), Verdict::Unknown { .. }));
}

#[test]
fn a_bad_point_among_the_newest_is_no_recovery() {
    let mut points = well();
    points.push(point(180, Some(9.0), false));
    assert_eq!(judged(&points, complete(), 180), Verdict::Pending);
    assert!(matches!(judged(&points, complete(), 360), Verdict::NotRecovered { made_worse: false, .. }));
}

#[test]
fn a_series_that_ended_normal_is_not_a_workload_that_is_well() {
    // The newest point is as old as it may be at 450 s, but the window ends at 360 s; with a longer window it shows.
    let mut long = plan("cart", START);
    long.verify.window = Duration::from_secs(1000);
    let input = VerifyInput {
        applied_at: START,
        progress: Some(&Progress::Complete { wanted: 3 }),
        observations: &well(),
        traffic_before: None,
        traffic_now: None,
        levels_before: &Levels::new(),
    };
    assert_eq!(verify(&long, &input, at(451)), Verdict::Pending);
    assert!(matches!(verify(&long, &input, at(1060)), Verdict::Unknown { .. }));
}

#[test]
fn the_rollout_has_its_say() {
    let rolling = Some(Progress::Rolling { updated_available: 1, wanted: 3 });
    assert_eq!(judged(&well(), rolling.clone(), 200), Verdict::Pending);
    assert!(matches!(judged(&well(), rolling, 360), Verdict::NotRecovered { .. }));
    assert!(matches!(judged(&well(), None, 360), Verdict::Unknown { .. }));
    assert!(matches!(judged(&well(), Some(Progress::Overridden), 100), Verdict::Overridden));
    assert!(matches!(judged(&well(), Some(Progress::Gone), 100), Verdict::Unknown { .. }));
}

#[test]
fn a_roll_out_that_the_action_began_and_that_fails_made_it_worse_unless_the_one_before_had_failed() {
    for rollout_failed_before in [false, true] {
        let mut plan = plan("cart", START);
        plan.verify.rollout_failed_before = rollout_failed_before;
        let input = VerifyInput {
            applied_at: START,
            progress: Some(&Progress::Failed { why: "deadline".into() }),
            observations: &well(),
            traffic_before: None,
            traffic_now: None,
            levels_before: &Levels::new(),
        };
        let why = "the roll-out failed: deadline".to_owned();
        let expected = Verdict::NotRecovered { why, made_worse: !rollout_failed_before };
        assert_eq!(verify(&plan, &input, at(100)), expected);
    }
}

/// I14.
#[test]
fn fewer_replicas_or_no_traffic_is_no_recovery() {
    assert!(matches!(judged(&well(), Some(Progress::Complete { wanted: 2 }), 360), Verdict::Unknown { .. }));
    for (now, recovered) in [(Some(50.0), true), (Some(49.0), false), (Some(f64::NAN), false), (None, false)] {
        let input = VerifyInput {
            applied_at: START,
            progress: Some(&Progress::Complete { wanted: 3 }),
            observations: &well(),
            traffic_before: Some(100.0),
            traffic_now: now,
            levels_before: &Levels::new(),
        };
        let verdict = verify(&plan("cart", START), &input, at(360));
        assert_eq!(verdict == Verdict::Recovered, recovered, "{now:?}");
        assert!(recovered || matches!(verdict, Verdict::Unknown { .. }));
    }
}

#[test]
fn a_plan_without_features_never_recovers() {
    let mut blind = plan("cart", START);
    blind.verify.features.clear();
    let input = VerifyInput {
        applied_at: START,
        progress: Some(&Progress::Complete { wanted: 3 }),
        observations: &well(),
        traffic_before: None,
        traffic_now: None,
        levels_before: &Levels::new(),
    };
    assert!(matches!(verify(&blind, &input, at(360)), Verdict::Unknown { .. }));
}

fn points() -> impl Strategy<Value = Vec<Observation>> {
    let value = prop_oneof![Just(None), Just(Some(f64::NAN)), Just(Some(1.0))];
    prop::collection::vec((-100i64..500, value, any::<bool>()), 0..30)
        .prop_map(|drawn| drawn.into_iter().map(|(secs, value, normal)| point(secs, value, normal)).collect())
}

proptest! {
    /// I13: whatever the gaps, recovery needs three present, normal points after settling, the newest among them.
    #[test]
    fn recovery_always_rests_on_fresh_present_normal_points(points in points(), now in 0i64..500) {
        if judged(&points, complete(), now) == Verdict::Recovered {
            let fresh = |seen: &&Observation| seen.at > at(60) && seen.at <= at(now);
            let good = points.iter().filter(fresh).filter(|seen| seen.normal && seen.value == Some(1.0)).count();
            prop_assert!(good >= 3);
        }
    }

    /// I15: once the window is over there always is an answer.
    #[test]
    fn the_windows_end_always_brings_a_verdict(points in points(), late in 0i64..1000, known in any::<bool>()) {
        let progress = if known { complete() } else { None };
        prop_assert_ne!(judged(&points, progress, 360 + late), Verdict::Pending);
    }

    /// I13: taking measurements away never turns anything into recovery by time alone.
    #[test]
    fn gaps_never_help(points in points(), now in 0i64..500) {
        let gaps: Vec<Observation> = points.iter().cloned().map(|seen| Observation { value: None, ..seen }).collect();
        prop_assert_ne!(judged(&gaps, complete(), now), Verdict::Recovered);
    }
}
