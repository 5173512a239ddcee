//! How the demo tells what happens: a line for each event, details below it, 80 columns.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use homeostat_core::{Annotation, Incident, IncidentChange, IncidentId, IncidentType, Timestamp};
use homeostat_execute::DriverEvent;
use homeostat_remediate::{Decision, NextStep, Policy, Verdict};

use super::paint::{Paint, Tone};
use crate::serve::cycle::Tick;
use crate::serve::event_log;
use crate::training::Trained;
use crate::words::{self, about, wrapped};

/// A terminal's usual width.
pub(super) const WIDTH: usize = 80;
/// Where the text begins, behind clock, number and word.
const TEXT_AT: usize = 24;
/// Reasons that are told in full; of more the codes are told.
const REASONS_MAX: usize = 2;

/// The story so far.
pub(super) struct Story {
    began: Timestamp,
    paint: Paint,
    /// Incidents are called #1, #2 … in the order they opened.
    numbers: BTreeMap<IncidentId, usize>,
    told: BTreeMap<IncidentId, Told>,
    /// Actions that were verified to have helped: that the next one is refused is no news.
    helped: BTreeSet<IncidentId>,
    /// Codes of the objections that were told.
    reasons: BTreeMap<IncidentId, BTreeSet<String>>,
}

/// What was last said of an incident.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Told {
    incident_type: IncidentType,
    n_affected: usize,
    n_annotations: usize,
    n_limits_ahead: usize,
}

