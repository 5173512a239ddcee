//! Replicas that share a journal in the cluster: a lease says who acts, and the journal takes nobody else's rows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use homeostat_execute::{ApiThread, ConnectSpec, Election, ElectionSpec, Fence, NoConfig};
use homeostat_journal::{Head, Journal, KubernetesStore, MayWrite, Objects, Term, Views};
use tokio::task::JoinHandle;

use super::{Mandate, Peers};
use crate::clock;
use crate::config::{Config, KubernetesConfig, LeaderElection};

/// How often objects for people are brought up to date: as often as somebody with `kubectl get` looks twice.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Objects for people that are written in one go: four a second, which no API server notices.
const VIEWS_MAX: usize = 20;

/// Objects of archived rows that are deleted in one go.
const SWEPT_MAX: usize = 50;

/// A journal in the cluster, which other processes may write.
pub(crate) struct SharedJournal {
    pub(crate) store: Arc<KubernetesStore>,
    objects: Arc<ApiThread>,
    namespace: String,
    may_write: MayWrite,
    /// Closes when this process may not write; none where nobody is elected.
    pub(crate) fence: Option<Arc<Fence>>,
    election: Option<(LeaderElection, Election)>,
}

/// How the cluster is reached.
pub(crate) fn connect_spec(kubernetes: &KubernetesConfig) -> ConnectSpec {
    ConnectSpec {
        kubeconfig: kubernetes.kubeconfig.clone(),
        context: kubernetes.context.clone(),
        timeout: kubernetes.timeout,
    }
}

impl SharedJournal {
    /// Of this config. The API server isn't asked yet, but from here on the lease is tried for.
    pub(crate) fn open(config: &Config, kubernetes: &KubernetesConfig, storage: &Path) -> Result<Self, NoConfig> {
        let mut shared = Self::to_read(kubernetes, storage)?;
        let Some(elected) = &config.leader_election else { return Ok(shared) };
        let fence = Arc::new(Fence::new(elected.times, kubernetes.timeout));
        let spec = ElectionSpec {
            namespace: shared.namespace.clone(),
            lease_name: elected.lease_name.clone(),
            identity: identity(),
            times: elected.times,
            now: clock::now,
        };
        let gate = Arc::clone(&fence);
        let may_write: MayWrite = Arc::new(move || gate.check());
        shared.store = Arc::new(store(&shared.objects, &shared.namespace, storage, Arc::clone(&may_write)));
        shared.may_write = may_write;
        shared.election = Some((elected.clone(), Election::start(&shared.objects, spec, Arc::clone(&fence))));
        shared.fence = Some(fence);
        Ok(shared)
    }

    /// The same without a lease.
    pub(crate) fn to_read(kubernetes: &KubernetesConfig, storage: &Path) -> Result<Self, NoConfig> {
        let objects = Arc::new(ApiThread::start(&connect_spec(kubernetes))?);
        let namespace = kubernetes.namespace.clone().unwrap_or_else(|| objects.namespace().to_owned());
        let may_write: MayWrite = Arc::new(|| Ok(()));
        let store = Arc::new(store(&objects, &namespace, storage, Arc::clone(&may_write)));
        Ok(Self { store, objects, namespace, may_write, fence: None, election: None })
    }

    /// The replicas that share it.
    pub(crate) fn peers(self, journal: Arc<Journal>) -> Box<dyn Peers> {
        let Self { store, objects, namespace, may_write, fence: _, election } = self;
        let views = Views::new(Arc::clone(&objects) as _, &namespace, may_write);
        let upkeep = tokio::spawn(upkeep(journal, Arc::clone(&store), views));
        Box::new(KubernetesPeers { store, election, held: None, follows: true, upkeep, _objects: objects })
    }
}

fn store(objects: &Arc<ApiThread>, namespace: &str, storage: &Path, may_write: MayWrite) -> KubernetesStore {
    KubernetesStore::new(Arc::clone(objects) as Arc<dyn Objects>, namespace, storage.join("journal.db"), may_write)
}

