//! What the journal knows of incidents in the history: times that models don't learn, so that the same is found again.
//!
//! Left out is what went wrong and passed. What was taken for the new usual is learned, and so is what recurs: leaving it out would make it news
//! each time.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::{Exclusion, Incident, IncidentId, IncidentState, LocalTime, Subject, Timestamp, Verdict};

/// So long before an incident opened, its fault may have been there: what is mild opens when it has added up, half an hour after it began.
const BEFORE_OPENING: Duration = Duration::from_secs(30 * 60);

/// With more of a subject's history in incidents, these are what is usual there, and a model of the rest would call all day.
const SHARE_MAX: f64 = 0.1;

/// Incidents that opened so near to the same time of the day, or of the week, are of the same habit. Jobs begin some minutes late, and are found
/// some minutes later.
const SAME_TIME: Duration = Duration::from_secs(30 * 60);

/// On so many days, or in so many weeks, they recur: as often as models need to see a habit.
const DAYS_MIN: usize = 3;
const WEEKS_MIN: usize = 2;

const DAY_MS: i64 = 86_400_000;

/// What is left out of a history, and of whom nothing is for there was too much.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PastIncidents {
    /// By subject, in the order of time.
    pub(crate) exclusions: Vec<Exclusion>,
    /// Subjects with more of the history in incidents than may be left out.
    pub(crate) too_many: Vec<Subject>,
}

/// The incidents of a history from `start` to `end` that its models don't learn. What somebody says an incident was, by `verdict_of`, counts more than how it
/// ended.
pub(crate) fn past_incidents(
    incidents: &[Incident],
    verdict_of: impl Fn(&IncidentId) -> Option<Verdict>,
    start: Timestamp,
    end: Timestamp,
    local_time: &LocalTime,
) -> PastIncidents {
    let went_wrong = |incident: &Incident, own: &[&Incident]| match verdict_of(&incident.id) {
        Some(Verdict::TruePositive) => true,
        Some(Verdict::FalsePositive | Verdict::ExpectedDaily | Verdict::ExpectedWeekly) => false,
        None => passed(incident) && !recurs(incident, own, local_time),
    };
    let mut of_subject: BTreeMap<&Subject, Vec<&Incident>> = BTreeMap::new();
    for incident in incidents {
        of_subject.entry(&incident.subject).or_default().push(incident);
    }
    let mut left_out: BTreeMap<&Subject, Vec<Exclusion>> = BTreeMap::new();
    for own in of_subject.values() {
        for incident in own.iter().filter(|incident| went_wrong(incident, own)) {
            // Those that suffer from it had their part of it.
            for subject in std::iter::once(&incident.subject).chain(&incident.affected) {
                let exclusion = exclusion(incident, subject, end);
                if exclusion.from <= end && exclusion.to > start {
                    left_out.entry(subject).or_default().push(exclusion);
                }
            }
        }
    }
    let mut found = PastIncidents::default();
    for (subject, mut exclusions) in left_out {
        exclusions.sort_by_key(|exclusion| exclusion.from);
        if held(&exclusions, start, end).as_secs_f64() > SHARE_MAX * end.since(start).as_secs_f64() {
            found.too_many.push(subject.clone());
        } else {
            found.exclusions.append(&mut exclusions);
        }
    }
    found
}

/// Whether it was something that went wrong; an incident under way is taken for one.
fn passed(incident: &Incident) -> bool {
    match incident.state {
        IncidentState::Open | IncidentState::Stale | IncidentState::Resolved | IncidentState::Expired => {
            // That a person's rule held doesn't say that it was unusual.
            incident.planned_event().is_none() && incident.opened_by_rule_of().is_none()
        }
        IncidentState::Rebaselined => false,
    }
}

fn exclusion(incident: &Incident, subject: &Subject, end: Timestamp) -> Exclusion {
    let to = if incident.state.is_over() { incident.updated_at } else { end };
    Exclusion {
        from: incident.opened_at - BEFORE_OPENING,
        // The end is exclusive, and the last row of the history is a row.
        to: to + Duration::from_millis(1),
        reason: format!("{} ({})", incident.id, incident.incident_type),
        namespaces: Vec::new(),
        workloads: Vec::new(),
        subject: Some(subject.clone()),
    }
}

