//! One label, checked and written to the journal.

use std::time::Duration;

use homeostat_core::{Incident, IncidentLabel, IncidentType, Timestamp, Verdict, format_duration};
use homeostat_journal::{Journal, Note};

/// Longest note and longest name: they are in every answer of the API about the incident.
const NOTE_CHARS_MAX: usize = 1_000;
const BY_CHARS_MAX: usize = 100;

/// What is expected at a time of the day lasts half a day at most; longer, it is no time of the day. The same of the week.
const LASTS_DAILY_MAX: Duration = Duration::from_secs(12 * 3_600);
const LASTS_WEEKLY_MAX: Duration = Duration::from_secs(84 * 3_600);

/// Why a label isn't recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LabelError {
    /// Nobody knows such an incident: look at the list.
    #[error("no incident {0} is kept; see `homeostat incident list`")]
    NoSuchIncident(String),
    /// It would mean nothing: say it in another way.
    #[error("{0}")]
    Refused(String),
    /// The journal can't be written: try again.
    #[error("{0}; try again when that is put right")]
    NotWritten(String),
}

/// Writes a label to the journal. `Ok(false)`: it says what is known already.
pub(crate) fn record(journal: &Journal, label: &IncidentLabel, now: Timestamp) -> Result<bool, LabelError> {
    let known = journal.incident(&label.incident).map_err(|error| LabelError::NotWritten(error.to_string()))?;
    let Some(known) = known else { return Err(LabelError::NoSuchIncident(label.incident.to_string())) };
    if let Some(incident) = known.incident() {
        check(label, &incident).map_err(LabelError::Refused)?;
    }
    journal.note(&Note::Label(label.clone()), now).map_err(|error| LabelError::NotWritten(error.to_string()))
}

/// Whether the label can be about this incident; if not, what to do instead.
pub(crate) fn check(label: &IncidentLabel, incident: &Incident) -> Result<(), String> {
    if label.by.trim().is_empty() {
        return Err("who says so is missing: name them with `by`".to_owned());
    }
    for (what, text, chars_max) in [("by", &label.by, BY_CHARS_MAX), ("note", &label.note, NOTE_CHARS_MAX)] {
        if text.chars().count() > chars_max {
            return Err(format!("`{what}` has more than {chars_max} characters; shorten it"));
        }
    }
    let lasts_max = match label.verdict {
        Some(Verdict::ExpectedDaily) => LASTS_DAILY_MAX,
        Some(Verdict::ExpectedWeekly) => LASTS_WEEKLY_MAX,
        Some(Verdict::TruePositive | Verdict::FalsePositive) | None => return Ok(()),
    };
    if is_about_data(incident.incident_type) {
        return Err(format!(
            "{} is about missing or frozen data, which isn't expected by the time of day: use false-positive, or add planned times to the config's `calendar`",
            incident.incident_type
        ));
    }
    let lasted = incident.updated_at.since(incident.opened_at);
    if lasted > lasts_max {
        return Err(format!(
            "the incident lasted {}, and what is expected lasts at most {}: use false-positive, or add planned times to the config's `calendar`",
            format_duration(Duration::from_secs(lasted.as_secs())),
            format_duration(lasts_max)
        ));
    }
    Ok(())
}

/// Whether incidents of this type come from the data itself and not from how unusual it is.
fn is_about_data(incident_type: IncidentType) -> bool {
    matches!(incident_type, IncidentType::WorkloadGone | IncidentType::FrozenData)
}
