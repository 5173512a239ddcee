//! What active faults do to one pod. Not what follows from it: that's the load's and the memory's business.

use homeostat_core::Timestamp;

use crate::fault::{Cure, Fault, FaultKind};
use crate::pod::{Obstacle, Pod};

/// A leak of full severity fills the free memory in half an hour.
const LEAK_S: f64 = 1800.0;
/// A pod that is about to be OOM killed again and again fills it in three minutes, so that a kill every four or
/// five minutes and pod results: "OOMKilled three times in ten minutes".
const OOM_FILL_S: f64 = 180.0;

/// A fault that has begun and hasn't ended.
#[derive(Clone, Debug)]
pub(crate) struct ActiveFault {
    pub(crate) fault: Fault,
    /// The code a bad deployment rolled out.
    pub(crate) code_bad: Option<u64>,
    /// Its place in the list of truths.
    pub(crate) truth_idx: usize,
}

/// All that ails one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ailment {
    pub(crate) obstacle: Obstacle,
    /// Share of its requests that fail.
    pub(crate) errors: f64,
    /// What its latency is multiplied by, less 1.
    pub(crate) slowness: f64,
    /// CPU burnt for nothing, share of its limit.
    pub(crate) cpu_burnt: f64,
    /// Share of its requests that get no answer.
    pub(crate) silence: f64,
    /// Share of its free memory that leaks, a second.
    pub(crate) leak_per_s: f64,
}

impl ActiveFault {
    /// Whether this pod suffers from it.
    pub(crate) fn afflicts(&self, slot: usize, n_slots: usize, pod: &Pod) -> bool {
        let share = (self.fault.severity.value() * n_slots as f64).ceil();
        let in_share = match self.fault.kind {
            FaultKind::OomKill | FaultKind::CrashLoop => (slot as f64) < share,
            // The last one stays, if there was more than one: losing all is an outage, not a loss of replicas.
            FaultKind::ReplicaLoss => (slot as f64) < share.min(n_slots.saturating_sub(1).max(1) as f64),
            FaultKind::BadDeployment => self.code_bad == Some(pod.code),
            FaultKind::MemoryLeak
            | FaultKind::DependencyFailure
            | FaultKind::CpuSpike
            | FaultKind::TrafficSurge
            | FaultKind::Campaign
            | FaultKind::TrafficDrop
            | FaultKind::ErrorBurst
            | FaultKind::Latency => true,
        };
        in_share
            && (slot == 0 || !self.fault.one_replica)
            && match self.fault.cure {
                Cure::NewPods => pod.created_at <= self.fault.start,
                // For a bad deployment this is asked above already; another fault may sit in a revision too.
                Cure::OtherRevision => self.code_bad.is_none_or(|code| code == pod.code),
                Cure::Time => true,
            }
    }

    fn add_to(&self, ailment: &mut Ailment) {
        let severity = self.fault.severity.value();
        match self.fault.kind {
            FaultKind::MemoryLeak => ailment.leak_per_s += severity / LEAK_S,
            FaultKind::OomKill => ailment.leak_per_s += 1.0 / OOM_FILL_S,
            FaultKind::BadDeployment => {
                ailment.errors += 0.05 + 0.35 * severity;
                ailment.slowness += 3.0 * severity;
            }
            FaultKind::DependencyFailure => ailment.silence += 0.3 + 0.7 * severity,
            FaultKind::CpuSpike => ailment.cpu_burnt += 0.2 + 0.6 * severity,
            FaultKind::ErrorBurst => ailment.errors += 0.03 + 0.5 * severity,
            FaultKind::Latency => ailment.slowness += 1.0 + 9.0 * severity,
            FaultKind::ReplicaLoss => ailment.obstacle.no_node = true,
            FaultKind::CrashLoop => ailment.obstacle.dies = true,
            FaultKind::TrafficSurge | FaultKind::Campaign | FaultKind::TrafficDrop => {}
        }
    }

    /// What it multiplies the subject's traffic by.
    pub(crate) fn traffic_factor(&self) -> f64 {
        let severity = self.fault.severity.value();
        match self.fault.kind {
            // Three times the traffic is more than the pods can carry at the daily peak; a planned campaign is what
            // capacity was provided for.
            FaultKind::TrafficSurge => 1.0 + 2.0 * severity,
            FaultKind::Campaign => 1.0 + 0.6 * severity,
            FaultKind::TrafficDrop => 1.0 - 0.9 * severity,
            FaultKind::MemoryLeak
            | FaultKind::OomKill
            | FaultKind::BadDeployment
            | FaultKind::DependencyFailure
            | FaultKind::CpuSpike
            | FaultKind::ErrorBurst
            | FaultKind::Latency
            | FaultKind::ReplicaLoss
            | FaultKind::CrashLoop => 1.0,
        }
    }

    /// Whether a roll-out has taken its cause away.
    pub(crate) fn is_cured(&self, pods: &[Pod], code_wanted: Option<u64>) -> bool {
        let still_wanted = self.code_bad.is_some() && self.code_bad == code_wanted;
        self.fault.cure != Cure::Time
            && !still_wanted
            && pods.iter().enumerate().all(|(slot, pod)| !self.afflicts(slot, pods.len(), pod))
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.fault.runs_until()
    }
}

/// All that ails the pod in this slot.
pub(crate) fn ailment(faults: &[ActiveFault], slot: usize, n_slots: usize, pod: &Pod) -> Ailment {
    let mut ailment = Ailment::default();
    for active in faults {
        if active.afflicts(slot, n_slots, pod) {
            active.add_to(&mut ailment);
        }
    }
    ailment.errors = ailment.errors.min(1.0);
    ailment.silence = ailment.silence.min(1.0);
    ailment
}
