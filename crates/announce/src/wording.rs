//! An event in plain text, for receivers that are read by people. Labels are hostile text: nothing here has a control character.

use homeostat_core::{Escalation, Evidence, Incident};

use crate::event::{Event, Payload};

/// A title fits one line of a phone's notification and the 1 024 characters of PagerDuty's summary.
const TITLE_CHARS_MAX: usize = 250;

/// Long enough for a sentence with an object's full name; a screen has some ten of them.
const LINE_CHARS_MAX: usize = 300;

/// Signals that are named: those that opened it come first, and more than a handful is for `homeostat incident show`.
const EVIDENCE_MAX: usize = 5;

/// The newest lines of the history; the whole is in `homeostat incident show`.
const HISTORY_MAX: usize = 10;

/// One line that says what happened where.
pub(crate) fn title(event: &Event) -> String {
    let subject = event.subject();
    let text = match &event.payload {
        Payload::Change(change) => format!("{}: {subject} {}", change.incident().incident_type, change.name()),
        Payload::Escalation(call) => format!("{subject}: {} ({})", call.escalation.message, call.escalation.reason),
    };
    cut(&one_line(text), TITLE_CHARS_MAX)
}

/// What is known, a label and a text each, the most useful first.
pub(crate) fn details(event: &Event) -> Vec<(&'static str, String)> {
    let mut details = Vec::new();
    if let Some(incident) = event.incident() {
        of_incident(incident, &mut details);
    }
    if let Payload::Escalation(call) = &event.payload {
        of_escalation(&call.escalation, &mut details);
    }
    details.push(("Incident", format!("{} ({})", event.incident_id(), event.correlation())));
    details.into_iter().map(|(label, text)| (label, cut(&one_line(text), LINE_CHARS_MAX))).collect()
}

/// What is known of an incident, as one text.
pub(crate) fn description(incident: &Incident) -> String {
    let mut details = Vec::new();
    of_incident(incident, &mut details);
    let lines = details.into_iter().map(|(label, text)| format!("{label}: {}", cut(&one_line(text), LINE_CHARS_MAX)));
    lines.collect::<Vec<_>>().join("; ")
}

fn of_incident(incident: &Incident, details: &mut Vec<(&'static str, String)>) {
    details.extend(incident.facts().map(|fact| ("Cause", fact.sentence.clone())));
    details.push(("Type", format!("{}, since {}", incident.incident_type, incident.opened_at)));
    details.push(("Score", format!("{:.2}, at most {:.2}", incident.score.value(), incident.score_peak.value())));
    if incident.confidence.n_outcomes > 0 {
        let (confidence, lower) = (incident.confidence.confidence.value(), incident.confidence.lower.value());
        let n_outcomes = incident.confidence.n_outcomes;
        details.push(("Confidence", format!("{confidence:.2}, at least {lower:.2} on {n_outcomes} outcomes")));
    }
    details.extend(incident.evidence.iter().take(EVIDENCE_MAX).map(|evidence| ("Signal", signal(evidence))));
    if !incident.affected.is_empty() {
        let affected: Vec<String> = incident.affected.iter().map(ToString::to_string).collect();
        details.push(("Affected", affected.join(", ")));
    }
    if let Some(name) = incident.planned_event() {
        details.push(("Planned event", name.to_owned()));
    }
}

fn signal(evidence: &Evidence) -> String {
    let Evidence { feature, observed, expected, deviation, .. } = evidence;
    format!("{feature} is {observed:.4}, expected {expected:.4} ({deviation:+.1} deviations)")
}

fn of_escalation(escalation: &Escalation, details: &mut Vec<(&'static str, String)>) {
    let n_left_out = escalation.history.len().saturating_sub(HISTORY_MAX);
    if n_left_out > 0 {
        details.push(("History", format!("{n_left_out} earlier entries")));
    }
    details.extend(escalation.history.iter().skip(n_left_out).map(|line| ("History", line.clone())));
}

/// Labels are hostile text: a line break or an escape sequence in one must not forge a line or move the cursor, and a mark that
/// turns the direction of writing must not hide a part.
pub(crate) fn one_line(text: impl ToString) -> String {
    let text = text.to_string();
    let hides = |char: char| char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(hides) {
        return text;
    }
    text.chars().flat_map(|char| if hides(char) { char.escape_default().collect() } else { vec![char] }).collect()
}

/// The text, or its beginning with an ellipsis.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use homeostat_core::Signal;

    use super::*;
    use crate::testing::{change, escalation, incident};

    #[test]
    fn a_person_reads_what_where_why_and_what_was_tried() {
        let mut known = incident("payment-api");
        let evidence =
            Evidence { feature: "memory".into(), signal: Signal::Memory, observed: 0.9, expected: 0.4, deviation: 8.5 };
        known.evidence = vec![evidence];
        let event = Event::of_escalation(&escalation("made-worse"), Some(&known), "/a", 1);
        assert_eq!(title(&event), "shop/deployment/payment-api: 2 restarts didn't help (made-worse)");
        let text: Vec<String> = details(&event).into_iter().map(|(label, text)| format!("{label}: {text}")).collect();
        let expected = [
            "Type: oom-killed, since 2026-01-31T12:00:00Z",
            "Score: 1.70, at most 2.50",
            "Confidence: 0.95, at least 0.93 on 120 outcomes",
            "Signal: memory is 0.9000, expected 0.4000 (+8.5 deviations)",
            "History: 12:00 restarted",
            "History: 12:06 not recovered",
        ];
        assert_eq!(text[..6], expected);
        assert!(text[6].contains(known.id.as_str()), "{text:?}");
        assert_eq!(
            title(&Event::of_change(&change("opened"), "/a", 1)),
            "oom-killed: shop/deployment/payment-api opened"
        );
    }

    #[test]
    fn a_long_history_keeps_its_newest_lines_and_says_how_many_are_left_out() {
        let mut told = escalation("storm");
        told.history = (0..25).map(|n| format!("attempt {n}")).collect();
        told.message = "x".repeat(5_000);
        let event = Event::of_escalation(&told, None, "/a", 1);
        let history: Vec<String> =
            details(&event).into_iter().filter(|(label, _)| *label == "History").map(|(_, text)| text).collect();
        assert_eq!(history.first().map(String::as_str), Some("15 earlier entries"));
        assert_eq!(history.last().map(String::as_str), Some("attempt 24"));
        assert_eq!(title(&event).chars().count(), TITLE_CHARS_MAX);
        assert!(title(&event).ends_with('…'));
    }
}
