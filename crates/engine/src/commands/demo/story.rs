//! How the demo tells what happens: one line an event, aligned, for people.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use homeostat_core::{Annotation, Incident, IncidentChange, IncidentId, IncidentType, Timestamp};
use homeostat_execute::DriverEvent;
use homeostat_remediate::{Decision, Policy, Verdict};

use crate::closed_loop::ClosedLoop;
use crate::serve::cycle::Tick;
use crate::serve::event_log;
use crate::training::Trained;

/// The story so far.
pub(super) struct Story {
    began: Timestamp,
    is_live: bool,
    /// Incidents are called #1, #2 … in the order they opened.
    numbers: BTreeMap<IncidentId, usize>,
    told: BTreeMap<IncidentId, Told>,
}

/// What was last said of an incident.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Told {
    incident_type: IncidentType,
    n_affected: usize,
    n_annotations: usize,
    n_limits_ahead: usize,
}

pub(super) fn title(policies: &[Policy]) -> String {
    let executing = policies.iter().filter(|policy| policy.auto_execute).map(|policy| policy.incident_type.name());
    format!(
        "homeostat demo: a simulated shop, nothing outside this program is touched.\n\
         Mode execute; it may act on: {}.\n\n",
        executing.collect::<Vec<_>>().join(", ")
    )
}

pub(super) fn trained(trained: &Trained, days: u32, took: Duration, is_live: bool) -> String {
    let mut text = String::new();
    if is_live {
        text.push_str("\r\x1b[K");
    }
    let detectors: Vec<&str> =
        trained.ensembles.values().next().map(|one| one.detectors().collect()).unwrap_or_default();
    let _ = writeln!(
        text,
        "  trained {} services on {days} simulated days in {:.1} s: {}",
        trained.ensembles.len(),
        took.as_secs_f64(),
        detectors.join(", ")
    );
    for (subject, error) in &trained.failures {
        let _ = writeln!(text, "  not trained: {subject}: {error}");
    }
    text.push('\n');
    text
}

