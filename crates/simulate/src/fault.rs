//! What can be made to go wrong, and what cures it.

use std::time::Duration;

use homeostat_core::{IncidentType, Subject, Timestamp, WorkloadKind};
use serde::{Deserialize, Serialize};

/// Kinds of fault. `TrafficSurge` comes unannounced; a `Campaign` is the same traffic, planned and in the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Memory grows in every pod until it is killed, in half an hour at full severity.
    MemoryLeak,
    /// A share of the pods runs into its memory limit within minutes, again and again.
    OomKill,
    /// A new revision that fails and is slow.
    BadDeployment,
    /// It hardly answers; its callers fail and wait.
    DependencyFailure,
    /// A loop burns CPU.
    CpuSpike,
    /// More traffic than expected, unannounced.
    TrafficSurge,
    /// More traffic, planned: in the calendar, and harmless.
    Campaign,
    /// Less traffic than expected.
    TrafficDrop,
    /// Requests fail.
    ErrorBurst,
    /// Requests are slow.
    Latency,
    /// A share of the pods is gone and finds no node; one stays if there were several.
    ReplicaLoss,
    /// A share of the pods dies soon after each start.
    CrashLoop,
}

/// What ends a fault before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cure {
    /// The cause sits in the pods: one created after the fault began is free of it. A container restart inside the
    /// same pod isn't enough (think of a full `emptyDir`), or every OOM kill would cure its own leak.
    NewPods,
    /// The cause is the revision: pods of any other code are free of it.
    OtherRevision,
    /// Nothing that can be done to the subject helps; it ends in its own time.
    Time,
}

/// How bad it is: above 0, at most 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Severity(f64);

/// A number that is no severity.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("invalid severity {0}: it must be above 0 and at most 1")]
pub struct NotASeverity(f64);

impl Severity {
    /// Easily overlooked.
    pub const MILD: Self = Self(0.3);
    /// Clearly visible.
    pub const MODERATE: Self = Self(0.6);
    /// As bad as it gets.
    pub const FULL: Self = Self(1.0);

    /// Checks and wraps a number.
    pub fn new(value: f64) -> Result<Self, NotASeverity> {
        if value > 0.0 && value <= 1.0 { Ok(Self(value)) } else { Err(NotASeverity(value)) }
    }

    /// The number.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Severity {
    type Error = NotASeverity;
    fn try_from(value: f64) -> Result<Self, NotASeverity> {
        Self::new(value)
    }
}

