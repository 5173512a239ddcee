//! Letting Helm roll a release back, and finding out what became of it.

use homeostat_remediate::{InspectError, Known, Plan, Progress, Step};

use super::api::ApiServer;
use super::{inspect, release};
use crate::child::{Child, Ended, Program};
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::helm::{LIMIT, Rollback, Trace};
use crate::outside;

fn rollback<'a>(plan: &'a Plan, step: &'a Step) -> Result<Rollback<'a>, ApplyError> {
    Rollback::of(plan, step).map_err(|why| ApplyError::Rejected { why })
}

/// What became of a step of the plan.
async fn trace(api: &ApiServer, plan: &Plan, step: &Step) -> Result<Trace, InspectError> {
    let rollback = Rollback::of(plan, step).map_err(|why| InspectError::NotConfigured { why })?;
    let subject = &plan.target.subject;
    inspect::check_subject(subject)?;
    match release::revisions(api, subject, rollback.release).await? {
        Known::Is(release) => Ok(rollback.trace(Some(&release))),
        Known::NotApplicable => Ok(rollback.trace(None)),
        Known::NotVisible { why } => Err(InspectError::NotConfigured { why }),
    }
}

/// What became of the plan's rollback.
pub(super) async fn outcome_of_write(api: &ApiServer, plan: &Plan) -> Result<WriteOutcome, InspectError> {
    match trace(api, plan, &plan.step).await? {
        Trace::NotDone => Ok(WriteOutcome::NotApplied),
        Trace::Done | Trace::Failed => Ok(WriteOutcome::AppliedByUs),
        // Helm may still be running, also when homeostat was ended: its program isn't.
        Trace::Pending => Err(InspectError::Unavailable { why: "the Helm release is pending-rollback".to_owned() }),
        Trace::Otherwise => Ok(WriteOutcome::ChangedByOther),
    }
}

/// Whether the release and the program are there as planned.
pub(super) async fn dry_run(api: &ApiServer, plan: &Plan) -> Result<(), ApplyError> {
    program(api, &rollback(plan, &plan.step)?).check().map_err(|why| ApplyError::Rejected { why })?;
    match before(api, plan, &plan.step).await? {
        Trace::NotDone => Ok(()),
        Trace::Done | Trace::Failed | Trace::Pending | Trace::Otherwise => Err(stale()),
    }
}

/// Rolls back, once.
pub(super) async fn apply(api: &ApiServer, plan: &Plan) -> Result<Applied, ApplyError> {
    run(api, plan, &plan.step).await
}

/// Rolls back to the revision that was left, only while the release is as the plan left it.
pub(super) async fn undo(api: &ApiServer, plan: &Plan, inverse: &Step) -> Result<Applied, ApplyError> {
    run(api, plan, inverse).await
}

async fn run(api: &ApiServer, plan: &Plan, step: &Step) -> Result<Applied, ApplyError> {
    let rollback = rollback(plan, step)?;
    let program = program(api, &rollback);
    is_still_the_target(api, plan).await?;
    match before(api, plan, step).await? {
        Trace::NotDone => {}
        Trace::Done => return Ok(outside::done()),
        Trace::Failed | Trace::Otherwise => return Err(stale()),
        Trace::Pending => return Err(ApplyError::Unknown { why: "the Helm release is pending-rollback".to_owned() }),
    }
    let child = Child::start(&program).map_err(|why| ApplyError::Rejected { why })?;
    let ended = child.end(LIMIT).await;
    match ended {
        Ended { code: Some(0), .. } => Ok(outside::done()),
        Ended { code, output } => {
            let code = code.map_or_else(|| "nothing: it was killed".to_owned(), |code| code.to_string());
            let why = format!("helm rollback ended with {code}: {output}");
            // Its history says whether it had begun.
            match trace(api, plan, step).await {
                Ok(Trace::NotDone) => Err(ApplyError::Rejected { why }),
                Ok(_) | Err(_) => Err(ApplyError::Unknown { why }),
            }
        }
    }
}

/// Helm asks for no UID: whether the workload is the one that was decided on is looked at just before.
async fn is_still_the_target(api: &ApiServer, plan: &Plan) -> Result<(), ApplyError> {
    let stale = |why: &str| ApplyError::Stale { why: why.to_owned() };
    match inspect::workload_of(api, &plan.target.subject).await {
        Ok(workload) if workload.metadata.uid.as_deref() == Some(plan.target.uid.as_str()) => Ok(()),
        Ok(_) => Err(stale("another object has its name")),
        Err(InspectError::NotFound { .. }) => Err(stale("it is gone")),
        Err(error) => Err(ApplyError::NotNow { why: error.to_string() }),
    }
}

/// The trace of a step before it is done; that it can't be seen means that nothing was sent.
async fn before(api: &ApiServer, plan: &Plan, step: &Step) -> Result<Trace, ApplyError> {
    trace(api, plan, step).await.map_err(|error| ApplyError::NotNow { why: error.to_string() })
}

fn stale() -> ApplyError {
    ApplyError::Stale { why: "the Helm release isn't at the revision that was decided on any more".to_owned() }
}

/// Helm with the same cluster and credentials as homeostat, and nothing else of its environment.
fn program(api: &ApiServer, rollback: &Rollback<'_>) -> Program {
    let mut environment =
        vec![("HELM_DRIVER".to_owned(), "secret".to_owned()), ("HELM_NO_PLUGINS".to_owned(), "1".to_owned())];
    environment.extend(api.environment());
    Program { argv: rollback.argv(), environment, limit: LIMIT }
}

/// How far the rollout has come that the rollback began.
pub(super) async fn progress(api: &ApiServer, plan: &Plan) -> Result<Progress, InspectError> {
    let subject = &plan.target.subject;
    let workload = match inspect::workload_of(api, subject).await {
        Ok(workload) => workload,
        Err(InspectError::NotFound { .. }) => return Ok(Progress::Gone),
        Err(error) => return Err(error),
    };
    let (is_in_effect, failed) = match trace(api, plan, &plan.step).await? {
        Trace::Done | Trace::Pending => (true, false),
        Trace::Failed => (true, true),
        Trace::NotDone | Trace::Otherwise => (false, false),
    };
    Ok(match inspect::progress(&workload, plan, is_in_effect) {
        Progress::Rolling { .. } | Progress::Complete { .. } if failed => {
            Progress::Failed { why: "Helm says that the rollback failed".to_owned() }
        }
        progress => progress,
    })
}
