//! The service's part in labels: takes those that wait in the storage directory, and lets what people say have its effect.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use homeostat_core::{IncidentChange, IncidentLabel, Timestamp};

use super::cycle::SharedMonitor;
use super::metrics::Metrics;
use crate::inbox::Inbox;
use crate::labels::{Desk, Effect, LabelError};

/// The precision is one of late, and changes by itself; so often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// Takes labels and goes by them.
pub(crate) struct Labelling {
    desk: Arc<Desk>,
    inbox: Inbox<IncidentLabel>,
    step: Duration,
    looked_at: Option<Timestamp>,
}

impl Labelling {
    /// For rows one a `step`.
    pub(crate) fn new(desk: Arc<Desk>, inbox: Inbox<IncidentLabel>, step: Duration) -> Self {
        Self { desk, inbox, step, looked_at: None }
    }

    /// Takes what waits, and lets what changed have its effect.
    pub(crate) fn tick(&mut self, monitor: &SharedMonitor, metrics: &Metrics, now: Timestamp) {
        self.take_waiting(now);
        let is_due = self.looked_at.is_none_or(|at| now.since(at) >= LOOK_EVERY);
        if !self.desk.take_news() && !is_due {
            return;
        }
        let labels = match self.desk.journal().labels() {
            Ok(labels) => labels,
            Err(error) => {
                tracing::warn!(%error, "labels can't be read; what was known of them stays");
                self.desk.note_change();
                return;
            }
        };
        self.looked_at = Some(now);
        let Effect { expected, verdicts, counts, precision } = Effect::of(&labels, self.step, now);
        metrics.incidents_are_labelled(&counts, precision);
        monitor.lock().unwrap_or_else(PoisonError::into_inner).go_by(expected, verdicts);
    }

    /// An incident that ends may be one that somebody expects again: now it is known how long it lasted.
    pub(crate) fn look(&self, changes: &[IncidentChange]) {
        let has_label = |change: &IncidentChange| {
            change.incident().state.is_over() && matches!(self.desk.journal().label(&change.incident().id), Ok(Some(_)))
        };
        if changes.iter().any(has_label) {
            self.desk.note_change();
        }
    }

    fn take_waiting(&self, now: Timestamp) {
        for waiting in self.inbox.waiting() {
            let taken = match &waiting.message {
                Ok(label) => self.desk.take(label, now).map(|_| ()),
                Err(why) => Err(LabelError::Refused(why.clone())),
            };
            match taken {
                Ok(()) => {}
                // It stays, and is tried again in the next cycle.
                Err(LabelError::NotWritten(why)) => {
                    tracing::error!(why, file = waiting.name(), "a label can't be recorded yet");
                    continue;
                }
                Err(error @ (LabelError::NoSuchIncident(_) | LabelError::Refused(_))) => {
                    tracing::error!(why = %error, file = waiting.name(), "a label was refused; label the incident again");
                }
            }
            if let Err(error) = waiting.remove() {
                tracing::error!(%error, file = waiting.name(), "a label that was taken can't be removed");
            }
        }
    }
}
