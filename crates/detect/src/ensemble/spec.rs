//! What an ensemble is trained with.

use homeostat_core::LocalTime;
use serde::Serialize;

use crate::budget::FalseAlarmBudget;
use crate::detectors::DetectorSpec;
use crate::hysteresis::Hysteresis;

/// Which detectors, and how many false incidents are tolerable.
///
/// ```
/// use homeostat_detect::{DetectorSpec, EnsembleSpec};
///
/// let detectors = ["forest", "dbscan", "forecast"].into_iter().filter_map(DetectorSpec::by_name).collect();
/// let spec = EnsembleSpec { detectors, budget: "1 per 7d".parse()?, ..EnsembleSpec::default() };
/// assert_eq!(spec.detectors.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EnsembleSpec {
    /// The detectors, in the order of their votes.
    pub detectors: Vec<DetectorSpec>,
    /// False incidents that are tolerable for each subject.
    pub budget: FalseAlarmBudget,
    /// The rule by which the tracker will open incidents: the budget is about incidents, not rows.
    pub hysteresis: Hysteresis,
    /// What the time of the day and the day of the week go by; UTC by default.
    pub local_time: LocalTime,
}

impl Default for EnsembleSpec {
    /// Every detector with its defaults, one false incident a week, days in UTC.
    fn default() -> Self {
        Self {
            detectors: DetectorSpec::all_default(),
            budget: FalseAlarmBudget::default(),
            hysteresis: Hysteresis::default(),
            local_time: LocalTime::default(),
        }
    }
}
