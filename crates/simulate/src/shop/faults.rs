//! Faults of a shop: scheduled, begun, ended, and what is true of them. What they do to a pod is in `ailment`.

use std::collections::BTreeSet;

use homeostat_core::{IncidentType, NamePattern, PlannedEvent, Subject, Timestamp};

use super::Shop;
use crate::ailment::ActiveFault;
use crate::fault::{Cure, Fault, FaultKind};
use crate::service::Service;
use crate::truth::{EndedBy, FaultEnd, FaultTruth};

/// Most faults scheduled in one shop, past ones included: their truths are kept for the scorecard, at some 300 B each.
pub const FAULTS_MAX: usize = 1024;

/// Why a fault can't be scheduled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// There is no such service.
    #[error("{0} isn't in the shop")]
    NoSuchService(Subject),
    /// The fault needs pods or revisions that the subject hasn't.
    #[error("{kind:?} can't befall {subject}: it has no pods of ours")]
    Impossible {
        /// The fault.
        kind: FaultKind,
        /// Where it was to be.
        subject: Subject,
    },
    /// The past can't be changed.
    #[error("the fault starts at {start}, but it's already {now} in the shop")]
    InThePast {
        /// The fault's start.
        start: Timestamp,
        /// The shop's time.
        now: Timestamp,
    },
    /// There are [`FAULTS_MAX`] faults.
    #[error("a shop takes {FAULTS_MAX} faults at most; make a new shop")]
    TooMany,
}

impl Shop {
    /// Makes a fault happen later.
    pub fn schedule(&mut self, mut fault: Fault) -> Result<(), ScheduleError> {
        let Some(place) = self.place(&fault.subject) else { return Err(ScheduleError::NoSuchService(fault.subject)) };
        if !fault.kind.can_befall(fault.subject.kind) {
            return Err(ScheduleError::Impossible { kind: fault.kind, subject: fault.subject });
        }
        if fault.start < self.now {
            return Err(ScheduleError::InThePast { start: fault.start, now: self.now });
        }
        if self.scheduled.len() + self.truths.len() >= FAULTS_MAX {
            return Err(ScheduleError::TooMany);
        }
        if self.services[place].deployment.is_none() {
            fault.cure = Cure::Time;
        }
        if fault.kind == FaultKind::Campaign {
            let mut workloads = vec![fault.subject.name.clone()];
            workloads.extend(self.affected_by(&fault).into_iter().map(|subject| subject.name));
            self.calendar.events.push(PlannedEvent {
                name: format!("campaign on {}", fault.subject.name),
                start: fault.start,
                end: fault.runs_until(),
                namespaces: vec![NamePattern::exactly(fault.subject.namespace.as_str())],
                workloads: workloads.into_iter().map(NamePattern::exactly).collect(),
            });
        }
        self.scheduled.push(fault);
        // Stable: faults of one start begin in the order they were scheduled.
        self.scheduled.sort_by_key(|fault| fault.start);
        Ok(())
    }

    pub(super) fn begin_faults(&mut self, before: Timestamp) {
        let n_due = self.scheduled.iter().take_while(|fault| fault.start < self.now).count();
        for fault in self.scheduled.drain(..n_due).collect::<Vec<_>>() {
            let Some(place) = self.place(&fault.subject) else { continue };
            let mut code_bad = None;
            if fault.kind == FaultKind::BadDeployment
                && let Some(deployment) = &mut self.services[place].deployment
            {
                code_bad = Some(deployment.deploy(fault.start.max(before)));
                let revision = deployment.current.number;
                self.note_rollout(place, fault.start.max(before), revision, false);
            }
            self.truths.push(FaultTruth {
                kind: fault.kind,
                incident_types: fault.kind.incident_types().to_vec(),
                subject: fault.subject.clone(),
                affected: self.affected_by(&fault),
                start: fault.start,
                runs_until: fault.runs_until(),
                end: None,
                harmless: fault.kind == FaultKind::Campaign,
            });
            let truth_idx = self.truths.len() - 1;
            self.services[place].faults.push(ActiveFault { fault, code_bad, truth_idx });
        }
    }

    pub(super) fn end_faults(&mut self) {
        let now = self.now;
        for service in &mut self.services {
            let code_wanted = service.deployment.as_ref().map(|deployment| deployment.current.code);
            let Service { faults, pods, deployment, .. } = service;
            let truths = &mut self.truths;
            let mut leak_ended = false;
            faults.retain(|active| {
                let by = if active.is_cured(pods, code_wanted) {
                    let written = deployment.as_ref().and_then(|deployment| deployment.written_now());
                    EndedBy::Rollout { marker: written.map(|written| written.marker.clone()) }
                } else if active.is_over(now) {
                    EndedBy::Itself
                } else {
                    return true;
                };
                leak_ended |= matches!(active.fault.kind, FaultKind::MemoryLeak | FaultKind::OomKill);
                truths[active.truth_idx].end = Some(FaultEnd { at: now, by });
                false
            });
            if leak_ended {
                // What leaked is given back: the cause was something held, and it has been let go.
                pods.iter_mut().for_each(|pod| pod.leaked = 0.0);
            }
        }
    }

    /// A leak that has led to a kill may rightly be called by either name.
    pub(super) fn note_kills(&mut self, place: usize) {
        for active in &self.services[place].faults {
            let types = &mut self.truths[active.truth_idx].incident_types;
            if active.fault.kind == FaultKind::MemoryLeak && !types.contains(&IncidentType::OomKilled) {
                types.push(IncidentType::OomKilled);
            }
        }
    }

    /// Those who suffer from a fault without being its cause.
    fn affected_by(&self, fault: &Fault) -> Vec<Subject> {
        let Some(place) = self.place(&fault.subject) else { return Vec::new() };
        let mut reached = BTreeSet::from([place]);
        let order: Vec<usize> = if fault.kind.moves_traffic() {
            self.callers_first.clone()
        } else {
            self.callers_first.iter().rev().copied().collect()
        };
        // One pass is enough: the order is that in which effects spread.
        for idx in order {
            let edges = &self.services[idx].edges;
            if fault.kind.moves_traffic() {
                if reached.contains(&idx) {
                    reached.extend(edges.iter().map(|edge| edge.to));
                }
            } else if edges.iter().any(|edge| edge.waits && edge.criticality > 0.0 && reached.contains(&edge.to)) {
                reached.insert(idx);
            }
        }
        reached.into_iter().filter(|idx| *idx != place).map(|idx| self.services[idx].subject.clone()).collect()
    }
}
