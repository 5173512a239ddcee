//! What every action on a cluster does there: looking, and writing in the way that the action says.

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_journal::Journaled;
use homeostat_remediate::{Args, InspectError, Inspected, ObjectRef, Plan, Progress, Step};

use super::api::ApiServer;
use super::inspect_error::unless_forbidden;
use super::removal::How;
use super::{drain, git_change, helm, inspect, patching, quarantine, removal};
use crate::effect::{ClusterAction, ClusterWrite, Effect};
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::places::Places;

#[async_trait]
impl<A: ClusterAction> Effect for A {
    async fn inspect(&self, at: &Places, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        self.inspect_for(at, subject, &Args::default(), now).await
    }

    async fn inspect_for(
        &self,
        at: &Places,
        subject: &Subject,
        args: &Args,
        now: Timestamp,
    ) -> Result<Inspected, InspectError> {
        inspect::inspect(&at.cluster()?.api, subject, &self.sights(args), now).await
    }

    async fn outcome_of_write(&self, at: &Places, plan: &Plan) -> Result<WriteOutcome, InspectError> {
        let api = &at.cluster()?.api;
        match self.write() {
            ClusterWrite::Patch { .. } | ClusterWrite::Drain { .. } | ClusterWrite::Quarantine { .. } => {
                patching::outcome_of_write(api, plan).await
            }
            ClusterWrite::Evict | ClusterWrite::Delete => removal::outcome_of_write(api, plan).await,
            ClusterWrite::HelmRollback => helm::outcome_of_write(api, plan).await,
            ClusterWrite::GitChange => git_change::outcome_of_write(plan).await,
        }
    }

    async fn dry_run(&self, at: &Places, plan: &Plan) -> Result<(), ApplyError> {
        let api = api(at)?;
        // What is written beside the workload was chosen from a list; recognising the write needs the right to look at the object itself.
        if !ObjectRef::in_step(&plan.step).is_ok_and(|object| object.is_none()) {
            unless_forbidden(self.outcome_of_write(at, plan).await)?;
        }
        match self.write() {
            ClusterWrite::Patch { holds } => patching::dry_run(self, holds, api, plan).await,
            ClusterWrite::Drain { holds } => {
                drain::dry_run(api, plan).await?;
                patching::dry_run(self, holds, api, plan).await
            }
            ClusterWrite::Quarantine { holds } => {
                quarantine::dry_run(api, plan).await?;
                patching::dry_run(self, holds, api, plan).await
            }
            ClusterWrite::Evict => removal::dry_run(api, plan, How::Evict).await,
            ClusterWrite::Delete => removal::dry_run(api, plan, How::Delete).await,
            ClusterWrite::HelmRollback => helm::dry_run(api, plan).await,
            ClusterWrite::GitChange => git_change::dry_run(plan).await,
        }
    }

    async fn apply(&self, at: &Places, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError> {
        let (api, plan) = (api(at)?, plan.plan());
        match self.write() {
            ClusterWrite::Patch { holds } | ClusterWrite::Drain { holds } | ClusterWrite::Quarantine { holds } => {
                patching::apply(self, holds, api, plan, resource_version).await
            }
            ClusterWrite::Evict => removal::apply(api, plan, How::Evict, resource_version).await,
            ClusterWrite::Delete => removal::apply(api, plan, How::Delete, resource_version).await,
            ClusterWrite::HelmRollback => helm::apply(api, plan).await,
            ClusterWrite::GitChange => git_change::apply(api, plan).await,
        }
    }

    async fn go_on(&self, at: &Places, plan: &Journaled) -> Result<(), ApplyError> {
        match self.write() {
            ClusterWrite::Drain { holds } => drain::go_on(api(at)?, holds, plan.plan()).await,
            ClusterWrite::Quarantine { .. } => quarantine::go_on(api(at)?, plan.plan()).await,
            ClusterWrite::GitChange => git_change::go_on(at.http(), plan.plan()).await,
            ClusterWrite::Patch { .. } | ClusterWrite::Evict | ClusterWrite::Delete | ClusterWrite::HelmRollback => {
                Ok(())
            }
        }
    }

    async fn undo(&self, at: &Places, plan: &Journaled, inverse: &Step) -> Result<Applied, ApplyError> {
        let (api, plan) = (api(at)?, plan.plan());
        match self.write() {
            ClusterWrite::Patch { holds } | ClusterWrite::Drain { holds } | ClusterWrite::Quarantine { holds } => {
                patching::undo(self, holds, api, plan, inverse).await
            }
            ClusterWrite::Evict | ClusterWrite::Delete => {
                Err(ApplyError::Rejected { why: "a pod that is gone can't be put back".to_owned() })
            }
            ClusterWrite::HelmRollback => helm::undo(api, plan, inverse).await,
            ClusterWrite::GitChange => Err(ApplyError::Rejected {
                why: "a proposal changes nothing that could be put back: close it".to_owned(),
            }),
        }
    }

    async fn progress(&self, at: &Places, plan: &Plan) -> Result<Progress, InspectError> {
        let api = &at.cluster()?.api;
        match self.write() {
            ClusterWrite::Patch { holds } => patching::progress(self, holds, api, plan).await,
            ClusterWrite::Evict | ClusterWrite::Delete => removal::progress(api, plan).await,
            ClusterWrite::HelmRollback => helm::progress(api, plan).await,
            ClusterWrite::GitChange => git_change::progress(api, plan).await,
            ClusterWrite::Drain { holds } => match patching::progress(self, holds, api, plan).await? {
                Progress::Complete { wanted } => drain::progress(api, plan, wanted).await,
                progress => Ok(progress),
            },
            ClusterWrite::Quarantine { holds } => match patching::progress(self, holds, api, plan).await? {
                Progress::Complete { wanted } => quarantine::progress(api, plan, wanted).await,
                progress => Ok(progress),
            },
        }
    }
}

fn api(at: &Places) -> Result<&ApiServer, ApplyError> {
    let cluster = at.cluster().map_err(|error| ApplyError::Rejected { why: error.to_string() })?;
    Ok(&cluster.api)
}
