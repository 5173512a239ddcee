//! The options there are to choose from, and drawing trials from them.

use homeostat_core::Seed;
use rand::Rng;

/// One option and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunedOption {
    /// Its name, unique.
    pub name: String,
    /// Names of its values; the first is what holds unless told otherwise. At least one.
    pub values: Vec<String>,
}

/// The values of one trial: for each option, in the space's order, the place of its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trial(pub(super) Vec<usize>);

impl Trial {
    /// The place of an option's value.
    pub fn value_idx(&self, option_idx: usize) -> usize {
        self.0.get(option_idx).copied().unwrap_or(0)
    }

    /// Whether everything is as it is without being told.
    pub fn is_default(&self) -> bool {
        self.0.iter().all(|idx| *idx == 0)
    }
}

/// Options to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    options: Vec<TunedOption>,
}

/// The chance that a drawn trial leaves an option as it is. The defaults are known to be good together; a trial that changes
/// everything at once would mostly show that. A half still gives each change a fair number of trials.
const KEEP: f64 = 0.5;

/// Draws for each trial that is wanted, before a small space counts as exhausted.
const DRAWS_PER_TRIAL: usize = 100;

impl Space {
    /// A space of these options; those with a single value are there to be named only.
    pub fn new(options: Vec<TunedOption>) -> Self {
        Self { options }
    }

    /// The options.
    pub fn options(&self) -> &[TunedOption] {
        &self.options
    }

    /// The defaults and `n_trials − 1` others, all different; fewer where the space has no more. A longer draw from the same
    /// seed begins with a shorter one's trials.
    pub fn draw(&self, n_trials: usize, seed: Seed) -> Vec<Trial> {
        let mut rng = seed.fork("space").rng();
        let mut trials = vec![Trial(vec![0; self.options.len()])];
        for _ in 0..n_trials.saturating_mul(DRAWS_PER_TRIAL) {
            if trials.len() >= n_trials {
                break;
            }
            let values = self.options.iter().map(|option| match option.values.len() {
                0 | 1 => 0,
                n if rng.random::<f64>() >= KEEP => rng.random_range(1..n),
                _many => 0,
            });
            let trial = Trial(values.collect());
            if !trials.contains(&trial) {
                trials.push(trial);
            }
        }
        trials
    }
}
