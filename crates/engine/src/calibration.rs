//! Which calibration says how sure incidents are.

use anyhow::Context;
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
