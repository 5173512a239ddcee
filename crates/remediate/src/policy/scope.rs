//! Where a policy holds.

use std::collections::BTreeSet;

use homeostat_core::Subject;

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
    },
}

impl Scope {
    /// Whether it holds for this subject.
    pub fn contains(&self, subject: &Subject) -> bool {
        match self {
            Self::Unstated => true,
            Self::Only { namespaces, workloads } => {
                namespaces.contains(&subject.namespace) && (workloads.is_empty() || workloads.contains(&subject.name))
            }
        }
    }

    /// Whether some subject could be in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unstated, _) | (_, Self::Unstated) => true,
            (
                Self::Only { namespaces, workloads },
                Self::Only { namespaces: other_namespaces, workloads: other_workloads },
            ) => {
                !namespaces.is_disjoint(other_namespaces)
                    && (workloads.is_empty() || other_workloads.is_empty() || !workloads.is_disjoint(other_workloads))
            }
        }
    }
}
