//! What labels come to: which times are expected of whom, how often incidents of each type were right, and the precision of late.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::{Incident, IncidentLabel, IncidentType, Subject, Timestamp, Verdict};
use homeostat_detect::{Every, ExpectedTime};
use homeostat_incidents::Verdicts;
use homeostat_journal::LabelledIncident;

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
    pub(crate) fn of(labels: &[LabelledIncident], step: Duration, now: Timestamp) -> Self {
        let mut effect = Self::default();
        let mut labels: Vec<_> = labels.iter().collect();
        labels.sort_by_key(|one| one.label.at);
        let mut since: BTreeMap<Subject, Vec<(Timestamp, ExpectedTime)>> = BTreeMap::new();
        let (mut n_late, mut n_late_right) = (0_u32, 0_u32);
        for LabelledIncident { label, incident: kept } in labels {
            // What a newer version recorded is shown, and has no effect here.
            let (Some(verdict), Some(incident)) = (label.verdict, kept.incident()) else { continue };
            *effect.counts.entry((verdict, incident.incident_type)).or_default() += 1;
            let right = match verdict {
                Verdict::TruePositive => true,
                Verdict::FalsePositive => false,
                Verdict::ExpectedDaily => {
                    expect(&mut since, label, &incident, Every::Day, step);
                    continue;
                }
                Verdict::ExpectedWeekly => {
                    expect(&mut since, label, &incident, Every::Week, step);
                    continue;
                }
            };
            effect.verdicts.add(incident.incident_type, right);
            if now.since(incident.opened_at) <= PRECISION_OF {
                n_late += 1;
                n_late_right += u32::from(right);
            }
        }
        let times = |(subject, since): (Subject, Vec<(Timestamp, ExpectedTime)>)| {
            (subject, since.into_iter().map(|(_, time)| time).collect())
        };
        effect.expected = since.into_iter().map(times).collect();
        effect.precision = (n_late > 0).then(|| f64::from(n_late_right) / f64::from(n_late));
        effect
    }
}

/// Expects the incident again, of all whom it affected. While it goes on nobody knows how long it lasts.
fn expect(
    since: &mut BTreeMap<Subject, Vec<(Timestamp, ExpectedTime)>>,
    label: &IncidentLabel,
    incident: &Incident,
    every: Every,
    step: Duration,
) {
    if !incident.state.is_over() || check(label, incident).is_err() {
        return;
    }
    let around = step * ROWS_AROUND;
    for subject in std::iter::once(&incident.subject).chain(&incident.affected) {
        let times = since.entry(subject.clone()).or_default();
        // Its score is what was left of it where something had been expected already, which it went beyond.
        let earlier = times.iter().filter(|(at, time)| *at <= incident.opened_at && time.holds(incident.opened_at));
        let factor = earlier.map(|(_, time)| time.factor()).fold(1.0, f64::max);
        let time = ExpectedTime {
            from: incident.opened_at - BEFORE_OPENING.max(around),
            to: incident.updated_at + AFTER_END.max(around),
            every,
            score_peak: incident.score_peak.value() * factor,
        };
        times.push((label.at, time));
    }
}

#[cfg(test)]
mod tests {
    use homeostat_core::IncidentState;
    use homeostat_journal::{Journal, Note};

    use super::*;
    use crate::training::testing::incident;

    const DAY: i64 = 86_400;
    const MINUTE: Duration = Duration::from_secs(60);

    /// What these incidents come to, each with its verdict and when it was given.
    fn effect(judged: &[(Incident, Verdict, i64)], now_s: i64) -> Effect {
        let journal = Journal::in_memory().expect("a journal");
        for (incident, verdict, said_s) in judged {
            let at = Timestamp::from_secs(*said_s);
            let (by, note) = ("anna".to_owned(), String::new());
            let label = IncidentLabel { incident: incident.id.clone(), verdict: Some(*verdict), by, note, at };
            journal.note(&Note::Incident(Box::new(incident.clone())), at).expect("noted");
            journal.note(&Note::Label(label), at).expect("noted");
        }
        Effect::of(&journal.labels().expect("readable"), MINUTE, Timestamp::from_secs(now_s))
    }

    #[test]
    fn what_is_expected_is_expected_of_all_whom_it_affected_for_as_long_as_it_lasted() {
        let web = Subject::deployment("shop", "web");
        let backup = Incident { affected: vec![web.clone()], ..incident("cart", 10 * DAY, 1_200) };
        let found = effect(&[(backup.clone(), Verdict::ExpectedDaily, 11 * DAY)], 12 * DAY);
        assert_eq!(found.expected.len(), 2);
        let time = found.expected[&web][0];
        for (minute, holds) in [(-31, false), (-30, true), (0, true), (34, true), (35, false)] {
            assert_eq!(time.holds(Timestamp::from_secs(15 * DAY + 60 * minute)), holds, "{minute}");
        }
        assert_eq!(found.precision, None, "what is expected is neither right nor wrong");
    }

    #[test]
    fn while_it_goes_on_nobody_knows_how_long_it_lasts() {
        let open = Incident { state: IncidentState::Open, ..incident("cart", 10 * DAY, 60) };
        assert!(effect(&[(open, Verdict::ExpectedDaily, 11 * DAY)], 12 * DAY).expected.is_empty());
    }

    #[test]
    fn what_went_beyond_what_was_expected_is_expected_as_far_as_it_went() {
        let (first, further) = (incident("cart", 10 * DAY, 1_200), incident("cart", 11 * DAY, 1_200));
        let judged = |said_s: i64| {
            let both =
                [(first.clone(), Verdict::ExpectedDaily, said_s), (further.clone(), Verdict::ExpectedDaily, 13 * DAY)];
            let found = effect(&both, 14 * DAY);
            found.expected[&first.subject].iter().map(|time| time.score_peak).fold(0.0, f64::max)
        };
        assert_eq!(judged(12 * DAY), 1.0, "both were called before anybody said so");
        assert_eq!(judged(10 * DAY + 3_600), 3.2, "the second went beyond what the first had made expected");
    }

    #[test]
    fn precision_is_that_of_late() {
        let judged = [
            (incident("a", 2 * DAY, 60), Verdict::FalsePositive, 3 * DAY),
            (incident("b", 40 * DAY, 60), Verdict::TruePositive, 41 * DAY),
            (incident("c", 41 * DAY, 60), Verdict::TruePositive, 41 * DAY),
            (incident("d", 41 * DAY, 60), Verdict::FalsePositive, 41 * DAY),
        ];
        let found = effect(&judged, 42 * DAY);
        assert!(found.precision.is_some_and(|precision| (precision - 2.0 / 3.0).abs() < 1e-9), "{found:?}");
        let n =
            |verdict: Verdict| found.counts.iter().filter(|((of, _), _)| *of == verdict).map(|(_, n)| n).sum::<i64>();
        assert_eq!((n(Verdict::FalsePositive), n(Verdict::TruePositive)), (2, 2));
    }
}
