//! Planned events: what is expected to look unusual.

use serde::{Deserialize, Serialize};

use crate::name_pattern::NamePattern;
use crate::subject::Subject;
use crate::timestamp::Timestamp;

/// A planned event, such as a marketing campaign.
///
/// ```
/// use homeostat_core::{NamePattern, PlannedEvent, Subject, Timestamp};
///
/// let (start, end) = (Timestamp::from_secs(100), Timestamp::from_secs(200));
/// let (namespaces, workloads) = (vec!["shop*".parse()?], vec![NamePattern::exactly("cart")]);
/// let sale = PlannedEvent { name: "sale".into(), start, end, namespaces, workloads };
/// assert!(sale.covers(&Subject::deployment("shop", "cart"), start));
/// assert!(!sale.covers(&Subject::deployment("shop", "cart"), end), "it is over");
/// assert!(!sale.covers(&Subject::deployment("shop", "db"), start), "another workload");
/// # Ok::<(), homeostat_core::NotAPattern>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedEvent {
    /// What it is called.
    pub name: String,
    /// When it starts.
    pub start: Timestamp,
    /// When it ends; must be after the start.
    pub end: Timestamp,
    /// Namespaces it touches; empty means every namespace.
    #[serde(default)]
    pub namespaces: Vec<NamePattern>,
    /// Workload names it touches; empty means every workload of those namespaces.
    #[serde(default)]
    pub workloads: Vec<NamePattern>,
}

impl PlannedEvent {
    /// Whether it touches this subject at this moment. The end is exclusive.
    pub fn covers(&self, subject: &Subject, at: Timestamp) -> bool {
        let in_scope =
            |list: &[NamePattern], name: &str| list.is_empty() || list.iter().any(|pattern| pattern.matches(name));
        self.start <= at
            && at < self.end
            && in_scope(&self.namespaces, &subject.namespace)
            && in_scope(&self.workloads, &subject.name)
    }
}

/// All planned events.
///
/// ```
/// use homeostat_core::{Calendar, NamePattern, PlannedEvent, Subject, Timestamp};
///
/// let sale = PlannedEvent {
///     name: "sale".into(),
///     start: Timestamp::from_secs(100),
///     end: Timestamp::from_secs(200),
///     namespaces: vec![NamePattern::exactly("shop")],
///     workloads: vec![], // all of them
/// };
/// let calendar = Calendar { events: vec![sale] };
/// let cart = Subject::deployment("shop", "cart");
/// assert_eq!(calendar.covering(&cart, Timestamp::from_secs(150)).map(|event| event.name.as_str()), Some("sale"));
/// assert!(calendar.covering(&cart, Timestamp::from_secs(200)).is_none(), "the end is exclusive");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calendar {
    /// The events, in any order; they may overlap.
    pub events: Vec<PlannedEvent>,
}

impl Calendar {
    /// The first event that touches this subject at this moment.
    pub fn covering(&self, subject: &Subject, at: Timestamp) -> Option<&PlannedEvent> {
        self.events.iter().find(|event| event.covers(subject, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_and_time_both_count_and_the_end_is_exclusive() {
        let event = PlannedEvent {
            name: "sale".into(),
            start: Timestamp::from_secs(100),
            end: Timestamp::from_secs(200),
            namespaces: vec!["sh*".parse().unwrap()],
            workloads: vec![],
        };
        let cart = Subject::deployment("shop", "cart");
        assert!(event.covers(&cart, Timestamp::from_secs(100)));
        assert!(!event.covers(&cart, Timestamp::from_secs(200)));
        assert!(!event.covers(&Subject::deployment("bank", "cart"), Timestamp::from_secs(150)));
    }
}
