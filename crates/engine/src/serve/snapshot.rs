//! What the service shows of itself: published after each cycle, read by HTTP without holding anything up.

use std::sync::Arc;

use tokio::sync::watch;

use super::incident_list::IncidentList;
use super::readiness::Sight;

/// The service at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Where it stands.
    pub(crate) phase: Phase,
    /// What this replica is among several.
    pub(crate) role: Role,
    /// Known incidents.
    pub(crate) incidents: Arc<IncidentList>,
}

/// What a replica is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// It acts, as the only one there is or as the leader.
    #[default]
    Acts,
    /// It only watches.
    Follows {
        /// Why.
        why: String,
    },
}

/// Where the service stands.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// There are no models yet; why it takes so long, if that is known.
    Starting {
        /// What it waits for.
        waits_for: Option<String>,
    },
    /// It runs its cycles.
    Watching(Sight),
}

impl Default for Phase {
    fn default() -> Self {
        Self::Starting { waits_for: None }
    }
}

/// Gives the newest snapshot.
pub(crate) type SnapshotReader = watch::Receiver<Arc<Snapshot>>;

/// Publishes snapshots; its clones publish the same. Readers get an `Arc`, so that whoever reads slowly keeps nobody waiting.
#[derive(Clone)]
pub(crate) struct Publisher {
    sender: watch::Sender<Arc<Snapshot>>,
}

impl Publisher {
    /// One that nothing was published by yet, and its reader.
    pub(crate) fn new() -> (Self, SnapshotReader) {
        let (sender, reader) = watch::channel(Arc::new(Snapshot::default()));
        (Self { sender }, reader)
    }

    /// Publishes what `change` makes of the last snapshot.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        self.sender.send_modify(|last| change(Arc::make_mut(last)));
    }
}
