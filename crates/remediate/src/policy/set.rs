//! All policies together, of one file or of several: names differ, and no incident has two of them.

use homeostat_settings::{Findings, Place, Problem};

use super::{Policy, Scope};

/// Policies over all files; more is a generated file gone wrong, and overlap is checked between all pairs.
const POLICIES_MAX: usize = 1000;

/// Policies that were read, each with its place.
#[derive(Clone, Debug, Default)]
pub struct PolicySet(Vec<Placed>);

#[derive(Clone, Debug)]
struct Placed {
    file: String,
    place: Place,
    policy: Policy,
}

impl PolicySet {
    /// Adds what was read of a file, and tells what can't be in force together with what is there already.
    pub(super) fn add(&mut self, file: &str, policies: Vec<(Place, Policy)>, findings: &mut Findings) {
        for (place, policy) in policies {
            let mut tell = |message| findings.push(Problem { file: file.to_owned(), place, message });
            if self.0.len() == POLICIES_MAX {
                return tell(format!("more than {POLICIES_MAX} policies"));
            }
            for earlier in &self.0 {
                for why in overlaps(earlier, file, &policy) {
                    tell(why);
                }
            }
            self.0.push(Placed { file: file.to_owned(), place, policy });
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The policies, in the order in which they were read.
    pub fn into_policies(self) -> Vec<Policy> {
        self.0.into_iter().map(|placed| placed.policy).collect()
    }
}

/// Why two policies can't be in force together.
fn overlaps(earlier: &Placed, file: &str, policy: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    let (other, place) = (&earlier.policy, earlier.place);
    let elsewhere = if earlier.file == file { String::new() } else { format!(" ({}:{})", earlier.file, place.line) };
    if other.name == policy.name {
        found.push(format!("two policies are named {:?}{elsewhere}; names must differ", policy.name));
    }
    let is_same_incident = policy.rule.is_none() && other.rule.is_none() && other.incident_type == policy.incident_type;
    if is_same_incident && other.scope.overlaps(&policy.scope) {
        let unstated = [&other.scope, &policy.scope].contains(&&Scope::Unstated);
        let hint = if unstated && !elsewhere.is_empty() { "; a policy without a scope holds everywhere" } else { "" };
        found.push(format!(
            "policies {:?}{elsewhere} and {:?} are both for {} and their scopes overlap; make the scopes disjoint{hint}",
            other.name, policy.name, policy.incident_type
        ));
    }
    found
}
