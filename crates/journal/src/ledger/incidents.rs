//! The latest state of each incident, in the order in which they opened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use homeostat_core::{IncidentId, Timestamp};

use crate::kept::KeptIncident;
use crate::page::{Cursor, Page, PageItem, PageRequest};

/// Ended incidents kept in memory, with their decisions and calls: some weeks of a busy cluster, about 4 MB.
/// Older ones stay in the file.
pub(crate) const INCIDENTS_ENDED_MAX: usize = 1000;

#[derive(Clone, Debug, Default)]
pub(super) struct Incidents {
    by_id: BTreeMap<IncidentId, Arc<KeptIncident>>,
    by_opening: BTreeSet<(Timestamp, IncidentId)>,
    /// By when they ended.
    ended: BTreeSet<(Timestamp, IncidentId)>,
}

impl Incidents {
    pub(super) fn get(&self, id: &IncidentId) -> Option<&Arc<KeptIncident>> {
        self.by_id.get(id)
    }

    /// Whether it is known and goes on.
    pub(super) fn is_open(&self, id: &IncidentId) -> bool {
        self.get(id).is_some_and(|incident| !incident.is_over())
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<KeptIncident>> {
        self.by_opening.iter().filter_map(|(_, id)| self.get(id))
    }

    pub(super) fn put(&mut self, incident: KeptIncident) {
        self.remove(&incident.id);
        self.by_opening.insert((incident.opened_at, incident.id.clone()));
        if incident.is_over() {
            self.ended.insert((incident.updated_at, incident.id.clone()));
        }
        self.by_id.insert(incident.id.clone(), Arc::new(incident));
    }

    fn remove(&mut self, id: &IncidentId) {
        if let Some(old) = self.by_id.remove(id) {
            self.by_opening.remove(&(old.opened_at, id.clone()));
            self.ended.remove(&(old.updated_at, id.clone()));
        }
    }

    /// Drops ended incidents above the limit, oldest first, but for those that must stay; `n_beside` of these don't count.
    pub(super) fn drop_old(&mut self, n_beside: usize, stays: impl Fn(&IncidentId) -> bool) -> Vec<IncidentId> {
        let n_over = self.ended.len().saturating_sub(INCIDENTS_ENDED_MAX + n_beside);
        if n_over == 0 {
            return Vec::new();
        }
        let dropped: Vec<_> =
            self.ended.iter().map(|(_, id)| id).filter(|id| !stays(id)).take(n_over).cloned().collect();
        dropped.iter().for_each(|id| self.remove(id));
        dropped
    }

    /// Newest first, from the request's cursor on.
    pub(super) fn page(&self, request: &PageRequest, item: impl Fn(&Arc<KeptIncident>) -> PageItem) -> Page {
        let wanted = |incident: &&Arc<KeptIncident>| !request.open_only || !incident.is_over();
        let before = request.after.as_ref().map(|cursor| (cursor.opened_at, cursor.incident.clone()));
        let candidates = match &before {
            Some(before) => self.by_opening.range::<(Timestamp, IncidentId), _>(..before),
            None => self.by_opening.range::<(Timestamp, IncidentId), _>(..),
        };
        let mut rows = candidates.rev().filter_map(|(_, id)| self.get(id)).filter(wanted).peekable();
        let mut items = Vec::new();
        while items.len() < request.limit.max(1)
            && let Some(incident) = rows.next()
        {
            items.push(item(incident));
        }
        let next = rows
            .peek()
            .and(items.last())
            .map(|last| Cursor { opened_at: last.incident.opened_at, incident: last.incident.id.clone() });
        Page { items, next }
    }
}
