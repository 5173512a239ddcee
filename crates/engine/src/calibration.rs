//! Which calibration says how sure incidents are.

use anyhow::Context;
use homeostat_core::{Confidence, IncidentType, Score};
use homeostat_incidents::Calibration;

use crate::config::Config;

/// The calibration that ships with homeostat, measured on simulated faults.
const CALIBRATION: &str = include_str!("../../../models/calibration.json");

/// How sure incidents are.
pub(crate) fn calibration() -> anyhow::Result<Calibration> {
    serde_json::from_str(CALIBRATION).context("the shipped calibration")
}

/// The calibration that the config names, else the one that ships with homeostat.
pub(crate) fn calibration_of(config: &Config) -> anyhow::Result<Calibration> {
    config.detection.calibration.clone().map_or_else(calibration, Ok)
}

/// The highest lower bound that an incident of this type can have: confidence never falls with the score.
pub(crate) fn highest_confidence(calibration: &Calibration, incident_type: IncidentType) -> Confidence {
    let highest = Score::new(f64::MAX).unwrap_or(Score::THRESHOLD);
    calibration.confidence(incident_type, highest).lower
}
