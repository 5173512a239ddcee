//! `homeostat stop` and `resume`: the kill switch by hand.

use anyhow::Context;
use clap::Args;

use crate::clock;
use crate::control::{Control, Note};
use crate::flags::StorageArgs;
use crate::outcome::print;

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// Why; everybody who looks will see it.
    #[arg(long, default_value = "stopped by hand")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// Why it is safe again; kept in the record.
    #[arg(long)]
    pub(crate) reason: String,
}

pub(crate) fn stop(args: &StopArgs) -> anyhow::Result<()> {
    let note = Note { reason: args.reason.clone(), at: clock::now() };
    Control::new(&args.storage.path)
        .stop(&note)
        .with_context(|| format!("stopping: {} can't be written", args.storage.path.display()))?;
    print("Remediation is stopped: nothing new is done from the next cycle on. Detection goes on.\n");
    Ok(())
}

pub(crate) fn resume(args: &ResumeArgs) -> anyhow::Result<()> {
    let note = Note { reason: args.reason.clone(), at: clock::now() };
    let was_engaged = Control::new(&args.storage.path)
        .resume(&note)
        .with_context(|| format!("resuming: {} can't be written", args.storage.path.display()))?;
    print(if was_engaged {
        "Remediation may go on from the next cycle on.\n"
    } else {
        "Remediation wasn't stopped.\n"
    });
    Ok(())
}