impl From<Severity> for f64 {
    fn from(severity: Severity) -> f64 {
        severity.0
    }
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 12] = [
        Self::MemoryLeak,
        Self::OomKill,
        Self::BadDeployment,
        Self::DependencyFailure,
        Self::CpuSpike,
        Self::TrafficSurge,
        Self::Campaign,
        Self::TrafficDrop,
        Self::ErrorBurst,
        Self::Latency,
        Self::ReplicaLoss,
        Self::CrashLoop,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemoryLeak => "memory-leak",
            Self::OomKill => "oom-kill",
            Self::BadDeployment => "bad-deployment",
            Self::DependencyFailure => "dependency-failure",
            Self::CpuSpike => "cpu-spike",
            Self::TrafficSurge => "traffic-surge",
            Self::Campaign => "campaign",
            Self::TrafficDrop => "traffic-drop",
            Self::ErrorBurst => "error-burst",
            Self::Latency => "latency",
            Self::ReplicaLoss => "replica-loss",
            Self::CrashLoop => "crash-loop",
        }
    }

    /// The types that name it rightly, the best first. Two faults that look the same from outside share their names:
    /// whether a service "fails its requests" or "is a failing dependency" is a question of where one stands, and a
    /// container that is killed for memory leaked first. A slower leak earns `oom-killed` only with its first kill.
    pub const fn incident_types(self) -> &'static [IncidentType] {
        match self {
            Self::MemoryLeak => &[IncidentType::MemoryLeak],
            Self::OomKill => &[IncidentType::OomKilled, IncidentType::MemoryLeak],
            Self::BadDeployment => &[IncidentType::BadDeployment],
            Self::DependencyFailure => &[IncidentType::DependencyFailure, IncidentType::ErrorBurst],
            Self::CpuSpike => &[IncidentType::CpuSpike],
            Self::TrafficSurge | Self::Campaign => &[IncidentType::TrafficSurge],
            Self::TrafficDrop => &[IncidentType::TrafficDrop],
            Self::ErrorBurst => &[IncidentType::ErrorBurst, IncidentType::DependencyFailure],
            Self::Latency => &[IncidentType::Latency],
            Self::ReplicaLoss => &[IncidentType::ReplicaLoss],
            Self::CrashLoop => &[IncidentType::CrashLoop],
        }
    }

    /// What cures it, unless the fault says otherwise.
    pub const fn cure(self) -> Cure {
        match self {
            Self::MemoryLeak | Self::OomKill | Self::CpuSpike | Self::ErrorBurst | Self::Latency => Cure::NewPods,
            Self::DependencyFailure => Cure::NewPods,
            Self::BadDeployment => Cure::OtherRevision,
            Self::TrafficSurge | Self::Campaign | Self::TrafficDrop | Self::ReplicaLoss | Self::CrashLoop => Cure::Time,
        }
    }

    /// Whether it changes the traffic that reaches the subject, and so everything the subject calls.
    pub const fn moves_traffic(self) -> bool {
        match self {
            Self::TrafficSurge | Self::Campaign | Self::TrafficDrop => true,
            Self::MemoryLeak
            | Self::OomKill
            | Self::BadDeployment
            | Self::DependencyFailure
            | Self::CpuSpike
            | Self::ErrorBurst
            | Self::Latency
            | Self::ReplicaLoss
            | Self::CrashLoop => false,
        }
    }

    /// Whether it can befall this kind of workload: an external service has no pods or revisions of ours.
    pub const fn can_befall(self, kind: WorkloadKind) -> bool {
        match kind {
            WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => true,
            WorkloadKind::External => {
                matches!(self, Self::DependencyFailure | Self::CpuSpike | Self::ErrorBurst | Self::Latency)
            }
        }
    }
}

/// A fault to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Where.
    pub subject: Subject,
    /// From when on.
    pub start: Timestamp,
    /// How long, if nothing cures it.
    pub lasts: Duration,
    /// How bad.
    pub severity: Severity,
    /// What cures it. Of an external service, only time does, whatever this says.
    pub cure: Cure,
    /// Whether it befalls one replica only, the first; faults of traffic are everybody's all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_replica: bool,
}

impl Fault {
    /// A fault of six hours (traffic: two) with its kind's usual cure.
    pub fn new(kind: FaultKind, subject: Subject, start: Timestamp, severity: Severity) -> Self {
        let hours = if kind.moves_traffic() { 2 } else { 6 };
        let lasts = Duration::from_secs(hours * 3600);
        Self { kind, subject, start, lasts, severity, cure: kind.cure(), one_replica: false }
    }

    /// The same, ending by itself after `lasts`.
    #[must_use]
    pub fn lasting(self, lasts: Duration) -> Self {
        Self { lasts, ..self }
    }

    /// The same with another cure, such as a leak that no restart cures.
    #[must_use]
    pub fn cured_by(self, cure: Cure) -> Self {
        Self { cure, ..self }
    }

    /// The same, in one replica only.
    #[must_use]
    pub fn of_one_replica(self) -> Self {
        Self { one_replica: true, ..self }
    }

    /// When it ends if nothing cures it.
    pub fn runs_until(&self) -> Timestamp {
        self.start + self.lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_above_zero_and_at_most_one() {
        for value in [0.0, -0.1, 1.01, f64::NAN] {
            assert!(Severity::new(value).is_err(), "{value}");
        }
        assert_eq!(Severity::new(1.0), Ok(Severity::FULL));
    }

    #[test]
    fn the_name_is_the_serialised_form() {
        for kind in FaultKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("plain data"), kind.name());
        }
    }

    #[test]
    fn an_external_service_gets_no_faults_of_pods() {
        assert!(!FaultKind::BadDeployment.can_befall(WorkloadKind::External));
        assert!(FaultKind::DependencyFailure.can_befall(WorkloadKind::External));
        assert!(FaultKind::ALL.iter().all(|kind| kind.can_befall(WorkloadKind::Deployment)));
    }
}
