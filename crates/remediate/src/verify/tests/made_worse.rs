//! Worse than before, or only as bad.

use super::*;
use crate::levels::{Level, levels};

const START: Timestamp = Timestamp::from_secs(1000);

/// A row of this feature, so many seconds after the write; the measurement is a hundredth of the deviation.
fn row(feature: &str, signal: Signal, secs: i64, deviation: Option<f64>) -> Observation {
    let value = deviation.map(|deviation| deviation / 100.0);
    let normal = deviation.is_some_and(|deviation| deviation.abs() < 4.0);
    Observation { feature: feature.into(), signal, at: START + secs_of(secs), value, deviation, normal }
}

fn secs_of(secs: i64) -> std::time::Duration {
    std::time::Duration::from_secs(secs.unsigned_abs())
}

fn errors(secs: i64, deviation: f64) -> Observation {
    row("errors", Signal::ErrorRatio, secs, Some(deviation))
}

fn judged(before: &[(&str, f64)], observations: &[Observation], now: i64) -> Verdict {
    let levels_before = before.iter().map(|(name, deviation)| ((*name).to_owned(), level(*deviation))).collect();
    let input = VerifyInput {
        applied_at: START,
        progress: Some(&Progress::Complete { wanted: 3 }),
        observations,
        traffic_before: None,
        traffic_now: None,
        levels_before: &levels_before,
    };
    verify(&plan("cart", START), &input, START + secs_of(now))
}

fn level(deviation: f64) -> Level {
    Level { deviation, value: deviation / 100.0 }
}

fn is_worse(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::NotRecovered { made_worse: true, .. })
}

/// Every 30 s up to `until`, which is two settling times of a minute and more.
fn errors_at(deviation: f64, until: i64) -> Vec<Observation> {
    (1..=until / 30).map(|row| errors(30 * row, deviation)).collect()
}

#[test]
fn what_is_twice_as_far_for_the_stabilisation_time_after_settling_is_worse_and_not_before() {
    let before = [("errors", 20.0)];
    assert_eq!(judged(&before, &errors_at(80.0, 120), 120), Verdict::Pending, "only two rows since it has settled");
    let verdict = judged(&before, &errors_at(80.0, 150), 150);
    let Verdict::NotRecovered { why, made_worse: true } = &verdict else { panic!("{verdict:?}") };
    for part in ["errors is at 0.8000", "80.0 deviations", "was at 0.2000, 20.0 deviations", "worse since"] {
        assert!(why.contains(part), "{part}: {why}");
    }
}

#[test]
fn a_fault_that_only_goes_on_or_swings_is_not_worse() {
    let before = [("errors", 20.0)];
    assert_eq!(judged(&before, &errors_at(39.0, 330), 330), Verdict::Pending);
    let mut swings = errors_at(80.0, 330);
    for dip in swings.iter_mut().step_by(3) {
        dip.deviation = Some(30.0);
    }
    assert_eq!(judged(&before, &swings, 330), Verdict::Pending, "never for a whole minute");
}

#[test]
fn a_signal_of_suffering_that_was_well_before_counts_and_another_one_does_not() {
    let rows = |feature: &str, signal| -> Vec<Observation> {
        let of_row = |secs: i64| [errors(secs, 1.0), row(feature, signal, secs, Some(9.0))];
        (1..=5).flat_map(|nth| of_row(30 * nth)).collect()
    };
    let before = [("errors", 20.0), ("latency", 0.5), ("cpu", 0.5)];
    assert!(is_worse(&judged(&before, &rows("latency", Signal::Latency), 150)));
    assert_eq!(judged(&before, &rows("cpu", Signal::Cpu), 150), Verdict::Recovered);
}

#[test]
fn without_a_level_or_with_a_gap_nothing_is_called_worse() {
    let all = errors_at(80.0, 150);
    assert_eq!(judged(&[], &all, 150), Verdict::Pending);
    let mut gap = all;
    gap[3] = row("errors", Signal::ErrorRatio, 120, None);
    assert_eq!(judged(&[("errors", 20.0)], &gap, 150), Verdict::Pending);
    let old = errors_at(80.0, 150);
    assert!(!is_worse(&judged(&[("errors", 20.0)], &old, 600)), "nothing was measured for seven minutes");
}

#[test]
fn beyond_the_scale_of_deviations_twice_the_measurement_counts() {
    let at_the_end = |value: f64, sign: f64| -> Vec<Observation> {
        let row = |nth: i64| errors(30 * nth, 200.0 * sign);
        (1..=5).map(|nth| Observation { value: Some(value), ..row(nth) }).collect()
    };
    let judged = |before: f64, rows: &[Observation]| {
        let levels_before = [("errors".to_owned(), Level { deviation: 150.0, value: before })].into();
        let input = VerifyInput {
            applied_at: START,
            progress: None,
            observations: rows,
            traffic_before: None,
            traffic_now: None,
            levels_before: &levels_before,
        };
        is_worse(&verify(&plan("cart", START), &input, START + secs_of(150)))
    };
    assert!(judged(0.2, &at_the_end(0.4, 1.0)) && !judged(0.2, &at_the_end(0.3, 1.0)));
    assert!(judged(80.0, &at_the_end(30.0, -1.0)) && !judged(80.0, &at_the_end(50.0, -1.0)));
}

#[test]
fn the_level_is_the_highest_of_the_newest_three_rows() {
    let deviations = [90.0, 12.0, -30.0, 8.0];
    let mut rows: Vec<Observation> =
        (0..).map(|row| 30 * row).zip(deviations).map(|(at, deviation)| errors(at, deviation)).collect();
    rows.push(row("cpu", Signal::Cpu, 30, Some(50.0)));
    rows.push(row("latency", Signal::Latency, 30, None));
    let found = levels(&["errors".to_owned()], &rows);
    let expected = Level { deviation: 30.0, value: -0.3 };
    assert_eq!(found, Levels::from([("errors".to_owned(), expected)]));
}
