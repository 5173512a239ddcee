//! Looking at the targets of several incidents at once, each and all within a time limit: a hung API server must hold up
//! neither the other incidents nor the next cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::Subject;
use homeostat_remediate::{ActionName, InspectError, Inspected, SameCluster};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::Driver;
use crate::witness::same_cluster;

/// One look. An API server that needs four seconds a call still gets through the two rounds of calls that a look takes.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// All looks of a tick. Detection waits for the tick, so this is what a hung API server may cost a cycle; little more than
/// one look, because they run at once.
const LOOKS_WITHIN: Duration = Duration::from_secs(12);

/// Looks at once: all incidents short of a storm (ten), and no burst for an API server.
const LOOKS_AT_ONCE: usize = 16;

/// What is looked at, for which action, and with which arguments, as JSON: what they name is looked at, too.
pub(super) type Target = (ActionName, String, Subject);

/// What was seen of a target, and whether it is the one that is measured.
pub(super) struct Look {
    pub(super) seen: Result<Inspected, InspectError>,
    pub(super) same_cluster: SameCluster,
}

impl Look {
    pub(super) fn unavailable(why: String) -> Self {
        Self { seen: Err(InspectError::Unavailable { why }), same_cluster: SameCluster::Proven }
    }
}

impl Driver {
    /// Looks at all of them. Every target is in the answer.
    pub(super) async fn look(&self, targets: BTreeSet<Target>) -> BTreeMap<Target, Look> {
        let permits = Arc::new(Semaphore::new(LOOKS_AT_ONCE));
        let mut looks = JoinSet::new();
        for (action, args, subject) in targets.clone() {
            let (executor, witness) = (Arc::clone(&self.executor), self.witness.clone());
            let (clock, permits) = (Arc::clone(&self.clock), Arc::clone(&permits));
            looks.spawn(async move {
                let _permit = permits.acquire_owned().await;
                // Its age counts from before the answer: it is at least as old as the question.
                let asked_at = clock.now();
                let created = async {
                    match &witness {
                        Some(witness) => Some(witness.created_s(&subject).await),
                        None => None,
                    }
                };
                // They were written as JSON a moment ago.
                let read_args = serde_json::from_str(&args).unwrap_or_default();
                let look =
                    async { tokio::join!(executor.inspect_for(&action, &subject, &read_args, asked_at), created) };
                let look = match timeout(LOOK_WITHIN, look).await {
                    Ok((seen, created)) => {
                        let same_cluster = match (&seen, &witness, &created) {
                            (Ok(seen), Some(witness), Some(created)) => same_cluster(witness.as_ref(), seen, created),
                            (Ok(_) | Err(_), _, _) => SameCluster::Proven,
                        };
                        Look { seen, same_cluster }
                    }
                    Err(_) => Look::unavailable(format!("no answer within {LOOK_WITHIN:?}")),
                };
                ((action, args, subject), look)
            });
        }
        let mut seen = BTreeMap::new();
        let deadline = Instant::now() + LOOKS_WITHIN;
        while let Ok(Some(joined)) = timeout_at(deadline, looks.join_next()).await {
            if let Ok((target, look)) = joined {
                seen.insert(target, look);
            }
        }
        for target in targets {
            seen.entry(target).or_insert_with(|| Look::unavailable(format!("no answer within {LOOKS_WITHIN:?}")));
        }
        seen
    }
}
