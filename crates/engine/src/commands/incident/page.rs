//! One incident as a page of 80 columns.

use std::fmt::Write;

use homeostat_core::{Annotation, Calibrated, Incident, Timestamp};

use super::list::state;
use super::next;
use super::recorded::Recorded;
use crate::words::{self, about, printable, wrapped};

/// A terminal's usual width.
const WIDTH: usize = 80;
/// Where values begin, behind their names.
const VALUES_AT: usize = 14;
/// Features shown; the strongest come first, and a type rests on two or three.
const EVIDENCE_MAX: usize = 6;

pub(super) fn of(recorded: &Recorded, now: Timestamp) -> String {
    let incident = &recorded.incident;
    let mut page = Page::default();
    page.line(&format!("{}  {} of {}", incident.id, incident.incident_type, incident.subject));
    page.gap();
    facts(incident, now, &mut page);
    if let Some(label) = &recorded.label {
        let note = if label.note.is_empty() { String::new() } else { format!(": {}", label.note) };
        page.fact("Label", &format!("{} by {} at {}{note}", label.verdict, label.by, label.at));
    }
    evidence(incident, &mut page);
    decision(recorded, &mut page);
    proposal(recorded, &mut page);
    actions(recorded, &mut page);
    page.heading("What to do next");
    page.paragraph(2, &next::step(recorded));
    page.text
}

fn facts(incident: &Incident, now: Timestamp, page: &mut Page) {
    page.fact("State", &format!("{}, {}", state(incident.state), how_long(incident, now)));
    let confidence = &incident.confidence;
    match incident.established_by() {
        Some(_) => page.fact("Confidence", "certain: the cluster itself says what it is"),
        None => page.fact("Confidence", &sure(confidence)),
    }
    for fact in incident.facts() {
        page.fact("Cause", &fact.sentence);
    }
    let (score, peak) = (incident.score.value(), incident.score_peak.value());
    page.fact("Score", &format!("{score:.1} now, {peak:.1} at its peak (1.0 is the alarm threshold)"));
    for limit in &incident.limits_ahead {
        page.fact("Limit", &limit.to_string());
    }
    if !incident.affected.is_empty() {
        let names: Vec<String> = incident.affected.iter().map(ToString::to_string).collect();
        page.fact("Also affects", &names.join(", "));
    }
    for annotation in &incident.annotations {
        match annotation {
            // It is the cause, above.
            Annotation::ClusterFact { until: None, .. } => {}
            Annotation::ClusterFact { until: Some(_), .. }
            | Annotation::PlannedEvent { .. }
            | Annotation::ThresholdRule { .. }
            | Annotation::RecentRollout { .. }
            | Annotation::DependencyAffected { .. }
            | Annotation::ReplicaOutlier { .. } => page.fact("Known", &known(annotation)),
        }
    }
}

/// How sure, and from what.
fn sure(confidence: &Calibrated) -> String {
    let of = |n: u32, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let elsewhere = confidence.n_outcomes.saturating_sub(confidence.n_verdicts);
    let from = match (confidence.n_verdicts, elsewhere) {
        (0, 0) => return "unknown: no incident of this type was ever labelled".to_owned(),
        (0, n) => of(n, "labelled incident"),
        (n, 0) => format!("{} here", of(n, "label")),
        (n, elsewhere) => format!("{} here and the calibration by {elsewhere} others", of(n, "label")),
    };
    let (estimate, lower) = (confidence.confidence.value(), confidence.lower.value());
    format!("{estimate:.2}, lower bound {lower:.2} (95 %, from {from})")
}

fn how_long(incident: &Incident, now: Timestamp) -> String {
    let opened = incident.opened_at;
    if incident.state.is_over() {
        let lasted = about(incident.updated_at.since(opened));
        return format!("opened {opened}, over {} ({lasted} later)", incident.updated_at);
    }
    format!("opened {opened} ({} ago), last changed {}", about(now.since(opened)), incident.updated_at)
}

