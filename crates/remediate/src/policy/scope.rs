//! Where a policy holds.

use std::collections::BTreeSet;
use std::fmt;

use homeostat_core::{Subject, WorkloadKind};

/// Where a policy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere, because no scope was given. Good for proposing; never for acting (I10).
    Unstated,
    /// In these namespaces, and there in these workloads.
    Only {
        /// At least one; names, no patterns.
        namespaces: BTreeSet<String>,
        /// Workload names; empty means every workload of the namespaces.
        workloads: BTreeSet<String>,
        /// Kinds of workload; empty means every kind.
        kinds: BTreeSet<WorkloadKind>,
    },
}

impl Scope {
    /// Whether it holds for this subject.
    pub fn contains(&self, subject: &Subject) -> bool {
        match self {
            Self::Unstated => true,
            Self::Only { namespaces, workloads, kinds } => {
                namespaces.contains(&subject.namespace)
                    && (workloads.is_empty() || workloads.contains(&subject.name))
                    && (kinds.is_empty() || kinds.contains(&subject.kind))
            }
        }
    }

    /// Whether some subject could be in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unstated, _) | (_, Self::Unstated) => true,
            (
                Self::Only { namespaces, workloads, kinds },
                Self::Only { namespaces: other_namespaces, workloads: other_workloads, kinds: other_kinds },
            ) => {
                !namespaces.is_disjoint(other_namespaces)
                    && meet(workloads, other_workloads)
                    && meet(kinds, other_kinds)
            }
        }
    }
}

/// Whether two lists have something in common, of which an empty one means everything.
fn meet<T: Ord>(one: &BTreeSet<T>, other: &BTreeSet<T>) -> bool {
    one.is_empty() || other.is_empty() || !one.is_disjoint(other)
}

impl fmt::Display for Scope {
    /// Such as "deployments of namespace shop".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Only { namespaces, workloads, kinds } = self else { return f.write_str("every namespace") };
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        match (workloads.is_empty(), kinds.is_empty()) {
            (true, true) => {}
            (true, false) => write!(f, "workloads of kind {} in ", kinds.join(", "))?,
            (false, true) => write!(f, "{} in ", list(workloads))?,
            (false, false) => write!(f, "{} (of kind {}) in ", list(workloads), kinds.join(", "))?,
        }
        write!(f, "namespace{} {}", if namespaces.len() == 1 { "" } else { "s" }, list(namespaces))
    }
}
