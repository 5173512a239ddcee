//! With which options a bundle's models were trained: written for people, but for the opening rule, which who watches with the
//! models must go by.

use homeostat_core::{Exclusion, Seed};
use serde::{Deserialize, Serialize};

use crate::budget::FalseAlarmBudget;
use crate::ensemble::EnsembleSpec;
use crate::hysteresis::Hysteresis;

/// How models were trained.
///
/// ```
/// use homeostat_core::Seed;
/// use homeostat_detect::{EnsembleSpec, Hysteresis, Recipe};
///
/// let recipe = Recipe::of(&EnsembleSpec::default(), true, Seed::new(1));
/// assert_eq!(recipe.opening, Hysteresis::default());
/// assert_eq!(recipe.detectors[1]["detector"], "forest");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The opening rule that the alarm thresholds were fitted to.
    pub opening: Hysteresis,
    /// False incidents that are tolerable for each subject.
    pub false_alarm_budget: FalseAlarmBudget,
    /// Each detector with its options. A network of the user's own is named by the SHA-256 of its file.
    pub detectors: Vec<serde_json::Value>,
    /// Whether subjects of a kind share models.
    pub share_models: bool,
    /// The seed of all training.
    pub seed: u64,
    /// The queries that made the features, as the config has them; empty where tables were trained on.
    #[serde(default)]
    pub queries: Vec<serde_json::Value>,
    /// The time zone that days and hours go by; none is UTC. Its table of offsets is in each subject's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Days that are like another day of the week, such as `2026-12-25 like sunday`; those that matter are in each subject's state, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<String>,
    /// Times of the history that weren't learned, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Exclusion>,
}

impl Recipe {
    /// Of what training was told; without queries, the zone's name, holidays and what was left out.
    pub fn of(spec: &EnsembleSpec, share_models: bool, seed: Seed) -> Self {
        // Options are numbers and names, so each has a JSON form; null would say that one hadn't.
        let options = spec.detectors.iter().map(|one| serde_json::to_value(one).unwrap_or_default());
        Self {
            opening: spec.hysteresis,
            false_alarm_budget: spec.budget,
            detectors: options.collect(),
            share_models,
            seed: seed.value(),
            queries: Vec::new(),
            timezone: None,
            holidays: Vec::new(),
            left_out: Vec::new(),
        }
    }
}
