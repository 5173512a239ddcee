//! What the cluster itself says, beside what its metrics say.

use homeostat_core::{ClusterFact, IncidentChange, Subject, Timestamp};

use super::Monitor;
use crate::tracker::ClusterContext;

impl Monitor {
    /// Takes all facts that hold at `now`, in place of those before, after [`observe`](Self::observe) took the rows up to then. A fact
    /// that has lasted opens an incident, also of a workload without a model, or joins the one that is open. Whoever doesn't know
    /// what holds, because the cluster can't be seen, must not call this: silence is no recovery.
    pub fn take_facts(
        &mut self,
        now: Timestamp,
        facts: &[ClusterFact],
        context: &ClusterContext,
    ) -> Vec<IncidentChange> {
        self.tracker.take_facts(now, facts, context)
    }

    /// When facts about a subject were last taken, if there were any.
    pub fn facts_at(&self, subject: &Subject) -> Option<Timestamp> {
        self.tracker.facts_at(subject)
    }
}
