use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, Seed, Signal, Subject, Window};
use rand::Rng;

use super::*;

const STEP: Duration = Duration::from_secs(60);
const LATENCY_S: f64 = 0.2;

fn schema() -> Arc<Schema> {
    let feature =
        |signal: Signal| Feature { name: signal.name().into(), signal, direction: Direction::Up, deviation_min: 0.0 };
    Arc::new(Schema::new([Signal::Latency, Signal::Cpu].map(feature).to_vec()).expect("a schema"))
}

/// Pods of noise; a pod named in `slow` has that latency in these minutes, one named in `gone` has no rows in them.
struct Pods {
    names: Vec<&'static str>,
    slow: Vec<(&'static str, std::ops::Range<i64>, f64)>,
    gone: Vec<(&'static str, std::ops::Range<i64>)>,
    seed: u64,
}

fn pods(names: &[&'static str]) -> Pods {
    Pods { names: names.to_vec(), slow: Vec::new(), gone: Vec::new(), seed: 1 }
}

impl Pods {
    fn slow(mut self, name: &'static str, minutes: std::ops::Range<i64>, latency_s: f64) -> Self {
        self.slow.push((name, minutes, latency_s));
        self
    }

    fn gone(mut self, name: &'static str, minutes: std::ops::Range<i64>) -> Self {
        self.gone.push((name, minutes));
        self
    }

    fn windows(&self, minutes: std::ops::Range<i64>) -> Vec<ReplicaWindow> {
        let n_steps = usize::try_from(minutes.end - minutes.start).expect("minutes");
        let grid = Grid::new(Timestamp::from_secs(60 * minutes.start), STEP, n_steps).expect("a grid");
        let window = |name: &&'static str| {
            let values = Array2::from_shape_fn((n_steps, 2), |(row, column)| {
                let minute = minutes.start + row as i64;
                if self.gone.iter().any(|(gone, when)| gone == name && when.contains(&minute)) {
                    return f64::NAN;
                }
                let mut rng = Seed::new(self.seed).fork(name).fork(&format!("{minute} {column}")).rng();
                let noise = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
                let slow = self.slow.iter().find(|(slow, when, _)| slow == name && when.contains(&minute));
                let usual = if column == 0 { slow.map_or(LATENCY_S, |(_, _, latency_s)| *latency_s) } else { 0.5 };
                usual * (1.0 + 0.05 * noise)
            });
            let window = Window::new(Subject::deployment("shop", "cart"), grid, schema(), values).expect("a window");
            ReplicaWindow { replica: (*name).to_owned(), window }
        };
        self.names.iter().map(window).collect()
    }

    /// Who is apart after each minute.
    fn watched(&self, until: i64) -> Vec<Vec<String>> {
        let mut watch = ReplicaWatch::new(&schema());
        (0..until)
            .map(|minute| {
                let windows = self.windows(minute..minute + 1);
                watch.observe(&windows.iter().collect::<Vec<_>>()).expect("a comparison");
                watch.outliers().into_iter().map(|one| one.replica).collect()
            })
            .collect()
    }
}

const FOUR: [&str; 4] = ["cart-a", "cart-b", "cart-c", "cart-d"];

#[test]
fn a_slow_pod_is_found_within_five_steps_and_forgotten_five_after_it_is_well() {
    let outliers = pods(&FOUR).slow("cart-c", 100..130, 0.6).watched(150);
    let found: Vec<usize> = (0..150).filter(|minute| outliers[*minute] == ["cart-c"]).collect();
    assert_eq!((found.first(), found.last(), found.len()), (Some(&104), Some(&133), 30), "{found:?}");
    assert!(outliers.iter().all(|names| names.is_empty() || names == &["cart-c"]));
}

#[test]
fn what_it_was_measured_by_is_evidence() {
    let pods = pods(&FOUR).slow("cart-c", 100..130, 0.6);
    let mut watch = ReplicaWatch::new(&schema());
    watch.observe(&pods.windows(0..120).iter().collect::<Vec<_>>()).expect("a comparison");
    let outliers = watch.outliers();
    let latency = &outliers[0].evidence[0];
    assert_eq!((latency.feature.as_str(), latency.signal), ("latency", Signal::Latency));
    assert!((latency.observed - 0.6).abs() < 0.15 && (latency.expected - LATENCY_S).abs() < 0.05, "{latency:?}");
    assert!(latency.deviation > 3.0);
    assert_eq!(outliers[0].since, Timestamp::from_secs(60 * 100));
}

#[test]
fn a_day_of_healthy_pods_finds_nobody() {
    for seed in 1..=5 {
        let healthy = Pods { seed, ..pods(&["cart-a", "cart-b", "cart-c"]) };
        let mut watch = ReplicaWatch::new(&schema());
        let windows = healthy.windows(0..1_440);
        for minute in 0..1_440 {
            let part: Vec<ReplicaWindow> = windows
                .iter()
                .map(|one| ReplicaWindow {
                    replica: one.replica.clone(),
                    window: one.window.slice_steps(minute, minute + 1).expect("a row"),
                })
                .collect();
            watch.observe(&part.iter().collect::<Vec<_>>()).expect("a comparison");
            assert!(watch.outliers().is_empty(), "seed {seed}, minute {minute}: {:?}", watch.outliers());
        }
    }
}

#[test]
fn where_half_of_them_are_unlike_the_others_nobody_is() {
    let outliers = pods(&FOUR).slow("cart-c", 100..110, 0.6).slow("cart-d", 100..110, 1.8).watched(140);
    assert!(outliers.iter().all(Vec::is_empty), "{outliers:?}");
}

#[test]
fn a_pod_that_was_replaced_is_gone_and_not_sick() {
    let outliers = pods(&FOUR).slow("cart-c", 100..200, 0.6).gone("cart-c", 120..200).watched(140);
    assert_eq!(outliers[119], ["cart-c"]);
    assert!(outliers[124..].iter().all(Vec::is_empty), "{:?}", &outliers[118..]);
}

#[test]
fn silence_of_all_says_nothing() {
    let mut dark = pods(&FOUR).slow("cart-c", 100..200, 0.6);
    for name in FOUR {
        dark = dark.gone(name, 120..200);
    }
    let outliers = dark.watched(160);
    assert!(outliers[110..].iter().all(|names| names == &["cart-c"]), "silence is no recovery");
}

#[test]
fn two_pods_are_never_compared() {
    let outliers = pods(&["cart-a", "cart-b"]).slow("cart-a", 100..130, 9.0).watched(140);
    assert!(outliers.iter().all(Vec::is_empty));
}

#[test]
fn catching_up_comes_to_the_same_as_watching_live() {
    let pods = pods(&FOUR).slow("cart-c", 100..130, 0.6);
    let mut at_once = ReplicaWatch::new(&schema());
    let newest = at_once.observe(&pods.windows(0..120).iter().collect::<Vec<_>>()).expect("a comparison");
    assert_eq!(newest, Some(Timestamp::from_secs(60 * 119)));
    let names: Vec<String> = at_once.outliers().into_iter().map(|one| one.replica).collect();
    assert_eq!(Some(&names), pods.watched(120).last());
}
