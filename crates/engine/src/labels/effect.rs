//! What labels come to: which times are expected of whom, how often incidents of each type were right, and the precision of late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Incident, IncidentLabel, IncidentType, Subject, Timestamp, Verdict};
use homeostat_detect::{Every, ExpectedTime};
use homeostat_incidents::Verdicts;
use homeostat_journal::KeptIncident;

use super::record::check;

/// So long before an incident opened, what is expected may begin: what is mild opens when it has added up, half an hour after it began.
const BEFORE_OPENING: Duration = Duration::from_secs(30 * 60);
/// So long after it was over, what is expected may still go on: no run is exactly as long as the one before.
const AFTER_END: Duration = Duration::from_secs(15 * 60);
/// And so many rows on both sides, where rows are far apart.
const ROWS_AROUND: u32 = 2;

/// Precision is that of incidents that opened within so long.
const PRECISION_OF: Duration = Duration::from_secs(30 * 86_400);

/// What labels come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effect {
    /// What is meant to happen, by subject.
    pub(crate) expected: BTreeMap<Subject, Vec<ExpectedTime>>,
    /// How often incidents of each type were right.
    pub(crate) verdicts: Verdicts,
    /// How many incidents have which verdict.
    pub(crate) counts: BTreeMap<(Verdict, IncidentType), i64>,
    /// The share of true positives among true and false ones that opened in the last thirty days, if there are any.
    pub(crate) precision: Option<f64>,
}

impl Effect {
    /// Of these labels with their incidents, for rows one a `step`.
    pub(crate) fn of(labels: &[(Arc<IncidentLabel>, Arc<KeptIncident>)], step: Duration, now: Timestamp) -> Self {
        let mut effect = Self::default();
        let (mut n_late, mut n_late_right) = (0_u32, 0_u32);
        for (label, kept) in labels {
            // What a newer version recorded is shown, and has no effect here.
            let (Some(verdict), Some(incident)) = (label.verdict, kept.incident()) else { continue };
            *effect.counts.entry((verdict, incident.incident_type)).or_default() += 1;
            let right = match verdict {
                Verdict::TruePositive => true,
                Verdict::FalsePositive => false,
                Verdict::ExpectedDaily => {
                    effect.expect(label, &incident, Every::Day, step);
                    continue;
                }
                Verdict::ExpectedWeekly => {
                    effect.expect(label, &incident, Every::Week, step);
                    continue;
                }
            };
            effect.verdicts.add(incident.incident_type, right);
            if now.since(incident.opened_at) <= PRECISION_OF {
                n_late += 1;
                n_late_right += u32::from(right);
            }
        }
        effect.precision = (n_late > 0).then(|| f64::from(n_late_right) / f64::from(n_late));
        effect
    }

    /// Expects the incident again, of all whom it affected. While it goes on nobody knows how long it lasts.
    fn expect(&mut self, label: &IncidentLabel, incident: &Incident, every: Every, step: Duration) {
        if !incident.state.is_over() || check(label, incident).is_err() {
            return;
        }
        let around = step * ROWS_AROUND;
        let time = ExpectedTime {
            from: incident.opened_at - BEFORE_OPENING.max(around),
            to: incident.updated_at + AFTER_END.max(around),
            every,
            score_peak: incident.score_peak.value(),
        };
        for subject in std::iter::once(&incident.subject).chain(&incident.affected) {
            self.expected.entry(subject.clone()).or_default().push(time);
        }
    }
}
