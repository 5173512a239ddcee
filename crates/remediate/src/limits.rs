//! Limits that hold over all policies.

use std::collections::BTreeSet;
use std::time::Duration;

use homeostat_core::Subject;

/// Actions in flight at once, over all targets.
///
/// One, because verification reads the signals that opened the incident: with two actions running nobody could say which
/// one helped or hurt. Raise it only once signals are attributed to an action.
pub const ACTIONS_IN_FLIGHT_MAX: usize = 1;
const _: () = assert!(ACTIONS_IN_FLIGHT_MAX >= 1, "zero would silently turn execute into observe");

/// Limits over all policies. [`SafetyLimits::default`] is what is meant for production; [`SafetyLimits::checked`] bounds changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyLimits {
    /// Actions started on anything in `starts_window`.
    pub starts_max: u32,
    /// The sliding window of `starts_max`.
    pub starts_window: Duration,
    /// Actions on one workload in `target_window`, whatever for.
    pub target_attempts_max: u32,
    /// The sliding window of `target_attempts_max`.
    pub target_window: Duration,
    /// More open incidents than this are a storm: nothing is done by single actions (I18).
    pub open_max: usize,
    /// A storm ends when there were no more than `open_max` open incidents for this long.
    pub storm_clear: Duration,
    /// What was seen of a target may be this old when deciding (I8).
    pub inspection_age_max: Duration,
    /// An incident's latest assessment may be this old when deciding (I8).
    pub incident_age_max: Duration,
    /// A plan must be applied within this time of the decision (I8).
    pub apply_within: Duration,
    /// A plan that waits for approval may be approved, and must be applied, within this time of its proposal (I25).
    pub approve_within: Duration,
    /// Time for taking back, within the deadline (I15).
    pub undo_within: Duration,
    /// Fresh points that each feature must show before it counts as recovered (I13).
    pub fresh_points_min: u32,
    /// Namespaces that homeostat needs itself: its own, its Prometheus's, its Alertmanager's (I27).
    pub own_namespaces: BTreeSet<String>,
    /// Workloads that homeostat needs itself (I27).
    pub own_subjects: BTreeSet<Subject>,
}

impl Default for SafetyLimits {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            // Six an hour: one every ten minutes keeps a human able to follow what is done.
            starts_max: 6,
            starts_window: 60 * minute,
            // Four an hour: an attempt takes about a quarter of an hour with cooldown, settling and verification.
            target_attempts_max: 4,
            target_window: 60 * minute,
            // Ten at once have a common cause that restarting ten workloads one by one won't cure.
            open_max: 10,
            storm_clear: 10 * minute,
            // Two cycles of the usual 30 s.
            inspection_age_max: minute,
            // Five minutes: Prometheus's own look-back. Beyond it nobody knows whether the incident goes on.
            incident_age_max: 5 * minute,
            // Long enough for one retry after an API server's restart, short enough that the situation is the same.
            apply_within: 2 * minute,
            // Half an hour: time to be called, to look, and to ask a colleague; what was true of the target an hour ago may not be.
            approve_within: 30 * minute,
            // A roll-out back, at the pace of the one forward.
            undo_within: 10 * minute,
            // Three in a row: one normal point happens by chance, also amid trouble.
            fresh_points_min: 3,
            own_namespaces: BTreeSet::new(),
            own_subjects: BTreeSet::new(),
        }
    }
}

/// Limits that would not limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}, it must lie between {from} and {to}")]
pub struct NotALimit {
    field: &'static str,
    value: u64,
    from: u64,
    to: u64,
}

impl SafetyLimits {
    /// Checks that every limit limits and none forbids everything.
    pub fn checked(self) -> Result<Self, NotALimit> {
        let hour_s = 3600;
        let day_s = 24 * hour_s;
        // (name, value, from, to); the upper ends keep "12 restarts in 45 minutes" impossible whatever is configured.
        let limits = [
            ("starts_max", u64::from(self.starts_max), 1, 25),
            ("starts_window_s", self.starts_window.as_secs(), hour_s, day_s),
            ("target_attempts_max", u64::from(self.target_attempts_max), 1, 10),
            ("target_window_s", self.target_window.as_secs(), hour_s, day_s),
            ("open_max", u64::try_from(self.open_max).unwrap_or(u64::MAX), 1, 100),
            ("storm_clear_s", self.storm_clear.as_secs(), 60, day_s),
            ("inspection_age_max_s", self.inspection_age_max.as_secs(), 1, 300),
            ("incident_age_max_s", self.incident_age_max.as_secs(), 30, hour_s),
            ("apply_within_s", self.apply_within.as_secs(), 1, 600),
            ("approve_within_s", self.approve_within.as_secs(), 60, day_s),
            ("undo_within_s", self.undo_within.as_secs(), 60, hour_s),
            ("fresh_points_min", u64::from(self.fresh_points_min), 1, 100),
        ];
        match limits.into_iter().find(|(_, value, from, to)| !(from..=to).contains(&value)) {
            Some((field, value, from, to)) => Err(NotALimit { field, value, from, to }),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_bounds_and_an_unlimited_limit_is_not() {
        assert!(SafetyLimits::default().checked().is_ok());
        let error = SafetyLimits { target_attempts_max: 12, ..SafetyLimits::default() }.checked().unwrap_err();
        assert_eq!(error.to_string(), "target_attempts_max is 12, it must lie between 1 and 10");
        assert!(SafetyLimits { starts_max: 0, ..SafetyLimits::default() }.checked().is_err());
    }
}