fn known(annotation: &Annotation) -> String {
    match annotation {
        Annotation::PlannedEvent { name } => format!("the planned event {name:?} covers it"),
        Annotation::RecentRollout { at, revision } => format!("revision {revision} was rolled out at {at}"),
        Annotation::DependencyAffected { dependency, incident } => {
            format!("its dependency {dependency} has an incident of its own, {incident}: probably the cause")
        }
        Annotation::ThresholdRule { policy, condition } => {
            format!("a rule opened it, not the detectors: {condition} (policy {policy:?})")
        }
        Annotation::ReplicaOutlier { replica, since, features } => {
            format!("replica {replica} differs from the others since {since}, in {}", features.join(", "))
        }
        Annotation::ClusterFact { fact, until: None } => format!("{} (since {})", fact.sentence, fact.since),
        Annotation::ClusterFact { fact, until: Some(until) } => {
            format!("over since {until}: {} (since {})", fact.sentence, fact.since)
        }
    }
}

fn evidence(incident: &Incident, page: &mut Page) {
    if incident.evidence.is_empty() {
        return;
    }
    page.heading("Evidence");
    let mut rows = vec![["  feature", "measured", "expected", "deviation"].map(str::to_owned).to_vec()];
    rows.extend(incident.evidence.iter().take(EVIDENCE_MAX).map(|one| {
        vec![
            format!("  {}", printable(&one.feature)),
            number(one.observed),
            number(one.expected),
            format!("{:+.1}", one.deviation),
        ]
    }));
    page.text.push_str(&words::table(&rows));
}

/// Four digits are all that anyone compares.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        0.001..1e6 => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    }
}

fn decision(recorded: &Recorded, page: &mut Page) {
    page.heading("Decision");
    let Some(decision) = &recorded.decision else {
        page.paragraph(2, "None was made yet.");
        return;
    };
    let action = decision.action.as_deref().unwrap_or("no action");
    let policy = decision.policy.as_ref().map(|policy| format!(" under policy {policy:?}")).unwrap_or_default();
    let said = match decision.outcome.as_str() {
        "execute" => match &decision.approved_by {
            Some(by) => format!("{action} was approved by {by}{policy}, who overruled:"),
            None => format!("{action} was decided on{policy}."),
        },
        "propose" => format!("{action} is proposed{policy}, and waits for a person, because:"),
        "refuse" => format!("{action} was refused{policy}, because:"),
        other => format!("{other}: {action}{policy}"),
    };
    page.paragraph(2, &said);
    for reason in &decision.reasons {
        page.item(&format!("{} [{}]", reason.text, reason.code));
    }
}

/// What would be done, so that whoever approves it has seen it.
fn proposal(recorded: &Recorded, page: &mut Page) {
    let Some(proposal) = &recorded.proposal else { return };
    page.heading("Proposal");
    page.fact("  Digest", &proposal.digest);
    page.fact("  Until", &proposal.until);
    page.fact("  Take back", &proposal.inverse);
    if let Some((answer, by)) = &proposal.answer {
        page.fact("  Answer", &format!("{answer}, by {by}"));
    }
    page.line("  Would be sent:");
    for line in proposal.write.lines() {
        page.line(&format!("    {line}"));
    }
}

fn actions(recorded: &Recorded, page: &mut Page) {
    if recorded.actions.is_empty() {
        return;
    }
    page.heading("Actions");
    for action in &recorded.actions {
        let why = action.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        page.item(&format!("{} {}: {}{why} ({})", action.at, action.action, action.stage, action.plan));
    }
}

/// Lines of at most [`WIDTH`] characters, but for words that are longer.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(printable(line).trim_end());
        self.text.push('\n');
    }

    fn gap(&mut self) {
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        let _ = writeln!(self.text, "\n{heading}");
    }

    fn fact(&mut self, name: &str, value: &str) {
        for (idx, line) in wrapped(value, WIDTH - VALUES_AT).iter().enumerate() {
            let name = if idx == 0 { name } else { "" };
            self.line(&format!("{name:<VALUES_AT$}{line}"));
        }
    }

    fn paragraph(&mut self, indent: usize, text: &str) {
        for line in wrapped(text, WIDTH - indent) {
            self.line(&format!("{:indent$}{line}", ""));
        }
    }

    fn item(&mut self, text: &str) {
        for (idx, line) in wrapped(text, WIDTH - 4).iter().enumerate() {
            self.line(&format!("  {} {line}", if idx == 0 { "-" } else { " " }));
        }
    }
}
