//! What kind of incident some evidence is: one ordered table, nothing learned, nothing remembered.
//!
//! It sees which signals deviate and what else is known; whether that is an incident at all is the tracker's question.

use homeostat_core::{Calibrated, Evidence, IncidentType, Schema, Signal};
use homeostat_detect::AssessedRow;

use crate::confidence::Calibration;

mod evidence;

pub(crate) use evidence::{EVIDENCE_MAX, evidence_at, evidence_of, strongest_first};

/// A signal deviates from so many training deviations on.
pub const DEVIATING_MIN: f64 = 3.0;

/// Restarts in the signal's own window from which on they are a loop; one restart is what any roll-out does.
const RESTARTS_LOOP_MIN: f64 = 2.0;

/// What is known beside the signals.
///
/// ```
/// use homeostat_incidents::TypingContext;
///
/// let nothing = TypingContext::default();
/// assert!(!nothing.recent_rollout && !nothing.dependency_in_incident);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypingContext {
    /// The subject was rolled out shortly before, and not by us.
    pub recent_rollout: bool,
    /// Something it depends on is in an incident of its own.
    pub dependency_in_incident: bool,
    /// Its memory is on its way to its limit.
    pub memory_fills_up: bool,
}

/// The table: the first rule that holds names the type. The order is from the most specific, and so the most telling, to
/// the least; while an incident is open its type only ever moves up (see [`sharpened`]).
///
/// A roll-out goes before memory: what leaks or fails since a roll-out is cured by taking that back. A killed
/// container goes before both: it is a fact, not an inference. Of errors and latency, the farther out wins.
const RULES: [Rule; 12] = [
    (IncidentType::OomKilled, |signs| signs.up(Signal::OomKills)),
    (IncidentType::BadDeployment, |signs| {
        let worse = signs.up(Signal::ErrorRatio) || signs.up(Signal::Latency) || signs.up(Signal::Restarts);
        signs.typing_context.recent_rollout && worse
    }),
    // Traffic explains more memory, and not memory that goes on rising to its limit.
    (IncidentType::MemoryLeak, |signs| {
        signs.up(Signal::Memory) && (!signs.up(Signal::Traffic) || signs.typing_context.memory_fills_up)
    }),
    (IncidentType::DependencyFailure, |signs| {
        signs.typing_context.dependency_in_incident && (signs.up(Signal::ErrorRatio) || signs.up(Signal::Latency))
    }),
    (IncidentType::CrashLoop, |signs| {
        signs.up(Signal::Restarts) && signs.observed_max(Signal::Restarts) >= RESTARTS_LOOP_MIN
    }),
    (IncidentType::ReplicaLoss, |signs| signs.up(Signal::ReplicasUnavailable)),
    (IncidentType::TrafficSurge, |signs| signs.up(Signal::Traffic) && !signs.up(Signal::ErrorRatio)),
    (IncidentType::TrafficDrop, |signs| {
        signs.down(Signal::Traffic) && !signs.up(Signal::ErrorRatio) && !signs.up(Signal::Latency)
    }),
    (IncidentType::CpuSpike, |signs| {
        signs.up(Signal::Cpu) && !signs.up(Signal::Traffic) && !signs.up(Signal::ErrorRatio)
    }),
    (IncidentType::CpuThrottling, |signs| signs.up(Signal::CpuThrottling)),
    (IncidentType::ErrorBurst, |signs| {
        signs.up(Signal::ErrorRatio) && signs.highest(Signal::ErrorRatio) >= signs.highest(Signal::Latency)
    }),
    (IncidentType::Latency, |signs| signs.up(Signal::Latency)),
];

/// A type, and when the signs speak for it.
type Rule = (IncidentType, fn(&Signs) -> bool);

/// The type this evidence speaks for; [`IncidentType::Unknown`] if no rule holds.
///
/// ```
/// use homeostat_core::{Evidence, IncidentType, Signal};
/// use homeostat_incidents::{TypingContext, incident_type};
///
/// let errors = Evidence {
///     feature: "error-ratio".into(), signal: Signal::ErrorRatio, observed: 0.2, expected: 0.0, deviation: 30.0,
/// };
/// let rolled_out = TypingContext { recent_rollout: true, ..TypingContext::default() };
/// assert_eq!(incident_type(std::slice::from_ref(&errors), TypingContext::default()), IncidentType::ErrorBurst);
/// assert_eq!(incident_type(&[errors], rolled_out), IncidentType::BadDeployment);
/// ```
pub fn incident_type(evidence: &[Evidence], typing_context: TypingContext) -> IncidentType {
    let signs = Signs { evidence, typing_context };
    RULES.iter().find(|(_, holds)| holds(&signs)).map_or(IncidentType::Unknown, |(found, _)| *found)
}

