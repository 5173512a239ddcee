//! What people say of incidents: the latest label of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use homeostat_core::{IncidentId, IncidentLabel};

use crate::kept::KeptIncident;

/// Labels that count, at most; the incident of each is kept with it, which makes 6 MB. Somebody who judges five incidents a day is heard
/// for more than a year; then the oldest labels go.
const LABELS_MAX: usize = 2_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    by_incident: BTreeMap<IncidentId, Known>,
    by_row: BTreeSet<(i64, IncidentId)>,
}

/// A label that counts.
#[derive(Clone, Debug)]
struct Known {
    label: Arc<IncidentLabel>,
    /// The incident as it was then, if it was known.
    about: Option<Arc<KeptIncident>>,
    seq: i64,
}

impl Labels {
    pub(super) fn get(&self, incident: &IncidentId) -> Option<&Arc<IncidentLabel>> {
        self.by_incident.get(incident).map(|known| &known.label)
    }

    pub(super) fn len(&self) -> usize {
        self.by_incident.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<IncidentLabel>> {
        self.by_incident.values().map(|known| &known.label)
    }

    /// Whether the label says something that isn't known already.
    pub(super) fn is_news(&self, label: &IncidentLabel) -> bool {
        match self.get(&label.incident) {
            Some(known) => !known.says_the_same(label),
            None => label.verdict.is_some(),
        }
    }

    /// The incident as it was when somebody said what it was.
    pub(super) fn about(&self, incident: &IncidentId) -> Option<&Arc<KeptIncident>> {
        self.by_incident.get(incident).and_then(|known| known.about.as_ref())
    }

    /// Takes the label of row `seq`; one without a verdict withdraws the one before it.
    pub(super) fn put(&mut self, label: IncidentLabel, about: Option<Arc<KeptIncident>>, seq: i64) {
        self.remove(&label.incident);
        if label.verdict.is_none() {
            return;
        }
        self.by_row.insert((seq, label.incident.clone()));
        self.by_incident.insert(label.incident.clone(), Known { label: Arc::new(label), about, seq });
        if self.by_incident.len() > LABELS_MAX
            && let Some((_, oldest)) = self.by_row.first().cloned()
        {
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, incident: &IncidentId) {
        if let Some(known) = self.by_incident.remove(incident) {
            self.by_row.remove(&(known.seq, incident.clone()));
        }
    }

    /// Whether the label that counts for this incident is row `seq`.
    pub(super) fn is_row(&self, incident: &IncidentId, seq: i64) -> bool {
        self.by_incident.get(incident).is_some_and(|known| known.seq == seq)
    }
}