pub(super) fn title(paint: Paint, policies: &[Policy]) -> String {
    let executing = policies.iter().filter(|policy| policy.auto_execute).map(|policy| policy.incident_type.name());
    let executing = executing.collect::<Vec<_>>().join(", ");
    let about = "A simulated shop of nine services; nothing outside this program is changed. Within twelve hours four things \
         happen to it, and homeostat isn't told which.";
    let mut text = format!("{}\n\n", paint.with(Tone::Heading, "homeostat demo"));
    for line in wrapped(about, WIDTH - 4) {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\n  mode       execute");
    let _ = writeln!(text, "  may repair {executing}");
    text
}

pub(super) fn trained(trained: &Trained, days: u32, took: Duration) -> String {
    let detectors: Vec<&str> =
        trained.ensembles.values().next().map(|one| one.detectors().collect()).unwrap_or_default();
    let mut text = format!(
        "  trained    {} services on {days} simulated days in {:.1} s\n  detectors  {}\n",
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
    pub(super) fn new(began: Timestamp, paint: Paint) -> Self {
        Self {
            began,
            paint,
            numbers: BTreeMap::new(),
            told: BTreeMap::new(),
            helped: BTreeSet::new(),
            reasons: BTreeMap::new(),
        }
    }

    /// The lines of one tick.
    pub(super) fn tell(&mut self, now: Timestamp, tick: &Tick) -> String {
        let mut text = String::new();
        for change in &tick.changes {
            self.tell_change(&mut text, now, change);
        }
        for event in &tick.events {
            self.tell_event(&mut text, now, event);
        }
        text
    }

    /// What a terminal shows in its last line meanwhile.
    pub(super) fn status(&self, now: Timestamp, tick: &Tick) -> String {
        let open = tick.open.len();
        let line = format!("  {}  {} services watched, {open} incidents open", self.clock(now), tick.n_scored);
        self.paint.with(Tone::Aside, &line)
    }

    fn tell_change(&mut self, text: &mut String, now: Timestamp, change: &IncidentChange) {
        let incident = change.incident();
        let next = self.numbers.len() + 1;
        self.numbers.entry(incident.id.clone()).or_insert(next);
        let before = self.told.get(&incident.id).copied();
        if !self.is_news(change) {
            return;
        }
        let what = format!("{} in {}", incident.incident_type, incident.subject.name);
        let lasted = || about(now.since(incident.opened_at));
        match change {
            IncidentChange::Opened(_) => self.line(text, now, &incident.id, Tone::Bad, "firing", &what),
            IncidentChange::Updated(_) => self.line(text, now, &incident.id, Tone::Bad, "updated", &what),
            IncidentChange::Refired(_) => self.line(text, now, &incident.id, Tone::Bad, "refired", &what),
            IncidentChange::Stale(_) => {
                self.line(text, now, &incident.id, Tone::Holding, "stale", &format!("{what}: no data"));
            }
            IncidentChange::Resolved(_) => {
                self.line(text, now, &incident.id, Tone::Good, "resolved", &format!("{what}, after {}", lasted()));
            }
            IncidentChange::Expired(_) => {
                let what = format!("{what}: its data never came back");
                self.line(text, now, &incident.id, Tone::Holding, "expired", &what);
            }
            IncidentChange::Rebaselined(_) => {
                let what = format!("{what}: the new level counts as normal now");
                self.line(text, now, &incident.id, Tone::Holding, "rebaselined", &what);
            }
        }
        match change {
            IncidentChange::Opened(_) | IncidentChange::Updated(_) => self.facts(text, incident, before),
            IncidentChange::Refired(_)
            | IncidentChange::Stale(_)
            | IncidentChange::Resolved(_)
            | IncidentChange::Rebaselined(_)
            | IncidentChange::Expired(_) => {}
        }
    }

    /// What is known of an incident, as far as it is new.
    fn facts(&self, text: &mut String, incident: &Incident, before: Option<Told>) {
        let sure =
            incident.established_by().map_or_else(|| words::confidence(&incident.confidence), |_| "certain".to_owned());
        self.detail(text, &format!("confidence {sure}, score {:.1}", incident.score.value()));
        if before.is_none_or(|before| before.incident_type != incident.incident_type) {
            for part in incident.evidence.iter().take(2) {
                self.detail(text, &format!("{} {:.2}, expected {:.2}", part.feature, part.observed, part.expected));
            }
        }
        for annotation in incident.annotations.iter().skip(before.map_or(0, |before| before.n_annotations)) {
            self.detail(text, &annotated(annotation));
        }
        for limit in &incident.limits_ahead {
            self.detail(text, &format!("if this continues, {}", limit.in_words()));
        }
        if !incident.affected.is_empty() {
            let names: Vec<&str> = incident.affected.iter().map(|subject| subject.name.as_str()).collect();
            self.detail(text, &format!("affected, left alone: {}", names.join(", ")));
        }
    }

    /// An update is worth a line when it changes what people would do: the type, who is affected, or what else is known.
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
            | IncidentChange::Rebaselined(_)
            | IncidentChange::Expired(_) => true,
        }
    }

    fn tell_event(&mut self, text: &mut String, now: Timestamp, event: &DriverEvent) {
        match event {
            DriverEvent::Decided { incident, decision } => self.tell_decision(text, now, incident, decision),
            DriverEvent::Applied { plan } => {
                let what = format!("{} of {}", plan.step.action, plan.target.subject.name);
                self.line(text, now, &plan.incident, Tone::Doing, "executed", &what);
            }
            DriverEvent::ApplyFailed { plan, why, .. } => {
                self.line(text, now, &plan.incident, Tone::Holding, "not done", why);
            }
            DriverEvent::Verdict { plan, verdict } => match verdict {
                Verdict::Pending => {}
                Verdict::Recovered => {
                    self.helped.insert(plan.incident.clone());
                    let what = "recovered: the signals that alarmed are normal again";
                    self.line(text, now, &plan.incident, Tone::Good, "verified", what);
                }
                Verdict::NotRecovered { why, .. } => {
                    self.line(text, now, &plan.incident, Tone::Bad, "verified", &format!("not recovered: {why}"));
                }
                Verdict::Overridden => {
                    let what = "overridden: somebody put it back";
                    self.line(text, now, &plan.incident, Tone::Holding, "verified", what);
                }
                Verdict::Unknown { why } => {
                    self.line(text, now, &plan.incident, Tone::Holding, "verified", &format!("unknown: {why}"));
                }
            },
            DriverEvent::Undone { plan } => {
                self.line(text, now, &plan.incident, Tone::Doing, "undone", plan.step.action.as_str());
            }
            DriverEvent::Restored { plan } => {
                self.line(text, now, &plan.incident, Tone::Doing, "restored", plan.step.action.as_str());
            }
            DriverEvent::Stuck { plan, why } => self.line(text, now, &plan.incident, Tone::Bad, "stuck", why),
            DriverEvent::PolicyFrozen { policy, why } => {
                self.detail(text, &format!("policy {policy} is frozen: {why}"));
            }
            DriverEvent::Escalate(escalation) => {
                let channel = event_log::channels(escalation);
                let what = format!("a person is called through {channel}: {}", escalation.reason);
                self.line(text, now, &escalation.incident, Tone::Calling, "escalated", &what);
            }
            DriverEvent::JournalTrouble { why } => self.detail(text, &format!("the journal can't be used: {why}")),
        }
    }

    fn tell_decision(&mut self, text: &mut String, now: Timestamp, incident: &IncidentId, decision: &Decision) {
        if self.helped.contains(incident) && decision.plan().is_none() {
            return;
        }
        // A reason that comes and goes is no news.
        let reasons = self.reasons.entry(incident.clone()).or_default();
        let n_before = reasons.len();
        reasons.extend(decision.objections().iter().map(|objection| objection.code.to_string()));
        if n_before > 0 && reasons.len() == n_before && decision.plan().is_none() {
            return;
        }
        let action = decision.action().map_or("no action", |action| action.as_str());
        let (tone, word, what) = match decision {
            Decision::Execute(plan) => {
                (Tone::Doing, "approved", format!("{action} of {}, attempt {}", plan.target.subject.name, plan.attempt))
            }
            Decision::Approved { plan, approval, .. } => {
                (Tone::Doing, "approved", format!("{action} of {}, by {}", plan.target.subject.name, approval.by))
            }
            Decision::Propose { .. } => (Tone::Doing, "proposed", action.to_owned()),
            Decision::Refuse { .. } if decision.next_step() == NextStep::Wait => {
                (Tone::Holding, "waiting", action.to_owned())
            }
            Decision::Refuse { .. } => (Tone::Holding, "refused", action.to_owned()),
        };
        self.line(text, now, incident, tone, word, &what);
        let objections = decision.objections();
        for objection in objections.iter().take(REASONS_MAX) {
            self.detail(text, &format!("{}: {objection}", objection.code));
        }
        let more: Vec<&str> = objections.iter().skip(REASONS_MAX).map(|objection| objection.code.as_ref()).collect();
        if !more.is_empty() {
            self.detail(text, &format!("also: {}", more.join(", ")));
        }
    }

    fn line(&self, text: &mut String, now: Timestamp, id: &IncidentId, tone: Tone, word: &str, what: &str) {
        let number = self.numbers.get(id).map_or_else(String::new, |number| format!("#{number}"));
        let head = format!("  {}  {number:<3} {}", self.clock(now), self.paint.with(tone, &format!("{word:<9}")));
        for (idx, line) in wrapped(what, WIDTH - TEXT_AT).iter().enumerate() {
            let head = if idx == 0 { head.clone() } else { " ".repeat(TEXT_AT - 2) };
            let _ = writeln!(text, "{head}  {line}");
        }
    }

    fn detail(&self, text: &mut String, what: &str) {
        for line in wrapped(what, WIDTH - TEXT_AT) {
            let _ = writeln!(text, "{:TEXT_AT$}{}", "", self.paint.with(Tone::Aside, &line));
        }
    }

    /// Simulated hours and minutes since the demo began.
    fn clock(&self, now: Timestamp) -> String {
        let minutes = now.since(self.began).as_secs() / 60;
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// The first incident, to look at afterwards.
    pub(super) fn first(&self) -> Option<&IncidentId> {
        self.numbers.iter().min_by_key(|(_, number)| **number).map(|(id, _)| id)
    }
}

fn annotated(annotation: &Annotation) -> String {
    match annotation {
        Annotation::PlannedEvent { name } => format!("planned event: {name}"),
        Annotation::RecentRollout { at, revision } => format!("revision {revision} was rolled out at {at}"),
        Annotation::DependencyAffected { dependency, .. } => {
            format!("its dependency {} is in an incident", dependency.name)
        }
        Annotation::ThresholdRule { policy, condition } => format!("rule of policy {policy}: {condition}"),
        Annotation::ReplicaOutlier { replica, since, features } => {
            format!("replica {replica} differs from the others since {since}: {}", features.join(", "))
        }
        Annotation::ClusterFact { fact, until: _ } => fact.sentence.clone(),
    }
}