/// Whether incidents of the same subject opened at the same time of the day on several days, or of the week in several weeks.
fn recurs(incident: &Incident, all: &[&Incident], local_time: &LocalTime) -> bool {
    let at_same_time = |period_ms: i64| {
        let opened = local_time.local(incident.opened_at).as_millis();
        let cycles = all.iter().filter_map(|other| {
            let away = local_time.local(other.opened_at).as_millis() - opened;
            // To the nearest cycle.
            let cycle = (away + period_ms / 2).div_euclid(period_ms);
            let off = Duration::from_millis((away - cycle * period_ms).unsigned_abs());
            (off <= SAME_TIME).then_some(cycle)
        });
        let mut cycles: Vec<i64> = cycles.collect();
        cycles.sort_unstable();
        cycles.dedup();
        cycles.len()
    };
    at_same_time(DAY_MS) >= DAYS_MIN || at_same_time(7 * DAY_MS) >= WEEKS_MIN
}

/// The time that these exclusions, in the order of time, hold of a history.
pub(crate) fn held(exclusions: &[Exclusion], start: Timestamp, end: Timestamp) -> Duration {
    let (mut sum, mut until) = (Duration::ZERO, start);
    for exclusion in exclusions {
        let to = exclusion.to.min(end);
        sum += to.since(exclusion.from.max(until));
        until = until.max(to);
    }
    sum
}

#[cfg(test)]
pub(in crate::training) mod tests {
    use homeostat_core::{Annotation, Calibrated, CorrelationId, IncidentType, Score};

    use super::*;

    const DAY: i64 = 86_400;
    const HOUR: i64 = 3_600;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    pub(crate) fn incident(name: &str, opened_s: i64, lasts_s: i64) -> Incident {
        let (subject, opened_at) = (Subject::deployment("shop", name), at(opened_s));
        Incident {
            id: IncidentId::of(&subject, opened_at),
            correlation: CorrelationId::of(&subject, opened_at),
            subject,
            incident_type: IncidentType::Latency,
            state: IncidentState::Resolved,
            opened_at,
            updated_at: at(opened_s + lasts_s),
            score: Score::THRESHOLD,
            score_peak: Score::THRESHOLD,
            confidence: Calibrated::UNKNOWN,
            evidence: vec![],
            votes: vec![],
            affected: vec![],
            annotations: vec![],
            limits_ahead: vec![],
        }
    }

    /// Of two weeks from the epoch.
    fn of(incidents: &[Incident]) -> PastIncidents {
        judged(incidents, |_| None)
    }

    fn judged(incidents: &[Incident], verdict_of: impl Fn(&IncidentId) -> Option<Verdict>) -> PastIncidents {
        past_incidents(incidents, verdict_of, at(0), at(14 * DAY), &LocalTime::default())
    }

    #[test]
    fn what_people_say_an_incident_was_counts_more_than_how_it_ended() {
        let fault = [incident("cart", 3 * DAY, HOUR)];
        for usual in [Verdict::FalsePositive, Verdict::ExpectedDaily, Verdict::ExpectedWeekly] {
            assert_eq!(judged(&fault, |_| Some(usual)), PastIncidents::default(), "{usual}");
        }
        let accepted = [Incident { state: IncidentState::Rebaselined, ..incident("cart", 3 * DAY, HOUR) }];
        assert_eq!(judged(&accepted, |_| Some(Verdict::TruePositive)).exclusions.len(), 1);
        let each_day: Vec<Incident> = (2..5).map(|day| incident("cart", day * DAY, 600)).collect();
        assert_eq!(judged(&each_day, |_| Some(Verdict::TruePositive)).exclusions.len(), 3);
    }

