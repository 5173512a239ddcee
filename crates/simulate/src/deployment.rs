//! The object of the simulated cluster's API that stands for a service: revisions, versions and the roll-out.

use std::time::Duration;

use homeostat_core::Timestamp;

use crate::pod::{Obstacle, Pod, PodState};

/// Revisions kept: Kubernetes' default `revisionHistoryLimit`.
const REVISIONS_MAX: usize = 10;

/// A roll-out that hasn't got on for so long has failed: Kubernetes' default `progressDeadlineSeconds`.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(600);

/// One template that was rolled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) number: u64,
    pub(crate) code: u64,
}

/// Who wrote the current template, if it was homeostat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) marker: String,
    pub(crate) revision: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) uid: String,
    /// Grows with every write and every change of status, as in the real API.
    pub(crate) resource_version: u64,
    /// The version of the last write to the template.
    pub(crate) template_version: u64,
    /// Oldest first; the last one is current. Never empty.
    older: Vec<Revision>,
    pub(crate) current: Revision,
    pub(crate) written: Option<Written>,
    code_latest: u64,
    /// New pods that aren't ready yet, with the slot they will take.
    pub(crate) incoming: Vec<(usize, Pod)>,
    /// When the roll-out last got on; `None` when there is none.
    progressed_at: Option<Timestamp>,
}

impl Deployment {
    pub(crate) fn new(uid: String) -> Self {
        Self {
            uid,
            resource_version: 1,
            template_version: 1,
            older: Vec::new(),
            current: Revision { number: 1, code: 1 },
            written: None,
            code_latest: 1,
            incoming: Vec::new(),
            progressed_at: None,
        }
    }

    /// The revision before the current one, if it's still there.
    pub(crate) fn previous(&self) -> Option<Revision> {
        self.older.last().copied()
    }

    /// The kept revision with this number, the current one included.
    pub(crate) fn revision(&self, number: u64) -> Option<Revision> {
        self.older.iter().copied().chain([self.current]).find(|revision| revision.number == number)
    }

    /// Rolls out code that never ran before; returns it.
    pub(crate) fn deploy(&mut self, now: Timestamp) -> u64 {
        self.code_latest += 1;
        self.roll_out(self.code_latest, now, None);
        self.code_latest
    }

    /// Rolls out the current code again, in new pods.
    pub(crate) fn restart(&mut self, now: Timestamp, marker: &str) {
        self.roll_out(self.current.code, now, Some(marker));
    }

    /// Returns to a kept revision: it gets a new number, and its old one is gone, as in Kubernetes.
    pub(crate) fn undo_to(&mut self, revision: Revision, now: Timestamp, marker: &str) {
        self.older.retain(|kept| kept.number != revision.number);
        self.roll_out(revision.code, now, Some(marker));
    }

    fn roll_out(&mut self, code: u64, now: Timestamp, marker: Option<&str>) {
        let number = self.current.number + 1;
        self.older.push(self.current);
        if self.older.len() > REVISIONS_MAX {
            self.older.remove(0);
        }
        self.current = Revision { number, code };
        // Pods of a roll-out that this one overtakes are never finished.
        self.incoming.clear();
        self.progressed_at = Some(now);
        self.resource_version += 1;
        self.template_version = self.resource_version;
        if let Some(marker) = marker {
            self.written = Some(Written { marker: marker.to_owned(), revision: number });
        }
    }

    /// Homeostat's write, while the template is still as it left it.
    pub(crate) fn written_now(&self) -> Option<&Written> {
        self.written.as_ref().filter(|written| written.revision == self.current.number)
    }

    pub(crate) fn is_rolling(&self) -> bool {
        self.progressed_at.is_some()
    }

    /// Whether the cluster has given up on the roll-out.
    pub(crate) fn has_stalled(&self, now: Timestamp) -> bool {
        self.progressed_at.is_some_and(|at| now.since(at) > PROGRESS_DEADLINE)
    }