/// What a scored row says by itself: which type an incident of it would have, and how sure that would be; `None` without a score.
///
/// A row tells nothing of rollouts and dependencies, so its type may be less sharp than that of an incident that is followed.
pub fn row_typing(schema: &Schema, row: &AssessedRow, calibration: &Calibration) -> Option<(IncidentType, Calibrated)> {
    let score = row.assessment.score()?;
    let incident_type = incident_type(&evidence_of(schema, row), TypingContext::default());
    Some((incident_type, calibration.confidence(incident_type, score)))
}

/// The type of an open incident after new evidence: the one that stands higher in the table. So it can't flap.
pub fn sharpened(current: IncidentType, found: IncidentType) -> IncidentType {
    if rank(found) < rank(current) { found } else { current }
}

fn rank(incident_type: IncidentType) -> usize {
    RULES.iter().position(|(listed, _)| *listed == incident_type).unwrap_or(RULES.len())
}

/// Whether this evidence is load that callers pass down: traffic, or the CPU that follows it, stands out, and nothing fails.
pub(crate) fn is_load(evidence: &[Evidence]) -> bool {
    let signs = Signs { evidence, typing_context: TypingContext::default() };
    let strongest = evidence.first().map(|one| one.signal);
    let is_load = match strongest {
        Some(Signal::Traffic) => true,
        Some(Signal::Cpu) => signs.up(Signal::Traffic) || signs.down(Signal::Traffic),
        Some(
            Signal::Memory
            | Signal::CpuThrottling
            | Signal::Restarts
            | Signal::OomKills
            | Signal::ErrorRatio
            | Signal::Latency
            | Signal::ReplicasUnavailable
            | Signal::QueueLag
            | Signal::Other,
        )
        | None => false,
    };
    is_load && !signs.up(Signal::ErrorRatio) && !is_its_own(evidence)
}

/// Whether a planned event explains this evidence: there is more traffic, nothing fails, and nothing is the subject's own. That
/// traffic goes clearly down is explained once the event `is_over`.
pub(crate) fn fits_event(evidence: &[Evidence], is_over: bool) -> bool {
    let signs = Signs { evidence, typing_context: TypingContext::default() };
    let is_less = evidence.iter().any(|one| one.signal == Signal::Traffic && one.deviation <= -DEVIATING_MIN);
    let is_more = signs.up(Signal::Traffic) || is_mere_load(evidence);
    is_more && (is_over || !is_less) && !signs.up(Signal::ErrorRatio) && !is_its_own(evidence)
}

/// Whether this evidence is nothing but load, or nothing of it stands out.
pub(crate) fn is_mere_load(evidence: &[Evidence]) -> bool {
    is_load(evidence) || evidence.iter().all(|one| one.deviation.abs() < DEVIATING_MIN)
}

/// Whether something fails that a planned event never explains.
pub(crate) fn has_errors(evidence: &[Evidence]) -> bool {
    Signs { evidence, typing_context: TypingContext::default() }.up(Signal::ErrorRatio)
}

/// Whether a roll-out of the subject explains this evidence better than anything it depends on.
pub(crate) fn fits_rollout(evidence: &[Evidence]) -> bool {
    let signs = Signs { evidence, typing_context: TypingContext::default() };
    signs.up(Signal::ErrorRatio) || signs.up(Signal::Latency) || signs.up(Signal::Restarts)
}

/// Whether this evidence is of a kind that a failing dependency doesn't explain: memory, kills, restarts and lost replicas
/// are the subject's own; errors, latency, traffic, CPU and queues are passed on by what it calls.
pub(crate) fn is_its_own(evidence: &[Evidence]) -> bool {
    let signs = Signs { evidence, typing_context: TypingContext::default() };
    signs.up(Signal::OomKills)
        || signs.up(Signal::ReplicasUnavailable)
        || (signs.up(Signal::Memory) && !signs.up(Signal::Traffic))
        || (signs.up(Signal::Restarts) && signs.observed_max(Signal::Restarts) >= RESTARTS_LOOP_MIN)
}

struct Signs<'a> {
    evidence: &'a [Evidence],
    typing_context: TypingContext,
}

