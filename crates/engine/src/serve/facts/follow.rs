//! Following one resource: list, watch from there, and list again when the watch can't go on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use homeostat_execute::{ClusterReadError, ObjectChange};
use serde_json::Value;

use super::api::{ClusterApi, Place};
use super::board::{Board, WatchState};
use super::resources::Resource;

/// The first wait after a failure and the longest. An API server that restarts is back within seconds; one that is overloaded isn't
/// helped by lists.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// What isn't allowed is tried again after so long: rights are given while we run.
const REFUSED_RETRY: Duration = Duration::from_secs(300);

/// One resource, of one namespace or of all.
pub(super) struct Follow {
    pub(super) api: Arc<dyn ClusterApi>,
    pub(super) resource: Resource,
    pub(super) namespace: Option<String>,
    pub(super) board: Arc<Board>,
    pub(super) watch_idx: usize,
}

impl Follow {
    /// Goes on until it is dropped.
    pub(super) async fn run(self) {
        let mut wait = RETRY_FIRST;
        loop {
            let Err(error) = self.list_and_watch(&mut wait).await;
            let pause = match &error {
                // What was missed is listed anew, at once.
                ClusterReadError::Expired(_) => RETRY_FIRST,
                ClusterReadError::NotAllowed(why) | ClusterReadError::NotThere(why) => {
                    if self.board.is(self.watch_idx, WatchState::Refused) != Some(WatchState::Refused) {
                        tracing::warn!(
                            resource = self.resource.plural,
                            namespace = self.namespace.as_deref().unwrap_or("all"),
                            why,
                            "these objects can't be watched, so some causes won't be known; `homeostat rbac` prints the rights, \
                             kubernetes.facts_namespaces narrows them"
                        );
                    }
                    REFUSED_RETRY
                }
                ClusterReadError::Failed(why) => {
                    if self.board.states().get(self.watch_idx) == Some(&WatchState::Following) {
                        self.board.is(self.watch_idx, WatchState::Broken);
                        tracing::info!(resource = self.resource.plural, why, "a watch broke off; listing anew");
                    }
                    let pause = wait;
                    wait = wait.saturating_mul(2).min(RETRY_MAX);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn list_and_watch(&self, wait: &mut Duration) -> Result<std::convert::Infallible, ClusterReadError> {
        let place = Place { path: self.resource.path(self.namespace.as_deref()), fields: self.resource.fields };
        let mut version = self.list(&place).await?;
        self.board.is(self.watch_idx, WatchState::Following);
        *wait = RETRY_FIRST;
        loop {
            let mut changes = self.api.changes(&place, &version).await?;
            let mut n_changes = 0_usize;
            while let Some(change) = changes.next().await {
                n_changes += 1;
                match change? {
                    ObjectChange::Changed(object) => {
                        version = version_of(&object).unwrap_or(version);
                        self.board.changed(self.resource.kind, &object);
                    }
                    ObjectChange::Gone(object) => {
                        version = version_of(&object).unwrap_or(version);
                        self.board.gone(self.resource.kind, &object);
                    }
                    ObjectChange::UpTo(newer) => version = newer,
                }
            }
            // A server that ends watches without a word must not be asked in a hurry.
            if n_changes == 0 {
                tokio::time::sleep(RETRY_FIRST).await;
            }
        }
    }

    /// Lists everything, page by page, and gives the version from which to watch.
    async fn list(&self, place: &Place) -> Result<String, ClusterReadError> {
        let (mut listed, mut next) = (BTreeSet::new(), None::<String>);
        loop {
            let page = self.api.page(place, next.as_deref()).await?;
            let text = |name: &str| page.pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let version = text("/metadata/resourceVersion");
            if version.is_empty() {
                return Err(ClusterReadError::Failed("the answer isn't a list: it has no resourceVersion".to_owned()));
            }
            self.board.take_page(self.resource.kind, &page, &mut listed);
            next = Some(text("/metadata/continue")).filter(|token| !token.is_empty());
            if next.is_none() {
                self.board.keep_only(self.resource.kind, self.namespace.as_deref().unwrap_or_default(), &listed);
                return Ok(version);
            }
        }
    }
}

fn version_of(object: &Value) -> Option<String> {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests;
