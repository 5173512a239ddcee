//! One life of an action: a stage is set, a process acts on it and may die, another one follows, and what became of it is looked up where
//! nobody can embellish it: in the journal on the disk, and in the API server's audit log.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_core::Timestamp;
use homeostat_journal::Journal;
use homeostat_remediate::{PastAction, PlanId};
use homeostat_tests::audit::AuditEvent;
use homeostat_tests::parts::Parts;
use homeostat_tests::process::Process;
use homeostat_tests::scratch::Scratch;
use homeostat_tests::{shop_feed, wait};

use super::case::Case;
use super::child::{self, Death, JOURNAL, LIFE, Orders, TEST};
use crate::stage::Stage;

/// A process ends by itself within half an hour of its own time, which is three minutes; the rest is for a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(300);

/// What became of it.
pub(super) struct Outcome {
    /// Which life it was, for messages.
    pub(super) told: String,
    pub(super) was_killed: bool,
    pub(super) actions: Vec<Arc<PastAction>>,
    /// What was lent and isn't back.
    pub(super) lent: Vec<PlanId>,
    /// Calls for a human.
    pub(super) calls: Vec<String>,
    /// What it changed in the cluster.
    pub(super) changes: Vec<AuditEvent>,
    /// Rows in the journal.
    pub(super) n_rows: u64,
    /// What the processes said.
    pub(super) log: String,
}

/// One life to be lived.
pub(super) struct Life {
    pub(super) case: &'static Case,
    pub(super) recovers: bool,
    pub(super) stage: Stage,
    folder: Scratch,
    began: Timestamp,
}

impl Life {
    /// Sets the stage for it, in a namespace of this name.
    pub(super) async fn new(parts: &Parts, case: &'static Case, recovers: bool, namespace: &str) -> Result<Self> {
        let stage = case.stage(parts, namespace).await?;
        Ok(Self { case, recovers, stage, folder: Scratch::new(namespace)?, began: shop_feed::now() })
    }

    /// Starts a process that asks the API server as this kubeconfig says.
    pub(super) fn start(&self, death: Death, kubeconfig: &Path) -> Result<Process> {
        let orders = Orders {
            kubeconfig: kubeconfig.to_owned(),
            folder: self.folder.path().to_owned(),
            policy: self.case.policy(&self.stage.subject.namespace, !self.recovers && self.case.is_reversible),
            subject: self.stage.subject.clone(),
            began: self.began,
            recovers: self.recovers,
            death,
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", TEST, "--nocapture"]).env(LIFE, orders.to_json());
        Process::start("life", command, self.folder.path())
    }

    /// The kubeconfig that leads straight to the API server.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.stage.identity().kubeconfig.clone()
    }

    /// Waits until the process ends. Whether it was killed.
    pub(super) async fn wait(&self, process: &mut Process) -> Result<bool> {
        let ended = wait::until("the process ends", ENDS_WITHIN, || {
            let ended = process.ended();
            async move { ended }
        });
        let status: ExitStatus = ended.await?;
        let was_killed = status.signal() == Some(9);
        ensure!(status.success() || was_killed, "{status}: {}", process.log_tail());
        Ok(was_killed)
    }

    /// What became of it; its namespace goes.
    pub(super) async fn outcome(self, told: &str, was_killed: bool, log: String) -> Result<Outcome> {
        let journal = Journal::open_to_read(&self.folder.path().join(JOURNAL))?;
        let n_rows = journal.verify_chain().context("the chain of the journal")?.seq.unsigned_abs();
        // After everything that the processes' quick clock could have told.
        let later = shop_feed::now() + Duration::from_secs(3600);
        let actions = journal.history()?.actions.iter().cloned().collect();
        let lent = journal.to_restore(later + Duration::from_secs(24 * 3600))?;
        self.stage.leave().await?;
        Ok(Outcome {
            told: format!("{} {} {told}", self.case.name, if self.recovers { "recovers" } else { "doesn't help" }),
            was_killed,
            actions,
            lent: lent.iter().map(|journaled| journaled.plan().id.clone()).collect(),
            calls: child::calls(self.folder.path()),
            changes: self.stage.plane.changes_by(&self.stage.identity().user).await?,
            n_rows,
            log,
        })
    }
}

/// A process acts and may die at its journal; if it does, the next one goes on.
pub(super) async fn with_death(
    parts: &Parts,
    case: &'static Case,
    recovers: bool,
    death: Death,
    namespace: &str,
) -> Result<Outcome> {
    let life = Life::new(parts, case, recovers, namespace).await?;
    let mut process = life.start(death, &life.kubeconfig())?;
    let was_killed = life.wait(&mut process).await?;
    if was_killed {
        process = life.start(Death::Never, &life.kubeconfig())?;
        ensure!(!life.wait(&mut process).await?, "nobody kills the second process");
    }
    let log = process.log();
    life.outcome(&format!("{death:?}"), was_killed, log).await
}
