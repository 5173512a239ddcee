//! Keeps trying to hold the lease, on the API server's own thread.

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::Timestamp;
use homeostat_journal::{Collection, Elector, Head, LeaseTimes, ObjectRequest, Objects, RequestError, get};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::api::ApiServer;
use super::api_thread::ApiThread;
use crate::fence::Fence;

/// Which lease, and who wants it.
#[derive(Clone, Debug)]
pub struct ElectionSpec {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub lease_name: String,
    /// Who we are: another identity in each process.
    pub identity: String,
    /// How long it lasts.
    pub times: LeaseTimes,
    /// The wall clock: only stamps what is written.
    pub now: fn() -> Timestamp,
}

/// A candidate that tries on and on. Whether it leads, its fence says.
pub struct Election {
    fence: Arc<Fence>,
    head: watch::Sender<Option<Head>>,
    release: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

impl Election {
    /// Begins.
    pub fn start(thread: &ApiThread, spec: ElectionSpec, fence: Arc<Fence>) -> Self {
        let (head, heads) = watch::channel(None);
        let (release, released) = oneshot::channel();
        let elector = Elector::new(&spec.namespace, &spec.lease_name, &spec.identity, spec.times);
        let leases =
            Collection { api_version: "coordination.k8s.io/v1", resource: "leases", namespace: spec.namespace.clone() };
        let candidate =
            Candidate { api: thread.api().clone(), leases, spec, elector, fence: Arc::clone(&fence), heads };
        thread.spawn(candidate.run(released));
        Self { fence, head, release: Some(release) }
    }

    /// Whether it leads.
    pub fn fence(&self) -> &Arc<Fence> {
        &self.fence
    }

    /// The journal's head, which the next renewal notes in the Lease.
    pub fn note_head(&self, head: Head) {
        self.head.send_if_modified(|noted| {
            let is_new = noted.as_ref() != Some(&head);
            *noted = Some(head);
            is_new
        });
    }

    /// Gives the lease back, so that another replica takes over at once. Only after the last write has ended.
    pub async fn release(mut self) {
        let (done, is_done) = oneshot::channel();
        if let Some(release) = self.release.take()
            && release.send(done).is_ok()
        {
            // Without an answer it runs out by itself.
            let _ = is_done.await;
        }
    }
}

struct Candidate {
    api: ApiServer,
    leases: Collection,
    spec: ElectionSpec,
    elector: Elector,
    fence: Arc<Fence>,
    heads: watch::Receiver<Option<Head>>,
}

impl Candidate {
    async fn run(mut self, mut released: oneshot::Receiver<oneshot::Sender<()>>) {
        let mut trouble: Option<String> = None;
        loop {
            let began = Instant::now();
            // A hung server must not take all the time that there is for a second attempt.
            let attempt = tokio::time::timeout(self.spec.times.renew_deadline / 2, self.attempt()).await;
            let failed = match attempt {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the API server doesn't answer".to_owned()),
            };
            if failed != trouble {
                if let Some(why) = &failed {
                    tracing::warn!(lease = self.spec.lease_name, why, "the lease can't be read or renewed");
                }
                trouble = failed;
            }
            tokio::select! {
                () = tokio::time::sleep_until(began + self.wait()) => {}
                asked = &mut released => {
                    // Whoever asks waits for it; without anybody the process has ended in another way.
                    if let Ok(done) = asked {
                        self.give_back().await;
                        let _ = done.send(());
                    }
                    return;
                }
            }
        }
    }

    /// Followers don't come all at the same moment.
    fn wait(&self) -> Duration {
        let spread = self.spec.identity.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let is_leader = self.fence.term().is_some();
        // client-go's jitter: up to 1.2 times the period more.
        let jitter = if is_leader { 0.0 } else { f64::from(spread % 100) / 100.0 * 1.2 };
        self.spec.times.retry_period.mul_f64(1.0 + jitter)
    }

    async fn attempt(&mut self) -> Result<(), RequestError> {
        let seen = get(&self.api, &self.leases, &self.spec.lease_name).await?;
        let head = self.heads.borrow().clone();
        let sent = Instant::now();
        let Some(verb) = self.elector.attempt(seen.as_ref(), since_start(sent), (self.spec.now)(), head.as_ref())
        else {
            self.fence.led_by(self.elector.holder());
            return Ok(());
        };
        let answer = self.api.send(ObjectRequest { of: self.leases.clone(), verb }).await;
        match answer {
            Ok(lease) => {
                let term = self.elector.accepted(&lease, since_start(Instant::now()));
                self.fence.renewed(term, sent);
                Ok(())
            }
            // Another candidate was quicker; the next look says which.
            Err(error) if error.code() == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn give_back(&mut self) {
        self.fence.led_by(None);
        let give_back = async {
            let lease = get(&self.api, &self.leases, &self.spec.lease_name).await?;
            let verb = lease.as_ref().and_then(|lease| self.elector.release(lease, (self.spec.now)()));
            if let Some(verb) = verb {
                self.api.send(ObjectRequest { of: self.leases.clone(), verb }).await?;
            }
            Ok::<(), RequestError>(())
        };
        match tokio::time::timeout(self.spec.times.retry_period, give_back).await {
            Ok(Ok(())) => tracing::info!(lease = self.spec.lease_name, "the lease was given back"),
            Ok(Err(error)) => tracing::warn!(%error, "the lease couldn't be given back; it runs out by itself"),
            Err(_) => tracing::warn!("the lease couldn't be given back in time; it runs out by itself"),
        }
    }
}

/// Time since some moment of this process.
fn since_start(at: Instant) -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    at.saturating_duration_since(*START.get_or_init(|| at))
}
