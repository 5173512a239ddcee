//! Who depends on whom.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::subject::Subject;

/// Direct dependencies between subjects. Cycles are allowed; walks end.
///
/// ```
/// use homeostat_core::{Subject, Topology};
///
/// let [shop, cart, db] = ["shop", "cart", "db"].map(|name| Subject::deployment("shop", name));
/// let mut topology = Topology::new();
/// topology.add(shop.clone(), cart.clone());
/// topology.add(cart.clone(), db.clone());
/// assert_eq!(topology.dependencies_of(&shop).collect::<Vec<_>>(), [&cart]);
/// assert!(topology.all_dependencies_of(&shop).contains(&db));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Topology {
    depends_on: BTreeMap<Subject, BTreeSet<Subject>>,
}

impl Topology {
    /// Nothing is known to depend on anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that `caller` depends on `dependency`. A subject never depends on itself.
    pub fn add(&mut self, caller: Subject, dependency: Subject) {
        if caller != dependency {
            self.depends_on.entry(caller).or_default().insert(dependency);
        }
    }

    /// Direct dependencies, in order.
    pub fn dependencies_of<'a>(&'a self, subject: &Subject) -> impl Iterator<Item = &'a Subject> + use<'a> {
        self.depends_on.get(subject).into_iter().flatten()
    }

    /// Everything it depends on, directly or not, itself left out; in order.
    pub fn all_dependencies_of(&self, subject: &Subject) -> BTreeSet<Subject> {
        let mut seen = BTreeSet::new();
        let mut queue: Vec<&Subject> = self.dependencies_of(subject).collect();
        while let Some(next) = queue.pop() {
            if next != subject && seen.insert(next.clone()) {
                queue.extend(self.dependencies_of(next));
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_through_cycles_and_ends() {
        let [a, b, c] = ["a", "b", "c"].map(|name| Subject::deployment("shop", name));
        let mut topology = Topology::new();
        topology.add(a.clone(), b.clone());
        topology.add(b.clone(), c.clone());
        topology.add(c.clone(), a.clone());
        assert_eq!(topology.all_dependencies_of(&a), BTreeSet::from([b.clone(), c.clone()]));
        assert_eq!(topology.dependencies_of(&a).collect::<Vec<_>>(), [&b]);
    }
}
