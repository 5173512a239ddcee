//! What a search is about: its trials and series, the rungs they are judged on, and single jobs.

use homeostat_core::Seed;

/// One trial on one series with one seed. Series are named by their place in [`SearchSpec::sets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job {
    /// The trial's place.
    pub trial: usize,
    /// The series' place.
    pub series: usize,
    /// The seed of training.
    pub seed: u64,
}

/// What a search is about.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchSpec {
    /// How many trials there are; the first is the defaults.
    pub n_trials: usize,
    /// The set of each series.
    pub sets: Vec<String>,
    /// Seeds of training, at least one: the last rung uses all of them, the others the first.
    pub seeds: Vec<u64>,
    /// False alarms that are allowed for each series and day.
    pub budget_per_day: f64,
    /// What decides which series come first.
    pub seed: Seed,
}

/// What all trials that are still in are judged on.
#[derive(Clone, Debug)]
pub(super) struct Rung {
    pub(super) series: Vec<usize>,
    pub(super) n_seeds: usize,
}
