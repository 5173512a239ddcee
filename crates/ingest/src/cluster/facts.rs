//! From the state to the facts: every rule, asked of one view.

use homeostat_core::{ClusterFact, Timestamp};

use super::rules::RULES;
use super::state::ClusterState;
use super::view::View;

impl ClusterState {
    /// What is certainly wrong at `now`, in the order of subjects and for each in the order in which it should be read.
    pub fn facts(&self, now: Timestamp) -> Vec<ClusterFact> {
        let view = View::of(self, now);
        let mut facts: Vec<ClusterFact> = RULES.iter().flat_map(|rule| rule(&view)).collect();
        facts.sort_by(|a, b| (&a.subject, a.reading_order()).cmp(&(&b.subject, b.reading_order())));
        facts.dedup();
        facts
    }
}