impl Story {
    pub(super) fn new(began: Timestamp, is_live: bool) -> Self {
        Self { began, is_live, numbers: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// The lines of one tick; on a terminal also the running clock.
    pub(super) fn tell(&mut self, now: Timestamp, tick: &Tick) -> String {
        let mut text = String::new();
        if self.is_live {
            text.push_str("\r\x1b[K");
        }
        for change in &tick.changes {
            self.tell_change(&mut text, now, change);
        }
        for event in &tick.events {
            self.tell_event(&mut text, now, event);
        }
        if self.is_live {
            let _ = write!(text, "  {}  {} services watched, {} open", self.clock(now), tick.n_scored, tick.open.len());
        }
        text
    }

    fn tell_change(&mut self, text: &mut String, now: Timestamp, change: &IncidentChange) {
        let incident = change.incident();
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(incident.id.clone()).or_insert(next);
        if !self.is_news(change) {
            return;
        }
        let what = match change {
            IncidentChange::Opened(_) => "found",
            IncidentChange::Updated(_) => "now",
            IncidentChange::Refired(_) => "again",
            IncidentChange::Stale(_) => "silent",
            IncidentChange::Resolved(_) => "over",
            IncidentChange::Rebaselined(_) => "rebaselined",
        };
        let _ = writeln!(
            text,
            "  {}  #{number:<2} {what:<9} {} on {}",
            self.clock(now),
            incident.incident_type,
            incident.subject.name,
        );
        match change {
            IncidentChange::Opened(_) | IncidentChange::Updated(_) | IncidentChange::Refired(_) => {
                self.detail(text, &sureness(incident));
                for annotation in &incident.annotations {
                    self.detail(text, &annotated(annotation));
                }
                for limit in &incident.limits_ahead {
                    self.detail(text, &format!("if it goes on, {}", limit.in_words()));
                }
                if !incident.affected.is_empty() {
                    let names: Vec<&str> = incident.affected.iter().map(|subject| subject.name.as_str()).collect();
                    self.detail(text, &format!("suffering from it, left alone: {}", names.join(", ")));
                }
            }
            IncidentChange::Stale(_) | IncidentChange::Resolved(_) | IncidentChange::Rebaselined(_) => {}
        }
    }

    /// An update is worth a line when it changes what people would do: the type, who suffers, or what is known beside it.
    fn is_news(&mut self, change: &IncidentChange) -> bool {
        let incident = change.incident();
        let told = Told {
            incident_type: incident.incident_type,
            n_affected: incident.affected.len(),
            n_annotations: incident.annotations.len(),
            n_limits_ahead: incident.limits_ahead.len(),
        };
        let before = self.told.insert(incident.id.clone(), told);
        match change {
            IncidentChange::Updated(_) => before != Some(told),
            IncidentChange::Opened(_)
            | IncidentChange::Refired(_)
            | IncidentChange::Stale(_)
            | IncidentChange::Resolved(_)
            | IncidentChange::Rebaselined(_) => true,
        }
    }

    fn tell_event(&self, text: &mut String, now: Timestamp, event: &DriverEvent) {
        let mut line = |incident: &IncidentId, what: &str, rest: &str| {
            let number = self.numbers.get(incident).copied().unwrap_or_default();
            let _ = writeln!(text, "  {}  #{number:<2} {what:<9} {rest}", self.clock(now));
        };
        match event {
            DriverEvent::Decided { incident, decision } => {
                let action = decision.action().map_or("nothing", homeostat_core::ActionKind::name);
                match decision {
                    Decision::Execute(plan) => line(
                        incident,
                        "decided",
                        &format!("execute {action} on {}, attempt {}", plan.target.subject.name, plan.attempt),
                    ),
                    Decision::Propose { .. } => line(incident, "decided", &format!("propose {action}")),
                    Decision::Refuse { .. } => line(incident, "refused", action),
                }
                for refusal in decision.refusals() {
                    self.detail(text, &format!("{}: {refusal}", refusal.code()));
                }
            }
            DriverEvent::Applied { plan } => {
                line(&plan.incident, "done", &format!("{} of {}", plan.action.kind(), plan.target.subject.name));
            }
            DriverEvent::ApplyFailed { plan, why, .. } => line(&plan.incident, "not done", why),
            DriverEvent::Verdict { plan, verdict } => match verdict {
                Verdict::Pending => {}
                Verdict::Recovered => line(&plan.incident, "verified", "recovered, by the signals that opened it"),
                Verdict::NotRecovered { why, .. } => line(&plan.incident, "verified", &format!("not recovered: {why}")),
                Verdict::Unknown { why } => line(&plan.incident, "verified", &format!("unknown: {why}")),
            },
            DriverEvent::Undone { plan } => line(&plan.incident, "undone", plan.action.kind().name()),
            DriverEvent::Stuck { plan, why } => line(&plan.incident, "stuck", why),
            DriverEvent::PolicyFrozen { policy, why } => self.detail(text, &format!("policy {policy} frozen: {why}")),
            DriverEvent::Escalate(escalation) => line(
                &escalation.incident,
                "escalated",
                &format!("to {}, because: {}", event_log::channels(escalation), escalation.reason),
            ),
            DriverEvent::JournalTrouble { why } => self.detail(text, &format!("the journal doesn't work: {why}")),
        }
    }

    /// The scorecard, against what really happened.
    pub(super) fn ending(&self, closed: &ClosedLoop) -> String {
        let clear = if self.is_live { "\r\x1b[K" } else { "" };
        format!("{clear}\n{}", closed.scorecard().text())
    }

    fn detail(&self, text: &mut String, what: &str) {
        let _ = writeln!(text, "                       {what}");
    }

    /// Simulated hours and minutes since the show began.
    fn clock(&self, now: Timestamp) -> String {
        let minutes = now.since(self.began).as_secs() / 60;
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

fn sureness(incident: &Incident) -> String {
    let signals: Vec<String> = incident
        .evidence
        .iter()
        .take(3)
        .map(|part| format!("{} {:.2} (expected {:.2})", part.feature, part.observed, part.expected))
        .collect();
    format!(
        "score {:.1}, confidence {:.2}, surely {:.2} (of {} like it); {}",
        incident.score.value(),
        incident.confidence.confidence.value(),
        incident.confidence.lower.value(),
        incident.confidence.n_outcomes,
        signals.join(", ")
    )
}

fn annotated(annotation: &Annotation) -> String {
    match annotation {
        Annotation::PlannedEvent { name } => format!("planned: {name}"),
        Annotation::RecentRollout { at, revision } => format!("rolled out at {at}, revision {revision}"),
        Annotation::DependencyAffected { dependency, .. } => {
            format!("depends on {}, which is in an incident", dependency.name)
        }
        Annotation::ReplicaOutlier { replica, since, features } => {
            format!("replica {replica} is unlike the others since {since}: {}", features.join(", "))
        }
    }
}
