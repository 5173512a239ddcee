//! `leader_election`: several replicas, of which one acts.

use std::time::Duration;

use homeostat_core::format_duration;
use homeostat_execute::Fence;
use homeostat_journal::LeaseTimes;
use homeostat_settings::Reader;

/// Shorter leases change hands whenever a machine is busy; the Lease counts in whole seconds.
const LEASE_MIN: Duration = Duration::from_secs(3);
/// A cluster in which nobody acts for longer after a crash has no use for a second replica.
const LEASE_MAX: Duration = Duration::from_secs(600);
/// Below this the API server is asked more often than it is any use.
const RETRY_MIN: Duration = Duration::from_millis(200);
/// The name of the Lease.
const LEASE_NAME_DEFAULT: &str = "homeostat";

/// How a leader is elected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaderElection {
    /// The name of the Lease.
    pub(crate) lease_name: String,
    /// How long it lasts.
    pub(crate) times: LeaseTimes,
}

impl LeaderElection {
    /// Whether a leader has time to write at all, if a request may be under way for so long.
    pub(super) fn fits(&self, request_timeout: Duration) -> Result<(), String> {
        let open_for = Fence::open_for(self.times, request_timeout);
        // A renewal that fails once must not stop a leader.
        if open_for >= self.times.retry_period * 2 {
            return Ok(());
        }
        Err(format!(
            "a write may be under way for kubernetes.timeout ({}), which leaves a leader too little time before others may take \
             over: shorten kubernetes.timeout, or lengthen lease_duration",
            format_duration(request_timeout)
        ))
    }
}

/// Reads the section; `None` where it is missing or off.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<LeaderElection> {
    let (enabled, election) = reader.section("leader_election", of_section)?;
    enabled.then_some(election)
}

fn of_section(reader: &mut Reader<'_>) -> (bool, LeaderElection) {
    let default = LeaseTimes::default();
    let enabled = reader.flag("enabled").unwrap_or(false);
    let lease_name = reader.text("lease_name").unwrap_or_else(|| LEASE_NAME_DEFAULT.to_owned());
    let times = LeaseTimes {
        lease_duration: reader.duration_in("lease_duration", LEASE_MIN..=LEASE_MAX).unwrap_or(default.lease_duration),
        renew_deadline: reader.duration_in("renew_deadline", RETRY_MIN..=LEASE_MAX).unwrap_or(default.renew_deadline),
        retry_period: reader.duration_in("retry_period", RETRY_MIN..=LEASE_MAX).unwrap_or(default.retry_period),
    };
    if times.lease_duration.subsec_nanos() != 0 {
        reader.reject("lease_duration", "must be in whole seconds");
    }
    // As client-go requires it.
    if times.renew_deadline >= times.lease_duration {
        let most = format_duration(times.lease_duration);
        reader.reject("renew_deadline", format_args!("must be shorter than lease_duration ({most})"));
    }
    if times.retry_period.mul_f64(1.2) >= times.renew_deadline {
        let most = format_duration(times.renew_deadline);
        reader.reject("retry_period", format_args!("1.2 times of it must be shorter than renew_deadline ({most})"));
    }
    (enabled, LeaderElection { lease_name, times })
}
