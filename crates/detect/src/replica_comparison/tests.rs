use homeostat_core::{Direction, Feature, Seed, Signal};
use rand::Rng;

use super::*;

fn schema(n_features: usize) -> Schema {
    let feature = |idx: usize| Feature {
        name: format!("feature-{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    Schema::new((0..n_features).map(feature).collect()).expect("a schema")
}

/// A workload under load that goes up and down for all replicas alike, each with noise of its own and a lasting difference.
struct Workload {
    seed: Seed,
    n_features: usize,
    step: usize,
}

/// How far the load's wave moves all replicas, in deviations of a single replica's noise.
const WAVE: f64 = 20.0;

impl Workload {
    fn new(n_features: usize, seed: u64) -> Self {
        Self { seed: Seed::new(seed), n_features, step: 0 }
    }

    /// The next step of these replicas; a name ending in a digit has a lasting difference by that digit.
    fn next(&mut self, names: &[&str]) -> Array2<f64> {
        self.step += 1;
        let mut rng = self.seed.fork(&self.step.to_string()).rng();
        let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let wave = WAVE * (self.step as f64 / 50.0).sin();
        let mut values = Array2::zeros((names.len(), self.n_features));
        for (row, name) in names.iter().enumerate() {
            let own = f64::from(name.bytes().last().unwrap_or(b'0') % 8) / 4.0;
            for feature_idx in 0..self.n_features {
                values[[row, feature_idx]] = 100.0 + wave + own + normal();
            }
        }
        values
    }
}

const FIVE: [&str; 5] = ["pod-a", "pod-b", "pod-c", "pod-d", "pod-e"];

fn learned(names: &[&str], n_features: usize, seed: u64) -> (ReplicaComparison, Workload) {
    let (mut comparison, mut workload) = (ReplicaComparison::new(&schema(n_features)), Workload::new(n_features, seed));
    for _ in 0..100 {
        comparison.observe(names, workload.next(names).view()).expect("a round");
    }
    (comparison, workload)
}

fn outliers(round: ReplicaRound) -> Vec<Outlier> {
    match round {
        ReplicaRound::Together { outliers } => outliers,
        ReplicaRound::Split { .. } | ReplicaRound::NotReady(_) => panic!("{round:?}"),
    }
}

#[test]
fn one_sick_pod_of_five_is_found_while_the_mean_moves_less_than_a_deviation() {
    let (mut comparison, mut workload) = learned(&FIVE, 8, 1);
    let mut values = workload.next(&FIVE);
    values[[3, 5]] += 15.0;
    // The workload's average, which is all a subject's window shows, moves by 3; the wave alone deviates it by 14.
    let moved = 15.0 / 5.0;
    assert!(moved < WAVE / 2.0_f64.sqrt());
    let found = outliers(comparison.observe(&FIVE, values.view()).expect("a round"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].replica, "pod-d");
    assert!(found[0].degree > 1.0);
    assert_eq!(found[0].features[0].0, 5);
    assert!(found[0].features[0].1 > 8.0, "{found:?}");
}

#[test]
fn a_thousand_healthy_steps_call_at_most_one_replica() {
    for n_features in [1, 4, 12] {
        for n_replicas in [3, 5, 20] {
            let names: Vec<String> = (0..n_replicas).map(|idx| format!("pod-{idx}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let (mut comparison, mut workload) = learned(&names, n_features, 2);
            let mut n_called = 0;
            for _ in 0..1_000 {
                n_called += outliers(comparison.observe(&names, workload.next(&names).view()).expect("a round")).len();
            }
            // The budget is one in ten thousand of 3 000 to 20 000 looks; the nearest of several comparison is nearer still.
            assert!(n_called <= 1, "{n_called} of {n_replicas} replicas with {n_features} features");
        }
    }
}

#[test]
fn a_canary_is_a_split_and_nobody_is_called_sick() {
    let (mut comparison, mut workload) = learned(&FIVE, 4, 3);
    let mut values = workload.next(&FIVE);
    values.slice_mut(ndarray::s![3.., 1..3]).mapv_inplace(|value| value + 40.0);
    let ReplicaRound::Split { groups, outliers } = comparison.observe(&FIVE, values.view()).expect("a round") else {
        panic!("no split")
    };
    assert!(outliers.is_empty());
    assert_eq!(groups[0].replicas, FIVE[..3]);
    assert_eq!(groups[1].replicas, FIVE[3..]);
    assert_eq!(
        groups[1].features.iter().map(|(idx, _)| *idx).collect::<std::collections::BTreeSet<_>>(),
        [1, 2].into()
    );
}

#[test]
fn of_two_nobody_can_say_who_is_sick_and_of_none_neither() {
    let (mut comparison, mut workload) = learned(&FIVE, 2, 4);
    let two = ["pod-a", "pod-b"];
    let mut values = workload.next(&two);
    values[[0, 0]] += 100.0;
    let too_few = |found| Ok(ReplicaRound::NotReady(ReplicasNotReady::TooFewReplicas { found }));
    assert_eq!(comparison.observe(&two, values.view()), too_few(2));
    assert_eq!(comparison.observe(&[], Array2::zeros((0, 2)).view()), too_few(0));
}

#[test]
fn three_that_are_all_different_are_scattered_not_sick() {
    let names = &FIVE[..3];
    let (mut comparison, mut workload) = learned(names, 2, 5);
    let mut values = workload.next(names);
    values[[0, 0]] += 90.0;
    values[[1, 0]] -= 90.0;
    // A spread this large at once is today's spread: nobody is far by it.
    let round = comparison.observe(names, values.view()).expect("a round");
    match round {
        ReplicaRound::NotReady(ReplicasNotReady::Scattered) => {}
        ReplicaRound::Together { outliers } => assert!(outliers.is_empty(), "{outliers:?}"),
        ReplicaRound::Split { .. } | ReplicaRound::NotReady(_) => panic!("{round:?}"),
    }
}

#[test]
fn a_new_pod_has_its_grace_and_is_judged_after_it() {
    let (mut comparison, mut workload) = learned(&FIVE, 4, 6);
    let names = ["pod-a", "pod-b", "pod-c", "pod-d", "pod-new"];
    for step in 0..30 {
        let mut values = workload.next(&names);
        values[[4, 2]] += 60.0;
        let found = outliers(comparison.observe(&names, values.view()).expect("a round"));
        assert_eq!(found.len(), usize::from(step >= WARM_UP_STEPS), "step {step}: {found:?}");
    }
}

#[test]
fn a_rolling_restart_calls_nobody() {
    let (mut comparison, mut workload) = learned(&FIVE, 4, 7);
    let fresh = ["pod-v", "pod-w", "pod-x", "pod-y", "pod-z"];
    let mut names = FIVE;
    for step in 0..200 {
        if step % 3 == 0 && step / 3 < 5 {
            names[step / 3] = fresh[step / 3];
        }
        let mut values = workload.next(&names);
        // Cold caches: the first steps of each pod differ.
        for row in 0..5 {
            let age = step.saturating_sub(3 * row);
            if names[row] == fresh[row] && age < 8 {
                values[[row, 0]] += 50.0;
            }
        }
        match comparison.observe(&names, values.view()).expect("a round") {
            ReplicaRound::Together { outliers } => assert!(outliers.is_empty(), "step {step}: {outliers:?}"),
            ReplicaRound::NotReady(why) => {
                assert!(matches!(why, ReplicasNotReady::WarmingUp { .. }), "{why:?}");
                assert!(step < 25, "still not ready at step {step}");
            }
            ReplicaRound::Split { groups, .. } => panic!("step {step}: {groups:?}"),
        }
    }
    assert_eq!(comparison.n_replicas(), 5, "those that are gone are forgotten");
}

#[test]
fn constant_features_and_gaps_say_nothing() {
    let mut comparison = ReplicaComparison::new(&schema(3));
    for step in 0..200 {
        let mut values = Array2::from_elem((4, 3), 7.0);
        values.column_mut(1).fill(0.0);
        values[[step % 4, 2]] = f64::NAN;
        match comparison.observe(&FIVE[..4], values.view()).expect("a round") {
            ReplicaRound::Together { outliers } => assert!(outliers.is_empty() && step >= 29, "{outliers:?}"),
            ReplicaRound::NotReady(why) => {
                assert!(matches!(why, ReplicasNotReady::Learning { .. }) && step < 29, "{why:?}")
            }
            ReplicaRound::Split { .. } => panic!("constants split"),
        }
    }
    let gaps = Array2::from_elem((4, 3), f64::NAN);
    assert_eq!(comparison.observe(&FIVE[..4], gaps.view()), Ok(ReplicaRound::NotReady(ReplicasNotReady::TooManyGaps)));
}

#[test]
fn a_replica_that_is_different_by_nature_is_its_own_normal_in_the_end() {
    let (mut comparison, mut workload) = learned(&FIVE, 2, 8);
    let mut called = Vec::new();
    for _ in 0..6_000 {
        let mut values = workload.next(&FIVE);
        values[[0, 0]] += 25.0;
        called.push(!outliers(comparison.observe(&FIVE, values.view()).expect("a round")).is_empty());
    }
    assert!(called[..60].iter().all(|called| *called), "an hour of sickness isn't learned");
    assert!(called[5_000..].iter().all(|called| !called), "a nature is");
}

#[test]
fn wild_values_neither_fail_nor_stay() {
    let (mut comparison, mut workload) = learned(&FIVE, 3, 9);
    for extreme in [1e300, f64::MAX, -f64::MAX, f64::INFINITY, 5e-324] {
        let mut values = workload.next(&FIVE);
        values[[2, 0]] = extreme;
        values[[3, 1]] = -extreme;
        comparison.observe(&FIVE, values.view()).expect("a round");
    }
    for _ in 0..5 {
        let found = outliers(comparison.observe(&FIVE, workload.next(&FIVE).view()).expect("a round"));
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn a_thousand_replicas_are_compared_and_the_order_of_rows_does_not_matter() {
    let names: Vec<String> = (0..REPLICAS_MAX).map(|idx| format!("pod-{idx:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut comparison, mut workload) = (ReplicaComparison::new(&schema(3)), Workload::new(3, 10));
    for _ in 0..31 {
        comparison.observe(&names, workload.next(&names).view()).expect("a round");
    }
    let mut values = workload.next(&names);
    values[[617, 1]] -= 40.0;
    let mut other = comparison.clone();
    let round = comparison.observe(&names, values.view()).expect("a round");
    let backwards: Vec<&str> = names.iter().rev().copied().collect();
    assert_eq!(other.observe(&backwards, values.slice(ndarray::s![..;-1, ..])), Ok(round.clone()));
    let found = outliers(round);
    assert_eq!(found.iter().map(|one| one.replica.as_str()).collect::<Vec<_>>(), ["pod-0617"]);
    let at_first = comparison.memory_bytes();
    comparison.observe(&names, workload.next(&names).view()).expect("a round");
    assert_eq!(comparison.memory_bytes(), at_first, "it grew");
}

#[test]
fn what_is_no_table_of_replicas_is_refused_and_changes_nothing() {
    let mut comparison = ReplicaComparison::new(&schema(2));
    let shape = comparison.observe(&FIVE, Array2::zeros((5, 3)).view());
    assert_eq!(shape, Err(ReplicaComparisonError::Shape { found: (5, 3), wanted: (5, 2) }));
    let twice = comparison.observe(&["a", "b", "a"], Array2::zeros((3, 2)).view());
    assert_eq!(twice, Err(ReplicaComparisonError::Duplicate { replica: "a".into() }));
    let names: Vec<String> = (0..=REPLICAS_MAX).map(|idx| idx.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = comparison.observe(&names, Array2::zeros((names.len(), 2)).view());
    assert_eq!(many, Err(ReplicaComparisonError::TooManyReplicas { found: REPLICAS_MAX + 1 }));
    assert_eq!(comparison.n_replicas(), 0);
}
