//! Every measure against the answers of an independent judge: `fixtures/make.py` made them.

use std::time::Duration;

use serde_json::Value;

use super::*;

struct Case {
    name: String,
    json: Value,
    labels: Vec<bool>,
    score: Vec<f64>,
}

fn numbers(json: &Value) -> Vec<f64> {
    let number = |value: &Value| match value.as_str() {
        Some("nan") => f64::NAN,
        Some("inf") => f64::INFINITY,
        Some(_) => f64::NEG_INFINITY,
        None => value.as_f64().expect("a number"),
    };
    json.as_array().expect("a list").iter().map(number).collect()
}

fn cases() -> Vec<Case> {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../fixtures/measures.json")).expect("fixtures");
    assert!(all.len() >= 11);
    let case = |json: Value| {
        let mut labels = vec![false; json["n"].as_u64().expect("n") as usize];
        for event in json["events"].as_array().expect("events") {
            let ends = numbers(event);
            labels[ends[0] as usize..=ends[1] as usize].fill(true);
        }
        Case { name: json["name"].as_str().expect("a name").to_owned(), score: numbers(&json["score"]), labels, json }
    };
    all.into_iter().map(case).collect()
}

impl Case {
    fn expected(&self, name: &str) -> f64 {
        self.json["expected"][name].as_f64().unwrap_or_else(|| panic!("{}: no {name}", self.name))
    }

    fn check(&self, name: &str, found: f64) {
        let wanted = self.expected(name);
        assert!((found - wanted).abs() < 1e-9, "{}: {name} is {found}, the judge says {wanted}", self.name);
    }

    fn rule(&self) -> EventRule {
        EventRule::of_step(Duration::from_secs(self.json["step_s"].as_u64().expect("a step")))
    }
}

#[test]
fn period_and_volume_agree_with_the_judge() {
    for case in cases() {
        let period = period_rows(&numbers(&case.json["first"]));
        case.check("period", period as f64);
        case.check("vus_pr", vus_pr(&case.labels, &ranked(&case.score), period).expect("a label"));
    }
}

#[test]
fn the_area_agrees_with_the_judge() {
    for case in cases() {
        case.check("auc_pr", auc_pr(&case.labels, &ranked(&case.score)));
    }
}

#[test]
fn events_agree_with_the_judge() {
    for case in cases() {
        let mut alerts = vec![false; case.labels.len()];
        for row in numbers(&case.json["alerts"]) {
            alerts[row as usize] = true;
        }
        let (counts, judged) = EventCounts::count(&alerts, &case.labels, &case.rule());
        case.check("n_events", counts.n_events as f64);
        case.check("n_found", counts.n_found as f64);
        case.check("n_episodes", counts.n_episodes as f64);
        case.check("n_true", counts.n_true as f64);
        let delays: Vec<f64> = counts.delays_rows.iter().map(|rows| *rows as f64).collect();
        assert_eq!(delays, numbers(&case.json["expected"]["delays"]), "{}", case.name);
        let judged: Vec<bool> = judged.iter().map(|(_, is_true)| *is_true).collect();
        assert_eq!(serde_json::json!(judged), case.json["expected"]["true"], "{}", case.name);
    }
}

#[test]
fn the_threshold_for_a_budget_agrees_with_the_judge() {
    for case in cases() {
        let train = numbers(&case.json["train"]);
        let days = train.len() as f64 * case.json["step_s"].as_f64().expect("a step") / 86_400.0;
        case.check("threshold", threshold_for_budget(&train, 20.0 * days, &case.rule()).expect("scores"));
    }
    assert_eq!(threshold_for_budget(&[], 1.0, &EventRule::of_step(Duration::from_secs(60))), None);
}

#[test]
fn confidence_agrees_with_the_judge() {
    for case in cases() {
        let claims: Vec<(f64, bool)> =
            numbers(&case.json["confidence"]).into_iter().zip(case.labels.iter().copied()).collect();
        case.check("ece", expected_calibration_error(claims.iter().copied(), ROW_BINS).expect("rows"));
        case.check("brier", brier(claims).expect("rows"));
    }
    assert_eq!((brier([]), expected_calibration_error([], ROW_BINS)), (None, None));
}

#[test]
fn without_a_label_there_is_no_volume_and_no_event() {
    assert_eq!(vus_pr(&[false; 9], &[0.0; 9], 3), None);
    assert_eq!(vus_pr(&[true; 9], &[0.0; 8], 3), None);
    assert_eq!(vus_pr(&[], &[], 3), None);
    assert_eq!(auc_pr(&[], &[]), 0.0);
    let rule = EventRule::of_step(Duration::from_secs(60));
    let (counts, _) = EventCounts::count(&[true; 9], &[false; 9], &rule);
    assert_eq!((counts.n_events, counts.n_episodes, counts.n_true), (0, 1, 0));
}

#[test]
fn totals_are_of_all_series_together() {
    let one = EventCounts { n_events: 2, n_found: 1, n_episodes: 3, n_true: 1, delays_rows: vec![2] };
    let two = EventCounts { n_events: 2, n_found: 2, n_episodes: 2, n_true: 2, delays_rows: vec![0, 4] };
    let totals = EventTotals::of([(&one, 1.0, Duration::from_secs(60)), (&two, 3.0, Duration::from_secs(300))]);
    assert_eq!((totals.n_events, totals.recall, totals.precision), (4, 0.75, 0.6));
    assert!((totals.f1 - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!((totals.false_alarms_per_day, totals.delay_s_median), (0.5, Some(120.0)));
    let none = EventTotals::of([]);
    assert_eq!((none.f1, none.delay_s_median), (0.0, None));
}

proptest::proptest! {
    /// A ranking that puts every labelled row first is perfect but for the buffers; turned around, it is at its worst.
    #[test]
    fn measures_lie_between_nothing_and_everything(
        labels in proptest::collection::vec(proptest::bool::weighted(0.1), 30..200), seed in 0u64..1000, period in 3usize..60,
    ) {
        use rand::Rng;
        let mut rng = homeostat_core::Seed::new(seed).rng();
        let score: Vec<f64> = labels.iter().map(|_| (rng.random::<f64>() * 8.0).round()).collect();
        let perfect: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();
        let has_label = labels.contains(&true);
        proptest::prop_assert!((0.0..=1.0 + 1e-9).contains(&auc_pr(&labels, &score)));
        proptest::prop_assert_eq!(vus_pr(&labels, &score, period).is_some(), has_label);
        if has_label {
            let found = vus_pr(&labels, &score, period).unwrap_or(f64::NAN);
            proptest::prop_assert!((0.0..=1.0 + 1e-9).contains(&found), "{found}");
            proptest::prop_assert!((auc_pr(&labels, &perfect) - 1.0).abs() < 1e-12);
        }
    }

    /// Only the order of scores counts.
    #[test]
    fn a_ranking_is_judged_by_its_order(
        score in proptest::collection::vec(0.0..10.0_f64, 60), event in 5usize..40, period in 3usize..30,
    ) {
        let labels: Vec<bool> = (0..60).map(|row| (event..event + 6).contains(&row)).collect();
        let stretched: Vec<f64> = score.iter().map(|score| (score * 3.0).exp()).collect();
        proptest::prop_assert_eq!(vus_pr(&labels, &score, period), vus_pr(&labels, &stretched, period));
        proptest::prop_assert_eq!(auc_pr(&labels, &score), auc_pr(&labels, &stretched));
    }
}
