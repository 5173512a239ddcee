//! Incidents that rules of policies open, beside what the detectors find: a metric beyond a threshold in every row of a window.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use homeostat_core::{
    Annotation, Calibrated, CorrelationId, Evidence, Incident, IncidentChange, IncidentId, IncidentState, IncidentType,
    Score, Signal, Subject, ThresholdRule, Timestamp, Window,
};

use crate::tracker::TrackerTimes;

/// Rows that a window may lack, of those that its length has room for: a scrape may fail. With more missing, nothing is known.
const GAPS_MAX: usize = 1;

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedRule {
    /// The policy's name.
    pub policy: String,
    /// When an incident begins.
    pub rule: ThresholdRule,
    /// Of which type it is.
    pub incident_type: IncidentType,
}

/// A measurement of a rule's metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RulePoint {
    /// When.
    pub at: Timestamp,
    /// How much.
    pub value: f64,
    /// Whether the rule holds.
    pub holds: bool,
}

/// Watches rules.
///
/// An incident opens when the rule has held in every row of its window, and resolves when it has held in none for as long. A gap
/// neither opens nor resolves anything: what falls silent is stale, and expires after an hour, as other incidents do.
#[derive(Debug, Default)]
pub struct RuleWatch {
    rules: Vec<WatchedRule>,
    watched: BTreeMap<(String, Subject), Watched>,
}

#[derive(Debug)]
struct Watched {
    signal: Signal,
    /// Those of the last window, oldest first; of an open incident, also those before.
    points: Vec<RulePoint>,
    open: Option<Incident>,
}

/// Points of an open incident that are kept: a day at one a minute. Verification looks at the newest.
const POINTS_MAX: usize = 1440;

impl RuleWatch {
    /// Goes by these rules from now on. What a rule opened that is gone, or another one now, ends as expired: nobody looks at it
    /// any more.
    pub fn set_rules(&mut self, rules: Vec<WatchedRule>, now: Timestamp) -> Vec<IncidentChange> {
        let kept = |policy: &str| rules.iter().any(|rule| rule.policy == policy && self.rules.contains(rule));
        let gone: Vec<_> = self.watched.keys().filter(|(policy, _)| !kept(policy)).cloned().collect();
        let ended = gone.into_iter().filter_map(|key| self.watched.remove(&key)?.open);
        let ended =
            ended.map(|incident| IncidentChange::Expired(over(incident, IncidentState::Expired, now))).collect();
        self.rules = rules;
        ended
    }

    /// Takes up incidents that rules opened before a restart; those that no rule opened are given back.
    pub fn take_up(&mut self, incidents: Vec<Incident>) -> Vec<Incident> {
        let mut others = Vec::new();
        for incident in incidents {
            let rule = incident.opened_by_rule_of().map(str::to_owned);
            match rule {
                Some(policy) => {
                    let signal = incident.evidence.first().map_or(Signal::Other, |evidence| evidence.signal);
                    let key = (policy, incident.subject.clone());
                    self.watched.insert(key, Watched { signal, points: Vec::new(), open: Some(incident) });
                }
                None => others.push(incident),
            }
        }
        others
    }

    /// Looks at new rows; `in_scope` says whether a policy holds for a subject.
    pub fn observe(
        &mut self,
        now: Timestamp,
        windows: &[Window],
        in_scope: impl Fn(&str, &Subject) -> bool,
        times: &TrackerTimes,
    ) -> Vec<IncidentChange> {
        let mut changes = Vec::new();
        for rule in &self.rules {
            for window in windows.iter().filter(|window| in_scope(&rule.policy, window.subject())) {
                let features = window.schema().features();
                let Some(idx) = features.iter().position(|feature| feature.name == rule.rule.metric) else { continue };
                let key = (rule.policy.clone(), window.subject().clone());
                let signal = features[idx].signal;
                let watched =
                    self.watched.entry(key).or_insert_with(|| Watched { signal, points: Vec::new(), open: None });
                watched.take(rule, window, idx);
                changes.extend(watched.look(rule, window.subject(), window.grid().step()));
            }
        }
        for ((policy, subject), watched) in &mut self.watched {
            if watched.open.is_some() && !in_scope(policy, subject) {
                changes.extend(watched.end(now));
            }
            changes.extend(watched.grow_old(now, times));
        }
        self.watched.retain(|_, watched| watched.open.is_some() || !watched.is_silent(now, times));
        changes
    }

    /// Incidents that go on.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.watched.values().filter_map(|watched| watched.open.as_ref())
    }

    /// What was measured for each rule with an incident, or of these subjects: by subject, the name of the signal that says whether the
    /// rule holds, what the metric measures, and its points.
    pub fn points<'a>(
        &'a self,
        acted_on: &'a BTreeSet<Subject>,
    ) -> impl Iterator<Item = (&'a Subject, String, Signal, &'a [RulePoint])> {
        self.watched.iter().filter_map(move |((policy, subject), watched)| {
            let rule = self.rules.iter().find(|rule| rule.policy == *policy)?;
            (watched.open.is_some() || acted_on.contains(subject))
                .then(|| (subject, rule.rule.condition(), watched.signal, watched.points.as_slice()))
        })
    }
}

