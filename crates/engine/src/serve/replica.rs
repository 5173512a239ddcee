//! One of several replicas: whether it acts, and what it does when that changes.
//!
//! A replica that follows watches and shows what it finds, and what the leader has recorded. It writes nothing, acts on nothing
//! and tells no channel.

#[cfg(feature = "kubernetes")]
pub(crate) mod kubernetes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use homeostat_journal::{Head, Journal};

use super::snapshot::Role;

/// How often the journal's head is logged: whoever keeps logs can prove later that nothing before was cut off.
const LOG_HEAD_EVERY: Duration = Duration::from_secs(3600);

/// What this replica does in the cycle that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It acts, as before.
    Leads,
    /// It acts from now on.
    TakesOver,
    /// Another one acts, or nobody.
    Follows,
}

/// Whether this replica is the one that acts.
#[cfg_attr(
    not(any(feature = "kubernetes", test)),
    expect(dead_code, reason = "without a cluster there is one replica")
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mandate {
    /// It is, as it was.
    Kept,
    /// It is from now on, and the journal is its own.
    New,
    /// It isn't, and why.
    None {
        /// Why.
        why: String,
    },
}

/// The other replicas, and what decides among them.
#[async_trait]
pub(crate) trait Peers: Send {
    /// Whether this replica acts in the cycle that begins. If so, the journal takes its rows.
    async fn mandate(&mut self, journal: &Journal) -> Mandate;

    /// Comes when this replica may not act any more.
    async fn closed(&self);

    /// The journal ends in this row now.
    fn note_head(&self, head: Head);

    /// The name of what is held, for the metric.
    fn lease(&self) -> Option<&str>;

    /// Lets another one act at once, where that can be said.
    async fn end(self: Box<Self>);
}

/// This replica.
pub(crate) struct Replica {
    journal: Arc<Journal>,
    peers: Option<Box<dyn Peers>>,
    role: Role,
    head_logged: Option<Duration>,
}

impl Replica {
    /// The only one, with a journal of its own.
    pub(crate) fn alone(journal: Arc<Journal>) -> Self {
        Self { journal, peers: None, role: Role::Acts, head_logged: None }
    }

    /// One of several. It follows until it has its turn.
    #[cfg_attr(
        not(any(feature = "kubernetes", test)),
        expect(dead_code, reason = "without a cluster there is one replica")
    )]
    pub(crate) fn among(journal: Arc<Journal>, peers: Box<dyn Peers>) -> Self {
        let role = Role::Follows { why: "it is starting".to_owned() };
        Self { journal, peers: Some(peers), role, head_logged: None }
    }

    /// What this replica does in the cycle that begins.
    pub(crate) async fn turn(&mut self) -> Turn {
        let Some(peers) = &mut self.peers else { return Turn::Leads };
        let (role, turn) = match peers.mandate(&self.journal).await {
            Mandate::Kept => (Role::Acts, Turn::Leads),
            Mandate::New => (Role::Acts, Turn::TakesOver),
            Mandate::None { why } => (Role::Follows { why }, Turn::Follows),
        };
        if turn == Turn::TakesOver {
            tracing::info!(seq = self.journal.head().seq, "this replica acts from now on");
        } else if self.role != role
            && let Role::Follows { why } = &role
        {
            match self.role {
                Role::Acts => tracing::warn!(why, "this replica doesn't act any more; it goes on watching"),
                Role::Follows { .. } => tracing::info!(why, "this replica only watches"),
            }
        }
        self.role = role;
        turn
    }

    /// What it is.
    pub(crate) fn role(&self) -> &Role {
        &self.role
    }

    /// The name of the lease, and whether it is held; nothing where there is none.
    pub(crate) fn lease(&self) -> Option<(&str, bool)> {
        self.peers.as_ref()?.lease().map(|name| (name, self.role == Role::Acts))
    }

    /// Comes when this replica may not act any more; never for the only one.
    pub(crate) async fn closed(&self) {
        match &self.peers {
            Some(peers) => peers.closed().await,
            None => std::future::pending().await,
        }
    }

    /// After a cycle: where the journal ends is noted where it can be compared later.
    pub(crate) fn note_head(&mut self, elapsed: Duration) -> Head {
        let head = self.journal.head();
        if self.role == Role::Acts {
            if let Some(peers) = &self.peers {
                peers.note_head(head.clone());
            }
            if self.head_logged.is_none_or(|at| elapsed.saturating_sub(at) >= LOG_HEAD_EVERY) {
                self.head_logged = Some(elapsed);
                tracing::info!(seq = head.seq, hash = head.hash, "the journal's head");
            }
        }
        head
    }

    /// The process ends well: nothing is written any more.
    pub(crate) async fn end(self) {
        if self.role == Role::Acts {
            let head = self.journal.head();
            tracing::info!(seq = head.seq, hash = head.hash, "the journal's head");
        }
        if let Some(peers) = self.peers {
            peers.end().await;
        }
    }
}
