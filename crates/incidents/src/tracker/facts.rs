//! What the cluster itself says: it opens an incident where it has lasted, and gives one that is open its cause and its type.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::{ClusterFact, IncidentChange, Standing, Subject, Timestamp};

use super::open::Open;
use super::{ClusterContext, Tracker};

/// Facts kept of a subject: the first is its cause, and of more than four nobody reads the fifth.
const FACTS_MAX: usize = 4;

/// Facts that opened an incident must have been gone for so long before it is over: a controller that replaces one failing pod by
/// another needs seconds, and the kubelet up to two minutes to say of it what it said of the first.
const GONE_FOR: Duration = Duration::from_secs(120);

/// Kinds of object that belong to one workload. What is the fault of any other object may be many workloads' fault.
const OWN_KINDS: [&str; 4] = ["Pod", "Deployment", "StatefulSet", "DaemonSet"];

impl Tracker {
    /// Takes all facts that hold at `at`, in place of those before. Whoever doesn't know what holds doesn't call this.
    pub(crate) fn take_facts(
        &mut self,
        at: Timestamp,
        facts: &[ClusterFact],
        context: &ClusterContext,
    ) -> Vec<IncidentChange> {
        let mut by_subject: BTreeMap<&Subject, Vec<&ClusterFact>> = BTreeMap::new();
        for fact in facts.iter().filter(|fact| fact.is_settled(at)) {
            by_subject.entry(&fact.subject).or_default().push(fact);
        }
        for (subject, watch) in &mut self.watches {
            let known = by_subject.remove(subject).unwrap_or_default();
            watch.take_facts(at, first(known));
        }
        // Whom nobody watches gets an incident all the same.
        for (subject, known) in by_subject {
            if known.iter().any(|fact| fact.standing == Standing::Opens) {
                self.watches.entry(subject.clone()).or_default().take_facts(at, first(known));
            }
        }
        self.open_by_facts(at, context);
        let mut changes = self.end_what_facts_opened(at);
        self.refresh(at, context, &mut changes);
        changes
    }

    /// When facts about a subject were looked at last, if there are any.
    pub(crate) fn facts_at(&self, subject: &Subject) -> Option<Timestamp> {
        let watch = self.watches.get(subject).filter(|watch| !watch.facts.is_empty())?;
        watch.facts_at
    }

    fn open_by_facts(&mut self, at: Timestamp, context: &ClusterContext) {
        let opens = |fact: &ClusterFact| fact.standing == Standing::Opens;
        let without = self.watches.iter().filter(|(_, watch)| watch.open.is_none() && watch.facts.iter().any(opens));
        let subjects: Vec<Subject> = without.map(|(subject, _)| subject.clone()).collect();
        for subject in subjects {
            if self.settles(&subject, at, context) {
                continue;
            }
            if let Some(other) = self.same_cause(&subject) {
                self.affect(&other, &subject);
                continue;
            }
            let stale_after = self.times.stale_after;
            if let Some(watch) = self.watches.get_mut(&subject) {
                let affected = watch.facts.iter().flat_map(|fact| &fact.affected);
                let mut open = Open::of_facts(&subject, at, stale_after);
                affected.for_each(|affected| open.affect(affected));
                watch.open = Some(open);
                watch.notified(at, &self.hysteresis);
            }
        }
    }

    /// Another subject that has an open incident because of the same object: one quota, one webhook, one missing Secret.
    fn same_cause(&self, subject: &Subject) -> Option<Subject> {
        let cause = self.watches.get(subject)?.facts.first()?;
        if OWN_KINDS.contains(&cause.object.kind.as_str()) {
            return None;
        }
        let has_it =
            |open: &Open| open.incident().facts().any(|fact| fact.kind == cause.kind && fact.object == cause.object);
        let mut others = self.watches.iter().filter(|(other, _)| *other != subject);
        let found = others.find(|(_, watch)| {
            let shared = watch.facts.first().is_some_and(|fact| fact.kind == cause.kind && fact.object == cause.object);
            watch.open.as_ref().is_some_and(|open| shared || has_it(open))
        });
        found.map(|(other, _)| other.clone())
    }

    fn end_what_facts_opened(&mut self, at: Timestamp) -> Vec<IncidentChange> {
        let mut changes = Vec::new();
        for watch in self.watches.values_mut() {
            let is_gone = watch.facts.is_empty() && watch.facts_at.is_none_or(|held_at| at.since(held_at) >= GONE_FOR);
            if let Some(open) = watch.open.take_if(|open| open.is_by_facts() && is_gone) {
                changes.push(IncidentChange::Resolved(open.resolved(at)));
            }
        }
        changes
    }
}

fn first(mut facts: Vec<&ClusterFact>) -> Vec<ClusterFact> {
    facts.sort_by_key(|fact| fact.reading_order());
    facts.into_iter().take(FACTS_MAX).cloned().collect()
}
