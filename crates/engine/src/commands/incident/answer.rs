//! `homeostat incident approve` and `reject`: a person's answer to a proposed plan.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use homeostat_core::IncidentId;
use homeostat_journal::{Journal, OpenError};
use homeostat_remediate::{Answer, AnswerError, Approval, PendingPlan};

use super::unique_id;
use crate::approvals::record;
use crate::clock;
use crate::inbox::Inbox;
use crate::outcome::print;
use crate::words::printable;

#[derive(Debug, Args)]
pub(crate) struct IncidentAnswerArgs {
    /// The incident's id or a unique prefix of it.
    id: String,
    /// The digest of the plan, or its first 16 digits or more, as `homeostat incident show` prints it.
    #[arg(long, value_name = "DIGEST")]
    digest: String,
    /// Why, in your words.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    note: String,
    /// Who says so.
    #[arg(long, env = "USER", hide_env_values = true, default_value = "unknown", value_name = "NAME")]
    by: String,
    /// The service's storage directory, as in its config. Whoever may write there may approve.
    #[arg(long = "storage.path", value_name = "DIR")]
    storage: PathBuf,
}

pub(crate) fn run(args: &IncidentAnswerArgs, answer: Answer) -> anyhow::Result<()> {
    let path = args.storage.join("journal.db");
    let known = Journal::open_to_read(&path).context("the journal")?;
    let ids: Vec<IncidentId> = known.incidents()?.into_iter().map(|incident| incident.id).collect();
    let incident = unique_id(ids, &args.id)?;
    let now = clock::now();
    let approval = Approval {
        incident: incident.clone(),
        digest: args.digest.trim().to_ascii_lowercase(),
        answer,
        by: args.by.clone(),
        note: args.note.clone(),
        at: now,
    };
    let Some(pending) = known.pending(&incident)? else { bail!(AnswerError::NoneWaits(incident)) };
    pending.check(&approval, now)?;
    let decision = known.decision(&incident)?;
    let is_below_execute =
        decision.is_some_and(|decision| decision.refusals.iter().any(|reason| reason.code == "mode"));
    if answer == Answer::Approve && is_below_execute {
        bail!("the mode, of the config or of the policy, is below `execute`: nothing is written, whoever approves it");
    }
    let how = give(&args.storage, &path, &approval)?;
    print(&said(&approval, &pending, how));
    Ok(())
}

/// To the journal itself, or, where a service has it, to its inbox.
fn give(storage: &Path, path: &Path, approval: &Approval) -> anyhow::Result<How> {
    match Journal::open(path) {
        Ok(journal) => {
            record(&journal, approval, clock::now())?;
            Ok(How::Journal)
        }
        Err(OpenError::InUse { .. }) => {
            Inbox::new(storage).put(approval).with_context(|| format!("{} can't be written", storage.display()))?;
            Ok(How::Service)
        }
        Err(error) => Err(error).context("the journal"),
    }
}

/// Who takes it.
#[derive(Clone, Copy)]
enum How {
    Journal,
    Service,
}

fn said(approval: &Approval, pending: &PendingPlan, how: How) -> String {
    let plan = pending.plan();
    let what = format!("{} of {} ({})", plan.step.action, plan.target.subject, plan.id);
    let what = printable(&what);
    match (approval.answer, how) {
        (Answer::Approve, How::Service) => {
            format!(
                "{what} is approved: the service does it within a step, unless something else speaks against it by then.\n"
            )
        }
        (Answer::Approve, How::Journal) => {
            format!("{what} is approved, and no service runs: one that starts before {} does it.\n", plan.apply_before)
        }
        (Answer::Reject, How::Service | How::Journal) => {
            format!("{what} is rejected: it isn't proposed again for this incident.\n")
        }
    }
}
