//! What can go wrong, by stable names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! incident_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The kinds of incident. The names are an interface: they never change.
        ///
        /// ```
        /// use homeostat_core::IncidentType;
        ///
        /// assert_eq!("memory-leak".parse(), Ok(IncidentType::MemoryLeak));
        /// assert_eq!(IncidentType::OomKilled.name(), "oom-killed");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum IncidentType {
            $($(#[$doc])* $variant,)*
        }

        impl IncidentType {
            /// Every type.
            pub const ALL: &'static [IncidentType] = &[$(Self::$variant,)*];

            /// The stable kebab-case name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

incident_types! {
    /// Memory grows without the load growing.
    MemoryLeak = "memory-leak",
    /// Containers were killed for memory.
    OomKilled = "oom-killed",
    /// CPU far above what the load explains.
    CpuSpike = "cpu-spike",
    /// Containers are throttled.
    CpuThrottling = "cpu-throttling",
    /// Containers start and die again.
    CrashLoop = "crash-loop",
    /// It got worse right after a roll-out.
    BadDeployment = "bad-deployment",
    /// Requests fail.
    ErrorBurst = "error-burst",
    /// Requests are slow.
    Latency = "latency",
    /// Less traffic than expected.
    TrafficDrop = "traffic-drop",
    /// More traffic than expected.
    TrafficSurge = "traffic-surge",
    /// Replicas are missing.
    ReplicaLoss = "replica-loss",
    /// A volume fills up.
    DiskFilling = "disk-filling",
    /// An autoscaler goes up and down.
    HpaThrash = "hpa-thrash",
    /// Parts can't reach each other.
    NetworkPartition = "network-partition",
    /// Packets get lost.
    PacketLoss = "packet-loss",
    /// Something it depends on fails.
    DependencyFailure = "dependency-failure",
    /// A circuit breaker opened.
    CircuitBreakerOpen = "circuit-breaker-open",
    /// It doesn't get the resources it needs.
    ResourceStarvation = "resource-starvation",
    /// What runs isn't what was declared.
    ConfigDrift = "config-drift",
    /// Replicas run different versions.
    VersionSkew = "version-skew",
    /// A node fails.
    NodeFailure = "node-failure",
    /// The image of a container can't be pulled.
    ImagePull = "image-pull",
    /// Pods find no node.
    Unschedulable = "unschedulable",
    /// Containers run and don't pass their probes.
    ProbeFailing = "probe-failing",
    /// The API server refuses to create its pods: a webhook or a policy denies them.
    AdmissionDenied = "admission-denied",
    /// A volume that it needs isn't there.
    VolumePending = "volume-pending",
    /// A Service has nothing to send requests to.
    ServiceUnreachable = "service-unreachable",
    /// An autoscaler can't read what it scales by.
    AutoscalerInactive = "autoscaler-inactive",
    /// A node is to be drained, and a disruption budget allows no eviction.
    EvictionBlocked = "eviction-blocked",
    /// An object was deleted and doesn't go away.
    StuckTerminating = "stuck-terminating",
    /// Its series have ended, while those of others go on. What became of it isn't known.
    WorkloadGone = "workload-gone",
    /// All its measurements repeat the same numbers: what it does isn't seen. A fact about the data, not a fault of its own.
    FrozenData = "frozen-data",
    /// Unusual, and we can't say what.
    Unknown = "unknown",
}

/// A text that names no incident type.
///
/// ```
/// use homeostat_core::IncidentType;
///
/// let refused = "memory-lek".parse::<IncidentType>().map_err(|error| error.to_string());
/// assert!(refused.is_err_and(|text| text.contains("known are: memory-leak")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown incident type {text:?}{hint}")]
pub struct UnknownIncidentType {
    text: String,
    hint: String,
}

impl FromStr for IncidentType {
    type Err = UnknownIncidentType;

    /// Accepts the stable names, and `high-memory-leak`, a name in use elsewhere, as `memory-leak`.
    fn from_str(text: &str) -> Result<Self, UnknownIncidentType> {
        if text == "high-memory-leak" {
            return Ok(Self::MemoryLeak);
        }
        Self::ALL.iter().copied().find(|known| known.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|known| known.name()).collect();
            UnknownIncidentType { text: text.to_owned(), hint: format!("; known are: {}", names.join(", ")) }
        })
    }
}

impl fmt::Display for IncidentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for IncidentType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for IncidentType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_kebab_case_and_reads_back() {
        for kind in IncidentType::ALL {
            assert!(kind.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
        assert_eq!("high-memory-leak".parse(), Ok(IncidentType::MemoryLeak));
        assert!("memory leak".parse::<IncidentType>().is_err());
    }
}
