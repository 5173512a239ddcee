//! Which incident is due to which fault. Everything that is counted rests on this rule:
//!
//! An incident is due to a fault when it opened while the fault went on, or within [`AFTERMATH`] of its end, **and** its
//! subject is the fault's own ([`Due::Cause`]) or one of those that suffer from it ([`Due::Affected`]). If several faults
//! fit, one with the incident's own subject goes first, then a harmful one, then the one that began last. An incident
//! that was open before the fault began isn't due to it, however well it fits. What is due to nothing is false.

use std::cmp::Reverse;
use std::time::Duration;

use homeostat_core::Incident;
use homeostat_simulate::FaultTruth;

/// How long after its end a fault still explains new incidents: signals that look back ten minutes (restarts, OOM kills)
/// must empty, and caches must warm up after a restart.
pub const AFTERMATH: Duration = Duration::from_secs(15 * 60);

/// What an incident is due to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// To the fault at this place in the list of truths; its subject is the cause.
    Cause(usize),
    /// To the fault at this place; its subject only suffers.
    Affected(usize),
    /// To nothing: it's false.
    Nothing,
}

impl Due {
    /// The fault's place in the list of truths.
    pub fn truth_idx(self) -> Option<usize> {
        match self {
            Self::Cause(idx) | Self::Affected(idx) => Some(idx),
            Self::Nothing => None,
        }
    }
}

/// What each incident is due to, in the incidents' order.
pub fn match_incidents<'a>(truths: &[FaultTruth], incidents: impl IntoIterator<Item = &'a Incident>) -> Vec<Due> {
    incidents.into_iter().map(|incident| due_to(truths, incident)).collect()
}

fn due_to(truths: &[FaultTruth], incident: &Incident) -> Due {
    let fits = truths.iter().enumerate().filter(|(_, truth)| {
        let in_time = truth.start <= incident.opened_at && incident.opened_at <= truth.over_at() + AFTERMATH;
        in_time && (truth.subject == incident.subject || truth.affected.contains(&incident.subject))
    });
    let best = fits.min_by_key(|(_, truth)| (truth.subject != incident.subject, truth.harmless, Reverse(truth.start)));
    match best {
        None => Due::Nothing,
        Some((idx, truth)) if truth.subject == incident.subject => Due::Cause(idx),
        Some((idx, _)) => Due::Affected(idx),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{at, incident, truth};
    use homeostat_core::IncidentType::{ErrorBurst, Latency};
    use homeostat_simulate::FaultKind;

    fn due(truths: &[FaultTruth], subject: &str, minute: i64) -> Due {
        match_incidents(truths, [&incident(subject, Latency, minute)])[0]
    }

    #[test]
    fn subject_and_time_both_count() {
        let truths = [truth(FaultKind::Latency, "cart", &["frontend"], 10, Some(40))];
        assert_eq!(due(&truths, "cart", 10), Due::Cause(0));
        assert_eq!(due(&truths, "frontend", 20), Due::Affected(0));
        assert_eq!(due(&truths, "cart", 55), Due::Cause(0));
        assert_eq!(due(&truths, "cart", 56), Due::Nothing);
        assert_eq!(due(&truths, "orders", 20), Due::Nothing);
    }

    #[test]
    fn an_incident_that_was_there_before_the_fault_is_false() {
        assert_eq!(due(&[truth(FaultKind::Latency, "cart", &[], 10, None)], "cart", 9), Due::Nothing);
    }

    #[test]
    fn a_fault_without_end_explains_until_it_would_have_ended() {
        let truths = [truth(FaultKind::Latency, "cart", &[], 10, None)];
        assert_eq!(truths[0].runs_until, at(370));
        assert_eq!(due(&truths, "cart", 370), Due::Cause(0));
        assert_eq!(due(&truths, "cart", 386), Due::Nothing);
    }

    #[test]
    fn of_several_the_own_subject_then_the_harmful_then_the_latest() {
        let caller_suffers = truth(FaultKind::ErrorBurst, "orders", &["cart"], 20, None);
        let campaign = truth(FaultKind::Campaign, "cart", &[], 15, None);
        let [early, late] = [10, 12].map(|minute| truth(FaultKind::Latency, "cart", &[], minute, None));
        assert_eq!(due(&[caller_suffers.clone(), early.clone()], "cart", 30), Due::Cause(1));
        assert_eq!(due(&[campaign, early.clone()], "cart", 30), Due::Cause(1));
        assert_eq!(due(&[early, late], "cart", 30), Due::Cause(1));
        assert_eq!(match_incidents(&[caller_suffers], [&incident("orders", ErrorBurst, 30)]), [Due::Cause(0)]);
    }
}
