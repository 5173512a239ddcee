//! Starts the watches, and publishes what they come to.

use std::sync::Arc;
use std::time::Duration;

use homeostat_ingest::ClusterState;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::api::ClusterApi;
use super::board::{Board, WatchState};
use super::follow::Follow;
use super::resources::{RESOURCES, Resource};
use super::{FactsReader, FactsSeen};
use crate::clock::Clock;
use crate::serve::metrics::Metrics;

/// What holds is published at least so often: more often than that nobody looks.
const PUBLISH_EVERY_MAX: Duration = Duration::from_secs(15);

/// The tasks that watch; dropping it ends them.
pub(crate) struct Watching(#[expect(dead_code, reason = "held for its tasks, which end with it")] JoinSet<()>);

/// Begins to watch these namespaces, all if there are none, and to publish.
pub(crate) fn start(
    api: Arc<dyn ClusterApi>,
    namespaces: &[String],
    step: Duration,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
) -> (FactsReader, Watching) {
    let watches = watches(namespaces);
    let cluster = ClusterState::default();
    let cluster = if namespaces.is_empty() { cluster.of_all_namespaces() } else { cluster };
    let board = Arc::new(Board::new(cluster, watches.len()));
    let mut tasks = JoinSet::new();
    for (watch_idx, (resource, namespace)) in watches.iter().cloned().enumerate() {
        let (api, board) = (Arc::clone(&api), Arc::clone(&board));
        tasks.spawn(Follow { api, resource, namespace, board, watch_idx }.run());
    }
    let (publisher, reader) = watch::channel(Arc::new(FactsSeen::default()));
    let publishing = Publishing { board, watches, clock, metrics, publisher };
    tasks.spawn(publishing.run(step.min(PUBLISH_EVERY_MAX)));
    (reader, Watching(tasks))
}

/// Each resource in each namespace: those of pods come first.
fn watches(namespaces: &[String]) -> Vec<(Resource, Option<String>)> {
    let of = |resource: Resource| -> Vec<(Resource, Option<String>)> {
        if namespaces.is_empty() || !resource.is_namespaced {
            return vec![(resource, None)];
        }
        namespaces.iter().map(|namespace| (resource, Some(namespace.clone()))).collect()
    };
    RESOURCES.into_iter().flat_map(of).collect()
}

struct Publishing {
    board: Arc<Board>,
    watches: Vec<(Resource, Option<String>)>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    publisher: watch::Sender<Arc<FactsSeen>>,
}

impl Publishing {
    async fn run(self, every: Duration) {
        let n_of_pods = self.watches.iter().filter(|(resource, _)| resource.kind == "Pod").count();
        let mut ticker = tokio::time::interval(every);
        ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticker.tick().await;
            self.show_watches();
            if !self.board.can_tell(n_of_pods) {
                continue;
            }
            let (board, now) = (Arc::clone(&self.board), self.clock.now());
            // A large cluster takes a moment, which no other task should wait for.
            let Ok((facts, n_objects, n_left_out)) = tokio::task::spawn_blocking(move || board.tell(now)).await else {
                continue;
            };
            self.metrics.cluster.looked(&facts, n_objects, n_left_out);
            self.publisher.send_replace(Arc::new(FactsSeen { at: Some(now), facts }));
        }
    }

    fn show_watches(&self) {
        for resource in RESOURCES {
            let states = self.board.states();
            let of = self.watches.iter().zip(&states).filter(|((other, _), _)| other.kind == resource.kind);
            let is_up = of.map(|(_, state)| *state).all(|state| state == WatchState::Following);
            self.metrics.cluster.watch_is_up(resource.plural, is_up);
        }
    }
}