impl Signs<'_> {
    fn of(&self, signal: Signal) -> impl Iterator<Item = &Evidence> {
        self.evidence.iter().filter(move |one| one.signal == signal)
    }

    fn up(&self, signal: Signal) -> bool {
        self.highest(signal) >= DEVIATING_MIN
    }

    fn down(&self, signal: Signal) -> bool {
        self.of(signal).any(|one| one.deviation <= -DEVIATING_MIN)
    }

    fn highest(&self, signal: Signal) -> f64 {
        self.of(signal).map(|one| one.deviation).fold(f64::NEG_INFINITY, f64::max)
    }

    fn observed_max(&self, signal: Signal) -> f64 {
        self.of(signal).map(|one| one.observed).fold(f64::NEG_INFINITY, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(signals: &[(Signal, f64)]) -> Vec<Evidence> {
        let one = |(signal, deviation): &(Signal, f64)| Evidence {
            feature: signal.name().into(),
            signal: *signal,
            observed: 3.0,
            expected: 0.0,
            deviation: *deviation,
        };
        signals.iter().map(one).collect()
    }

    const PLAIN: TypingContext =
        TypingContext { recent_rollout: false, dependency_in_incident: false, memory_fills_up: false };
    const FILLING: TypingContext = TypingContext { memory_fills_up: true, ..PLAIN };
    const ROLLED_OUT: TypingContext = TypingContext { recent_rollout: true, ..PLAIN };
    const DEPENDENCY: TypingContext = TypingContext { dependency_in_incident: true, ..PLAIN };

    #[test]
    fn the_table_says_what_an_engineer_would() {
        use IncidentType as T;
        use Signal as S;
        type Case = (&'static [(Signal, f64)], TypingContext, IncidentType);
        let cases: &[Case] = &[
            (&[(S::OomKills, 200.0), (S::Memory, 9.0), (S::Restarts, 200.0)], PLAIN, T::OomKilled),
            (&[(S::Memory, 9.0)], PLAIN, T::MemoryLeak),
            (&[(S::Memory, 9.0), (S::Traffic, 9.0), (S::Cpu, 5.0)], PLAIN, T::TrafficSurge),
            (&[(S::Memory, 9.0), (S::Traffic, 9.0), (S::Cpu, 5.0)], FILLING, T::MemoryLeak),
            (&[(S::ErrorRatio, 9.0)], ROLLED_OUT, T::BadDeployment),
            (&[(S::ErrorRatio, 9.0), (S::Memory, 30.0)], ROLLED_OUT, T::BadDeployment),
            (&[(S::Cpu, 9.0)], ROLLED_OUT, T::CpuSpike),
            (&[(S::ErrorRatio, 9.0), (S::Latency, 4.0)], DEPENDENCY, T::DependencyFailure),
            (&[(S::Cpu, 9.0)], DEPENDENCY, T::CpuSpike),
            (&[(S::Restarts, 9.0), (S::ErrorRatio, 20.0)], PLAIN, T::CrashLoop),
            (&[(S::ReplicasUnavailable, 9.0), (S::Latency, 20.0)], PLAIN, T::ReplicaLoss),
            (&[(S::Traffic, -9.0)], PLAIN, T::TrafficDrop),
            (&[(S::Traffic, -9.0), (S::ErrorRatio, 9.0)], PLAIN, T::ErrorBurst),
            (&[(S::Cpu, 9.0), (S::CpuThrottling, 20.0), (S::Latency, 5.0)], PLAIN, T::CpuSpike),
            (&[(S::CpuThrottling, 20.0), (S::Latency, 5.0)], PLAIN, T::CpuThrottling),
            (&[(S::ErrorRatio, 9.0), (S::Latency, 5.0)], PLAIN, T::ErrorBurst),
            (&[(S::ErrorRatio, 4.0), (S::Latency, 50.0)], PLAIN, T::Latency),
            (&[(S::Memory, 2.9), (S::Other, 90.0)], PLAIN, T::Unknown),
            (&[], ROLLED_OUT, T::Unknown),
        ];
        for (signals, typing_context, wanted) in cases {
            assert_eq!(incident_type(&evidence(signals), *typing_context), *wanted, "{signals:?} {typing_context:?}");
        }
    }

    #[test]
    fn a_planned_event_explains_more_traffic_and_what_follows_and_no_failure() {
        use Signal as S;
        for (signals, wanted) in [
            (&[(S::Traffic, 9.0)][..], true),
            (&[(S::Latency, 20.0), (S::Cpu, 9.0), (S::Memory, 5.0), (S::Traffic, 4.0)], true),
            (&[(S::Latency, 20.0)], false),
            (&[(S::Cpu, 9.0)], false),
            (&[(S::Cpu, 2.0)], true),
            (&[(S::Traffic, -9.0)], false),
            (&[(S::Traffic, 9.0), (S::ErrorRatio, 4.0)], false),
            (&[(S::Traffic, 9.0), (S::OomKills, 9.0)], false),
        ] {
            assert_eq!(fits_event(&evidence(signals), false), wanted, "{signals:?}");
        }
        assert!(fits_event(&evidence(&[(S::Traffic, -9.0)]), true), "what it brought goes away again");
    }

    #[test]
    fn one_restart_is_no_loop() {
        let mut once = evidence(&[(Signal::Restarts, 200.0)]);
        once[0].observed = 1.0;
        assert_eq!(incident_type(&once, PLAIN), IncidentType::Unknown);
    }

    #[test]
    fn a_type_moves_up_the_table_and_never_back() {
        assert_eq!(sharpened(IncidentType::MemoryLeak, IncidentType::OomKilled), IncidentType::OomKilled);
        assert_eq!(sharpened(IncidentType::OomKilled, IncidentType::Latency), IncidentType::OomKilled);
        assert_eq!(sharpened(IncidentType::Unknown, IncidentType::Latency), IncidentType::Latency);
        for from in IncidentType::ALL {
            for to in IncidentType::ALL {
                let once = sharpened(*from, *to);
                assert_eq!(sharpened(once, *from), once, "{from} {to}");
            }
        }
    }
}
