//! A change proposed in git: pushing its branch, and looking whether the cluster has what was proposed.

use homeostat_http::Http;
use homeostat_remediate::{InspectError, Plan, Progress};

use super::api::ApiServer;
use super::{inspect, rollout};
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::git::{Commit, PushError, Remote};
use crate::git_proposal::Proposal;
use crate::outside;

fn read_plan(plan: &Plan) -> Result<(Remote, Proposal<'_>), String> {
    Ok((Remote::of(&plan.step.args)?, Proposal::of(plan, &plan.step)?))
}

/// The branch on the remote tells.
pub(super) async fn outcome_of_write(plan: &Plan) -> Result<WriteOutcome, InspectError> {
    let (remote, proposal) = read_plan(plan).map_err(|why| InspectError::NotConfigured { why })?;
    match remote.has_branch(&proposal.branch).await {
        Ok(true) => Ok(WriteOutcome::AppliedByUs),
        Ok(false) => Ok(WriteOutcome::NotApplied),
        Err(why) => Err(InspectError::Unavailable { why }),
    }
}

/// Whether the branch would be accepted.
pub(super) async fn dry_run(plan: &Plan) -> Result<(), ApplyError> {
    push(plan, true).await.map(drop)
}

/// Pushes the branch, once.
pub(super) async fn apply(api: &ApiServer, plan: &Plan) -> Result<Applied, ApplyError> {
    let stale = |why: &str| ApplyError::Stale { why: why.to_owned() };
    match inspect::workload_of(api, &plan.target.subject).await {
        Ok(workload) if workload.metadata.uid.as_deref() == Some(plan.target.uid.as_str()) => push(plan, false).await,
        Ok(_) => Err(stale("another object has its name")),
        Err(InspectError::NotFound { .. }) => Err(stale("it is gone")),
        Err(error) => Err(ApplyError::NotNow { why: error.to_string() }),
    }
}

async fn push(plan: &Plan, is_dry_run: bool) -> Result<Applied, ApplyError> {
    let (remote, proposal) = read_plan(plan).map_err(|why| ApplyError::Rejected { why })?;
    let (branch, message) = (proposal.branch.as_str(), proposal.message());
    let at_s = plan.decided_at.as_millis().div_euclid(1000);
    let commit = Commit { branch, blob: proposal.blob(), message: &message, at_s, is_dry_run };
    match remote.push(&commit, |text| proposal.edit(text)).await {
        Ok(()) => Ok(outside::done()),
        Err(PushError::Stale(why)) => Err(ApplyError::Stale { why }),
        Err(PushError::Refused(why)) => Err(ApplyError::Rejected { why }),
        Err(PushError::NotNow(why)) => Err(ApplyError::NotNow { why }),
        Err(PushError::Unknown(why)) => Err(ApplyError::Unknown { why }),
    }
}

/// Opens the pull request, if one is wanted and there is none.
pub(super) async fn go_on(http: &Http, plan: &Plan) -> Result<(), ApplyError> {
    let (_, proposal) = read_plan(plan).map_err(|why| ApplyError::Rejected { why })?;
    match proposal.pull_request() {
        Some(request) => request.open(http).await.map_err(|why| ApplyError::NotNow { why }),
        None => Ok(()),
    }
}

/// Complete once the change is merged, the cluster has it, and it is rolled out.
pub(super) async fn progress(api: &ApiServer, plan: &Plan) -> Result<Progress, InspectError> {
    let (_, proposal) = read_plan(plan).map_err(|why| InspectError::NotConfigured { why })?;
    let workload = match inspect::workload_of(api, &plan.target.subject).await {
        Ok(workload) => workload,
        Err(InspectError::NotFound { .. }) => return Ok(Progress::Gone),
        Err(error) => return Err(error),
    };
    let (field, to) = proposal.change();
    if field.of(workload.object()) == Some(to) {
        return Ok(inspect::progress(&workload, plan, true));
    }
    Ok(match inspect::progress(&workload, plan, true) {
        Progress::Gone => Progress::Gone,
        // Nobody has merged it yet, or the controller hasn't applied it.
        Progress::Rolling { .. } | Progress::Complete { .. } | Progress::Failed { .. } | Progress::Overridden => {
            Progress::Rolling { updated_available: 0, wanted: rollout::replicas_wanted(&workload) }
        }
    })
}