    #[test]
    fn what_went_wrong_and_passed_is_left_out_with_its_reason_for_all_who_suffered() {
        let web = Subject::deployment("shop", "web");
        let fault = Incident { affected: vec![web.clone()], ..incident("cart", 3 * DAY, HOUR) };
        let found = of(std::slice::from_ref(&fault));
        assert_eq!(found.exclusions.len(), 2);
        let own = found.exclusions.iter().find(|one| one.subject == Some(fault.subject.clone())).expect("its own");
        assert!(own.reason.contains(fault.id.as_str()) && own.reason.contains("latency"), "{}", own.reason);
        assert!(own.holds(fault.opened_at - Duration::from_secs(600)) && own.holds(fault.updated_at));
        assert!(!own.holds(fault.updated_at + Duration::from_secs(60)));
        assert!(found.exclusions.iter().any(|one| one.subject == Some(web.clone())));
    }

    #[test]
    fn what_goes_on_is_left_out_to_the_end_of_the_history() {
        let fault = Incident { state: IncidentState::Open, ..incident("cart", 13 * DAY, 60) };
        assert!(of(&[fault]).exclusions.first().is_some_and(|one| one.holds(at(14 * DAY))));
    }

    #[test]
    fn a_new_usual_and_what_was_planned_are_learned() {
        let rebaselined = Incident { state: IncidentState::Rebaselined, ..incident("cart", 3 * DAY, HOUR) };
        let sale = Annotation::PlannedEvent { name: "sale".into() };
        let planned = Incident { annotations: vec![sale], ..incident("web", 3 * DAY, HOUR) };
        assert_eq!(of(&[rebaselined, planned]), PastIncidents::default());
    }

    #[test]
    fn what_recurs_is_learned_by_the_day_and_by_the_week() {
        let days = |n: i64| (0..n).map(|day| incident("cart", (2 + day) * DAY + 6 * HOUR + 400 * day, 600));
        assert_eq!(of(&days(3).collect::<Vec<_>>()), PastIncidents::default());
        assert_eq!(of(&days(2).collect::<Vec<_>>()).exclusions.len(), 2, "twice may be chance");
        let weeks = [incident("cart", 2 * DAY, 600), incident("cart", 9 * DAY + 600, 600)];
        assert_eq!(of(&weeks), PastIncidents::default());
        let others = [incident("cart", 2 * DAY, 600), incident("web", 9 * DAY, 600)];
        assert_eq!(of(&others).exclusions.len(), 2, "another workload is another habit");
    }

    #[test]
    fn what_recurs_by_local_time_is_learned_across_a_change_of_clocks() {
        let clocks = LocalTime::new([(at(0), 3_600), (at(4 * DAY), 7_200)]).expect("a table");
        // At six o'clock, on two days before the change and one after it.
        let incidents = [(2, 5), (3, 5), (5, 4)].map(|(day, hour)| incident("cart", day * DAY + hour * HOUR, 600));
        assert_eq!(past_incidents(&incidents, |_| None, at(0), at(14 * DAY), &clocks), PastIncidents::default());
        assert_eq!(of(&incidents).exclusions.len(), 3);
    }

    #[test]
    fn of_a_history_full_of_incidents_nothing_is_left_out() {
        let often: Vec<Incident> = (0..12).map(|n| incident("cart", n * (DAY + 2 * HOUR), 4 * HOUR)).collect();
        let found = of(&often);
        assert_eq!((found.exclusions.len(), found.too_many.len()), (0, 1), "{found:?}");
        let two = of(&often[..2]);
        assert_eq!((two.exclusions.len(), two.too_many.len()), (2, 0));
    }

    #[test]
    fn what_lies_outside_the_history_is_none_of_its() {
        assert_eq!(of(&[incident("cart", -2 * DAY, HOUR), incident("cart", 20 * DAY, HOUR)]), PastIncidents::default());
    }

    #[test]
    fn what_overlaps_counts_once() {
        let part = |from: i64, to: i64| Exclusion {
            to: at(to),
            ..exclusion(&incident("cart", from + 1_800, 0), &Subject::deployment("shop", "cart"), at(0))
        };
        let exclusions = [part(-50, 100), part(50, 200), part(60, 90), part(300, 5_000)];
        assert_eq!(held(&exclusions, at(0), at(400)), Duration::from_secs(300));
    }
}