/// Another one in each process, so that no process takes another one's lease for its own.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let host = host.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let host = host.map(|name| name.trim().to_owned()).unwrap_or_else(|| "homeostat".to_owned());
    format!("{host}_{}_{}", std::process::id(), clock::now().as_millis())
}

/// What this process holds while it acts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    /// Nobody is elected: whoever started last acts.
    Alone,
    /// The lease.
    Lease(Term),
}

struct KubernetesPeers {
    store: Arc<KubernetesStore>,
    election: Option<(LeaderElection, Election)>,
    held: Option<Held>,
    /// Whether the journal is only read.
    follows: bool,
    upkeep: JoinHandle<()>,
    /// Answers come through it.
    _objects: Arc<ApiThread>,
}

impl KubernetesPeers {
    /// What may be held now; else why nothing.
    fn due(&self) -> Result<Held, String> {
        let Some((_, election)) = &self.election else { return Ok(Held::Alone) };
        election.fence().check()?;
        election.fence().term().map(Held::Lease).ok_or_else(|| "the lease has just run out".to_owned())
    }

    async fn take_over(&mut self, due: Held, journal: &Journal) -> Result<(), String> {
        let term = match &due {
            Held::Alone => None,
            Held::Lease(term) => Some(term),
        };
        let epoch =
            self.store.claim(term).await.map_err(|error| format!("the journal can't be taken over: {error}"))?;
        journal.lead(epoch).map_err(|error| error.to_string())?;
        (self.held, self.follows) = (Some(due), false);
        Ok(())
    }
}

#[async_trait]
impl Peers for KubernetesPeers {
    async fn mandate(&mut self, journal: &Journal) -> Mandate {
        let why = match self.due() {
            Ok(due) if self.held.as_ref() == Some(&due) && journal.is_writer() => return Mandate::Kept,
            // Without election another process has taken over for good: the two would take the journal from each other for ever.
            Ok(Held::Alone) if self.held.is_some() => {
                "another homeostat writes this journal; stop one of the two, or set leader_election".to_owned()
            }
            Ok(due) => match self.take_over(due, journal).await {
                Ok(()) => return Mandate::New,
                Err(why) => why,
            },
            Err(why) => why,
        };
        // Also what was fenced off follows from here on: it may read again.
        if !std::mem::replace(&mut self.follows, true) {
            journal.follow(&why);
        }
        if self.election.is_some() {
            self.held = None;
        }
        // Shown as it was when it can't be read.
        if let Err(error) = journal.refresh() {
            tracing::debug!(%error, "the journal can't be read");
        }
        Mandate::None { why }
    }

    async fn closed(&self) {
        match &self.election {
            Some((_, election)) => election.fence().closed().await,
            None => std::future::pending().await,
        }
    }

    fn note_head(&self, head: Head) {
        if let Some((_, election)) = &self.election {
            election.note_head(head);
        }
    }

    fn lease(&self) -> Option<&str> {
        self.election.as_ref().map(|(elected, _)| elected.lease_name.as_str())
    }

    async fn end(self: Box<Self>) {
        self.upkeep.abort();
        if let Some((_, election)) = self.election {
            election.release().await;
        }
    }
}

/// Keeps the objects that people see as the journal has it, and removes those of archived rows.
async fn upkeep(journal: Arc<Journal>, store: Arc<KubernetesStore>, mut views: Views) {
    let mut is_in_trouble = false;
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        if !journal.is_writer() {
            views.forget();
            continue;
        }
        let failed = match views.sync(&journal, VIEWS_MAX).await {
            Ok(_) => store.sweep(SWEPT_MAX).await.err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = failed.as_ref().filter(|_| !is_in_trouble) {
            tracing::warn!(
                why,
                "Incident and Remediation objects can't be brought up to date; the journal isn't affected"
            );
        }
        is_in_trouble = failed.is_some();
    }
}
