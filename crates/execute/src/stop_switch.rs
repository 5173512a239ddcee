//! The kill switch as the driver sees it: read anew right before every write.

use homeostat_remediate::KillSwitch;

/// Says whether automation is stopped, now. Never blocks for long: it is read between journal and write.
pub trait StopSwitch: Send + Sync {
    /// What it says at this moment.
    fn read(&self) -> KillSwitch;
}

/// A switch that doesn't change: of a replay, or of a test that sets it between ticks.
impl StopSwitch for KillSwitch {
    fn read(&self) -> KillSwitch {
        self.clone()
    }
}
