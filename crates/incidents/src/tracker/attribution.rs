//! Which open incident another one follows from, along the topology.

use std::collections::BTreeMap;

use homeostat_core::{IncidentId, Score, Subject, Timestamp, Topology};

use super::SubjectRow;
use super::cause::{Cause, Causes};
use super::open::Open;
use super::watch::Watch;

impl Causes {
    /// Open incidents of what a subject depends on, directly or not. In a cycle everything depends on everything: there, only what opened before the subject's own incident is a cause.
    pub(super) fn of(subject: &Subject, watches: &BTreeMap<Subject, Watch>, topology: &Topology) -> Self {
        let own_opened_at = opened(watches, subject).map(|(_, opened_at)| opened_at);
        let causes = topology.all_dependencies_of(subject).into_iter().filter_map(|dependency| {
            let (incident, opened_at) = opened(watches, &dependency)?;
            let in_cycle = || topology.all_dependencies_of(&dependency).contains(subject);
            let opened_later = own_opened_at.is_some_and(|own| (own, subject) < (opened_at, &dependency));
            (!opened_later || !in_cycle()).then_some(Cause { dependency, incident, opened_at })
        });
        Self(causes.collect())
    }

    /// Open incidents of load in what depends on a subject, directly or not: load comes down from callers.
    pub(super) fn of_callers(subject: &Subject, watches: &BTreeMap<Subject, Watch>, topology: &Topology) -> Self {
        let own_opened_at = opened(watches, subject).map(|(_, opened_at)| opened_at);
        let causes = watches.iter().filter_map(|(caller, watch)| {
            let has_load = watch.open.as_ref().is_some_and(Open::is_load);
            if !has_load || caller == subject || !topology.all_dependencies_of(caller).contains(subject) {
                return None;
            }
            let (incident, opened_at) = opened(watches, caller)?;
            // Where each calls the other, only what opened before is a cause.
            let opened_later = own_opened_at.is_some_and(|own| (own, subject) < (opened_at, caller));
            let in_cycle = || topology.all_dependencies_of(subject).contains(caller);
            (!opened_later || !in_cycle()).then(|| Cause { dependency: caller.clone(), incident, opened_at })
        });
        Self(causes.collect())
    }
}

fn opened(watches: &BTreeMap<Subject, Watch>, subject: &Subject) -> Option<(IncidentId, Timestamp)> {
    let incident = watches.get(subject)?.open.as_ref()?.incident();
    Some((incident.id.clone(), incident.opened_at))
}

/// Orders rows so that what others depend on comes first: by how many of the other rows' subjects it depends on, then the
/// higher score, then the name. Without cycles a dependency has strictly fewer of them than what depends on it.
pub(super) fn causes_first<'a>(rows: Vec<SubjectRow<'a>>, topology: &Topology) -> Vec<SubjectRow<'a>> {
    let n_dependencies = |row: &SubjectRow<'a>| {
        let dependencies = topology.all_dependencies_of(row.subject);
        rows.iter().filter(|other| dependencies.contains(other.subject)).count()
    };
    let score = |row: &SubjectRow<'a>| row.row.assessment.score().map_or(0.0, Score::value);
    let mut keyed: Vec<(usize, f64, SubjectRow<'a>)> =
        rows.iter().map(|row| (n_dependencies(row), score(row), *row)).collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.subject.cmp(b.2.subject)));
    keyed.into_iter().map(|(_, _, row)| row).collect()
}