impl Watched {
    /// Keeps the rows that are newer than those it has.
    fn take(&mut self, rule: &WatchedRule, window: &Window, feature_idx: usize) {
        let newest = self.points.last().map(|point| point.at);
        for step_idx in 0..window.grid().n_steps() {
            let at = window.grid().at(step_idx);
            if newest.is_none_or(|newest| at > newest) && window.is_present(step_idx, feature_idx) {
                let value = window.row(step_idx)[feature_idx];
                self.points.push(RulePoint { at, value, holds: rule.rule.holds(value) });
            }
        }
        let from = self.points.last().map(|newest| newest.at - rule.rule.window);
        match &self.open {
            None => self.points.retain(|point| from.is_none_or(|from| point.at >= from)),
            Some(_) => {
                let n_extra = self.points.len().saturating_sub(POINTS_MAX);
                self.points.drain(..n_extra);
            }
        }
    }

    /// Whether the rule has held, or not, in every row of the window that ends with the newest point.
    fn through(&self, rule: &WatchedRule, step: Duration, holds: bool) -> bool {
        let Some(newest) = self.points.last() else { return false };
        let since = newest.at - rule.rule.window;
        let within: Vec<&RulePoint> = self.points.iter().filter(|point| point.at > since).collect();
        let n_rows = (rule.rule.window.as_secs_f64() / step.as_secs_f64().max(f64::MIN_POSITIVE)).floor().max(1.0);
        let n_needed = (n_rows as usize).saturating_sub(GAPS_MAX).max(1);
        // All of the window was seen, not only its end.
        let is_seen_whole = self.points.first().is_some_and(|oldest| oldest.at + rule.rule.window <= newest.at + step);
        is_seen_whole && within.len() >= n_needed && within.iter().all(|point| point.holds == holds)
    }

    fn look(&mut self, rule: &WatchedRule, subject: &Subject, step: Duration) -> Option<IncidentChange> {
        let newest = *self.points.last()?;
        match self.open.take() {
            None if self.through(rule, step, true) => {
                let incident = opened(rule, subject, self.signal, &newest);
                self.open = Some(incident.clone());
                Some(IncidentChange::Opened(incident))
            }
            None => None,
            Some(incident) if newest.at > incident.opened_at && self.through(rule, step, false) => {
                Some(IncidentChange::Resolved(over(incident, IncidentState::Resolved, newest.at)))
            }
            Some(mut incident) => {
                let was_stale = incident.state == IncidentState::Stale && newest.at > incident.updated_at;
                if newest.at > incident.updated_at {
                    incident.state = IncidentState::Open;
                    incident.updated_at = newest.at;
                    incident.evidence = vec![evidence(rule, self.signal, &newest)];
                }
                self.open = Some(incident.clone());
                was_stale.then_some(IncidentChange::Updated(incident))
            }
        }
    }

    /// Ends what isn't the rule's any more.
    fn end(&mut self, now: Timestamp) -> Option<IncidentChange> {
        let incident = self.open.take()?;
        Some(IncidentChange::Expired(over(incident, IncidentState::Expired, now)))
    }

    /// What falls silent is stale, and after a while nobody waits for it any more.
    fn grow_old(&mut self, now: Timestamp, times: &TrackerTimes) -> Option<IncidentChange> {
        let mut incident = self.open.take()?;
        let silent_for = now.since(incident.updated_at);
        if silent_for >= times.stale_after + times.stale_ends_after {
            return Some(IncidentChange::Expired(over(incident, IncidentState::Expired, now)));
        }
        let is_new = incident.state == IncidentState::Open && silent_for >= times.stale_after;
        if is_new {
            incident.state = IncidentState::Stale;
        }
        self.open = Some(incident.clone());
        is_new.then_some(IncidentChange::Stale(incident))
    }

    fn is_silent(&self, now: Timestamp, times: &TrackerTimes) -> bool {
        self.points.last().is_none_or(|newest| now.since(newest.at) >= times.stale_after + times.stale_ends_after)
    }
}

fn over(mut incident: Incident, state: IncidentState, at: Timestamp) -> Incident {
    incident.state = state;
    incident.updated_at = incident.updated_at.max(at);
    incident
}

fn opened(rule: &WatchedRule, subject: &Subject, signal: Signal, newest: &RulePoint) -> Incident {
    Incident {
        id: IncidentId::of_rule(subject, &rule.policy, newest.at),
        correlation: CorrelationId::of(subject, newest.at),
        subject: subject.clone(),
        incident_type: rule.incident_type,
        state: IncidentState::Open,
        opened_at: newest.at,
        updated_at: newest.at,
        score: Score::THRESHOLD,
        score_peak: Score::THRESHOLD,
        // That the rule holds is certain; how often it is right to act on it was never measured.
        confidence: Calibrated::UNKNOWN,
        evidence: vec![evidence(rule, signal, newest)],
        votes: Vec::new(),
        affected: Vec::new(),
        annotations: vec![Annotation::ThresholdRule { policy: rule.policy.clone(), condition: rule.rule.to_string() }],
        limits_ahead: Vec::new(),
    }
}

/// The deviation is told in thresholds: there is no other measure for a rule.
fn evidence(rule: &WatchedRule, signal: Signal, point: &RulePoint) -> Evidence {
    let (observed, expected) = (point.value, rule.rule.threshold);
    let scale = if expected == 0.0 { 1.0 } else { expected.abs() };
    let deviation = (observed - expected) / scale;
    Evidence { feature: rule.rule.condition(), signal, observed, expected, deviation }
}

#[cfg(test)]
mod tests;
