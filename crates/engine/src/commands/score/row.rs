//! One scored row, as CSV and as JSON.

use std::fmt::Write;

use homeostat_core::{Calibrated, DetectorVote, IncidentType, Subject, Timestamp, Vote};
use serde_json::{Value, json};

/// What is said of one subject at one moment. A row without a measurement has no score.
pub(super) struct ScoredRow<'a> {
    pub(super) subject: &'a Subject,
    pub(super) at: Timestamp,
    /// 1.0 is the alarm threshold.
    pub(super) score: Option<f64>,
    /// 1.0 is the alarm threshold; of what has added up over the rows before.
    pub(super) lasting_score: Option<f64>,
    /// For ranking: over several time scales.
    pub(super) smoothed_score: Option<f64>,
    pub(super) typed: Option<(IncidentType, Calibrated)>,
    /// Whether an incident opened at the row.
    pub(super) alert: bool,
    /// Whether one was open after it.
    pub(super) open: bool,
    pub(super) votes: &'a [DetectorVote],
}

/// Columns before those of the detectors.
const COLUMNS: &str = "timestamp,subject,score,lasting_score,smoothed_score,confidence,type,alert,open";

/// The header of the CSV: a column a detector, its surprisal in nats.
pub(super) fn header(detectors: &[String]) -> String {
    let mut header = COLUMNS.to_owned();
    for detector in detectors {
        header.push(',');
        header.push_str(detector);
    }
    header
}

impl ScoredRow<'_> {
    /// How sure an incident of the row would be.
    pub(super) fn confidence(&self) -> Option<f64> {
        self.typed.map(|(_, calibrated)| calibrated.confidence.value())
    }

    /// What it would be called.
    pub(super) fn incident_type(&self) -> Option<String> {
        self.typed.map(|(incident_type, _)| incident_type.to_string())
    }

    /// The row as CSV, without an end of line; what isn't known is empty. Names hold no comma and no quote but a subject's,
    /// which is quoted where it must be.
    pub(super) fn csv(&self, detectors: &[String]) -> String {
        let mut line = format!("{},{}", self.at, quoted(&self.subject.to_string()));
        let mut number = |value: Option<f64>| {
            line.push(',');
            if let Some(value) = value {
                // Writing to a String can't fail.
                let _ = write!(line, "{value}");
            }
        };
        number(self.score);
        number(self.lasting_score);
        number(self.smoothed_score);
        number(self.confidence());
        let incident_type = self.incident_type().unwrap_or_default();
        let _ = write!(line, ",{incident_type},{},{}", u8::from(self.alert), u8::from(self.open));
        for detector in detectors {
            line.push(',');
            if let Some(nats) = self.surprisal_nats(detector) {
                let _ = write!(line, "{nats}");
            }
        }
        line
    }

    /// How surprising this detector found it, in nats, if it said so.
    pub(super) fn surprisal_nats(&self, detector: &str) -> Option<f64> {
        let named = self.votes.iter().find(|named| named.detector == detector)?;
        match &named.vote {
            Vote::Scored { tail, .. } => Some(tail.surprisal_nats()),
            Vote::NotReady { .. } | Vote::Failed { .. } => None,
        }
    }

    /// The row as a JSON object, each vote with its reason.
    pub(super) fn json(&self) -> Value {
        json!({
            "timestamp": self.at,
            "subject": self.subject,
            "score": self.score,
            "lasting_score": self.lasting_score,
            "smoothed_score": self.smoothed_score,
            "type": self.typed.map(|(incident_type, _)| incident_type),
            "confidence": self.typed.map(|(_, calibrated)| calibrated),
            "alert": self.alert,
            "open": self.open,
            "votes": self.votes,
        })
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use homeostat_core::{NotReady, RawScore, TailProbability};

    use super::*;

    fn vote(detector: &'static str, vote: Vote) -> DetectorVote {
        DetectorVote { detector: detector.into(), vote }
    }

    #[test]
    fn what_is_not_known_is_an_empty_cell_and_never_a_zero() {
        let subject = Subject::deployment("a,b", "cart");
        let scored = Vote::Scored {
            raw: RawScore::new(2.0).expect("a score"),
            tail: TailProbability::from_surprisal(0.5).expect("a surprisal"),
        };
        let votes = [vote("forest", scored), vote("dbscan", Vote::NotReady { why: NotReady::TooFewSteps })];
        let row = ScoredRow {
            subject: &subject,
            at: Timestamp::from_secs(0),
            score: Some(0.25),
            lasting_score: None,
            smoothed_score: None,
            typed: None,
            alert: false,
            open: true,
            votes: &votes,
        };
        let detectors = ["forest", "dbscan", "forecast"].map(str::to_owned);
        assert_eq!(header(&detectors), format!("{COLUMNS},forest,dbscan,forecast"));
        assert_eq!(row.csv(&detectors), "1970-01-01T00:00:00Z,\"a,b/deployment/cart\",0.25,,,,,0,1,0.5,,");
        let json = row.json();
        assert!(json["smoothed_score"].is_null() && json["votes"][1]["vote"] == "not-ready", "{json}");
    }
}