    /// Carries the roll-out on until `now`: a quarter of the replicas at a time, each old pod staying until its
    /// successor is ready (`maxSurge` 25 %, nothing unavailable on purpose). Returns containers restarted.
    pub(crate) fn roll(
        &mut self,
        pods: &mut [Pod],
        now: Timestamp,
        startup: Duration,
        obstacle: impl Fn(usize, &Pod) -> Obstacle,
    ) -> u32 {
        let Some(mut at) = self.progressed_at else { return 0 };
        let (surge, mut n_restarts) = (pods.len().div_ceil(4), 0);
        // Every turn but the last takes in at least one new pod, so it ends after as many turns as there are pods.
        loop {
            self.fill(pods, surge, at, startup);
            let (before, mut waiting) = (self.incoming.len(), Vec::new());
            for (slot, mut pod) in std::mem::take(&mut self.incoming) {
                n_restarts += pod.advance(now, startup, obstacle(slot, &pod));
                match pod.state {
                    PodState::Ready { since } => {
                        at = at.max(since);
                        pod.took_over = pods[slot].is_ready();
                        pods[slot] = pod;
                    }
                    PodState::Waiting { .. } | PodState::Pending => waiting.push((slot, pod)),
                }
            }
            self.incoming = waiting;
            if self.incoming.len() == before {
                break;
            }
            self.progressed_at = Some(at);
            self.resource_version += 1;
        }
        if pods.iter().all(|pod| pod.revision == self.current.number) {
            self.progressed_at = None;
        }
        n_restarts
    }

    /// Starts new pods for old ones, those that serve nothing first.
    fn fill(&mut self, pods: &[Pod], surge: usize, at: Timestamp, startup: Duration) {
        let Revision { number, code } = self.current;
        let is_open = |incoming: &[(usize, Pod)], slot: usize| {
            pods[slot].revision != number && incoming.iter().all(|(taken, _)| *taken != slot)
        };
        while self.incoming.len() < surge {
            let mut open = (0..pods.len()).filter(|slot| is_open(&self.incoming, *slot)).collect::<Vec<_>>();
            open.sort_by_key(|slot| pods[*slot].is_ready());
            let Some(slot) = open.first().copied() else { break };
            self.incoming.push((slot, Pod::starting(at, startup, number, code)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTUP: Duration = Duration::from_secs(25);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(minute * 60)
    }

    fn four_pods() -> Vec<Pod> {
        (0..4).map(|_| Pod::settled(at(0), 1, 1)).collect()
    }

    #[test]
    fn a_roll_out_replaces_every_pod_and_never_takes_one_away() {
        let (mut deployment, mut pods) = (Deployment::new("u".into()), four_pods());
        deployment.deploy(at(0));
        let mut minutes = 0;
        while deployment.is_rolling() {
            minutes += 1;
            assert!(minutes < 10, "it never ends");
            deployment.roll(&mut pods, at(minutes), STARTUP, |_, _| Obstacle::default());
            assert!(pods.iter().all(Pod::is_ready));
        }
        assert!(minutes >= 2 && pods.iter().all(|pod| pod.code == 2 && pod.revision == 2));
    }

    #[test]
    fn undo_gives_the_old_code_a_new_number() {
        let mut deployment = Deployment::new("u".into());
        deployment.deploy(at(0));
        let first = deployment.revision(1).expect("kept");
        deployment.undo_to(first, at(1), "m");
        assert_eq!(deployment.current, Revision { number: 3, code: 1 });
        assert_eq!(deployment.revision(1), None);
        assert_eq!(deployment.previous(), Some(Revision { number: 2, code: 2 }));
    }

    #[test]
    fn a_roll_out_of_pods_that_die_stalls_and_keeps_the_old_ones() {
        let (mut deployment, mut pods) = (Deployment::new("u".into()), four_pods());
        deployment.deploy(at(0));
        for minute in 1..=12 {
            deployment.roll(&mut pods, at(minute), STARTUP, |_, pod| Obstacle { no_node: false, dies: pod.code == 2 });
        }
        assert!(deployment.is_rolling() && deployment.has_stalled(at(12)));
        assert!(pods.iter().all(|pod| pod.is_ready() && pod.code == 1));
    }

    #[test]
    fn revisions_kept_are_bounded() {
        let mut deployment = Deployment::new("u".into());
        for minute in 0..30 {
            deployment.deploy(at(minute));
        }
        assert_eq!(deployment.older.len(), REVISIONS_MAX);
    }
}
