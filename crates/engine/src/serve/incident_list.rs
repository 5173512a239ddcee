//! The incidents that HTTP shows: the newest, already written as JSON, with a version that changes when one of them does.
//!
//! Kept up by the cycle from what it did, so that a reader never touches the journal.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use homeostat_core::{Incident, IncidentId, IncidentState};
use homeostat_journal::PageItem;
use serde_json::json;

/// Incidents kept, without counting those that are open. A row has about 2 KiB, so they take 2 MiB; older ones are in the
/// journal, which `homeostat incident list` reads.
const ENDED_MAX: usize = 1000;

/// One incident.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Which.
    pub(crate) id: IncidentId,
    /// The stable name of its state.
    pub(crate) state: String,
    /// Whether it is over.
    pub(crate) is_over: bool,
    /// Whose, as text.
    pub(crate) subject: String,
    /// The stable name of its type.
    pub(crate) incident_type: String,
    /// `{"incident": …, "decision": …, "label": …}`.
    pub(crate) json: Arc<str>,
}

impl Row {
    /// As it is shown. `decision` is the latest one, and `label` the one that counts, as the journal has them.
    pub(crate) fn new(incident: &Incident, decision: &serde_json::Value, label: &serde_json::Value) -> Self {
        Self {
            id: incident.id.clone(),
            state: state_name(incident.state).to_owned(),
            is_over: incident.state.is_over(),
            subject: incident.subject.to_string(),
            incident_type: incident.incident_type.name().to_owned(),
            json: json!({ "incident": incident, "decision": decision, "label": label }).to_string().into(),
        }
    }

    /// As the journal has it, also what a newer homeostat recorded.
    pub(crate) fn recorded(item: &PageItem) -> Self {
        let incident = &item.incident;
        // Older versions had other names for some.
        let known: Option<IncidentState> = serde_json::from_value(incident.state.as_str().into()).ok();
        Self {
            id: incident.id.clone(),
            state: known.map_or_else(|| incident.state.clone(), |state| state_name(state).to_owned()),
            is_over: incident.is_over(),
            subject: incident.subject.clone(),
            incident_type: incident.incident_type.clone(),
            json: item.value().to_string().into(),
        }
    }
}

/// A state's stable name, as it is in JSON.
pub(crate) fn state_name(state: IncidentState) -> &'static str {
    match state {
        IncidentState::Open => "open",
        IncidentState::Stale => "stale",
        IncidentState::Resolved => "resolved",
        IncidentState::Rebaselined => "rebaselined",
        IncidentState::Expired => "expired",
    }
}

/// Known incidents, in the order in which they became known.
#[derive(Clone, Debug, Default)]
pub(crate) struct IncidentList {
    /// By number: each gets the next one.
    rows: BTreeMap<u64, Arc<Row>>,
    numbers: HashMap<IncidentId, u64>,
    n_over: usize,
    version: u64,
}

impl IncidentList {
    /// Changes with every change of a row.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Puts a row in the place of the one with its id, or at the end.
    pub(crate) fn put(&mut self, row: Row) {
        self.version += 1;
        let next = self.rows.last_key_value().map_or(0, |(number, _)| number + 1);
        let number = *self.numbers.entry(row.id.clone()).or_insert(next);
        self.n_over += usize::from(row.is_over);
        if let Some(before) = self.rows.insert(number, Arc::new(row)) {
            self.n_over -= usize::from(before.is_over);
        }
        if self.n_over > ENDED_MAX {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.rows.iter().find(|(_, row)| row.is_over).map(|(number, _)| *number);
        if let Some(row) = oldest.and_then(|number| self.rows.remove(&number)) {
            self.numbers.remove(&row.id);
            self.n_over -= 1;
        }
    }

    /// Newest first, at most `limit` of those that `wanted` takes, after `before` where that is given; and whether there are
    /// more. `None` if there is no incident `before`.
    pub(crate) fn page(
        &self,
        before: Option<&str>,
        limit: usize,
        wanted: impl Fn(&Row) -> bool,
    ) -> Option<(Vec<Arc<Row>>, bool)> {
        let end = match before {
            None => u64::MAX,
            Some(id) => *self.rows.iter().rev().find(|(_, row)| row.id.as_str() == id)?.0,
        };
        let mut rows = self.rows.range(..end).rev().map(|(_, row)| row).filter(|row| wanted(row)).cloned();
        let page: Vec<Arc<Row>> = rows.by_ref().take(limit).collect();
        let has_more = rows.next().is_some();
        Some((page, has_more))
    }
}

#[cfg(test)]
mod tests {
    use homeostat_core::{Subject, Timestamp};

    use super::*;

    fn row(name: &str, state: IncidentState) -> Row {
        let subject = Subject::deployment("shop", name);
        let id = IncidentId::of(&subject, Timestamp::from_secs(0));
        let (subject, is_over) = (subject.to_string(), state.is_over());
        Row {
            id,
            state: state_name(state).into(),
            is_over,
            subject,
            incident_type: "unknown".into(),
            json: "{}".into(),
        }
    }

    #[test]
    fn states_are_called_as_in_json() {
        for name in ["open", "stale", "resolved", "rebaselined", "expired"] {
            let state: IncidentState = serde_json::from_value(name.into()).expect("a state");
            assert_eq!(state_name(state), name);
        }
    }

    #[test]
    fn pages_follow_each_other_newest_first_and_a_change_keeps_the_place() {
        let mut list = IncidentList::default();
        for name in ["a", "b", "c"] {
            list.put(row(name, IncidentState::Open));
        }
        let version = list.version();
        list.put(row("a", IncidentState::Resolved));
        assert!(list.version() > version, "a reader must see that something changed");
        let (page, has_more) = list.page(None, 2, |_| true).expect("a page");
        let subjects: Vec<&str> = page.iter().map(|row| row.subject.as_str()).collect();
        assert_eq!((subjects, has_more), (vec!["shop/deployment/c", "shop/deployment/b"], true));
        let (rest, has_more) = list.page(Some(page[1].id.as_str()), 2, |_| true).expect("a page");
        assert_eq!((rest.len(), rest[0].state.as_str(), has_more), (1, "resolved", false));
        assert!(list.page(Some("inc-none"), 2, |_| true).is_none());
        let (open, _) = list.page(None, 9, |row| !row.is_over).expect("a page");
        assert_eq!(open.len(), 2);
    }

    #[test]
    fn what_is_over_gives_way_and_what_is_open_never_does() {
        let mut list = IncidentList::default();
        list.put(row("open", IncidentState::Open));
        for n in 0..ENDED_MAX + 50 {
            list.put(row(&format!("over-{n}"), IncidentState::Resolved));
        }
        let (all, _) = list.page(None, usize::MAX, |_| true).expect("a page");
        assert_eq!(all.len(), ENDED_MAX + 1);
        assert_eq!(all.last().map(|row| row.subject.as_str()), Some("shop/deployment/open"));
    }
}
