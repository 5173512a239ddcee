//! `homeostat stop` and `resume`: the kill switch by hand.

use anyhow::{Context, bail};
use clap::Args;
use homeostat_journal::Journal;

use crate::clock;
use crate::flags::StorageArgs;
use crate::kill_switch::{Files, Note, Stopped};
use crate::outcome::print;

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// The reason, shown wherever the stop is shown.
    #[arg(long, default_value = "stopped by hand")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// Why it is safe to resume; recorded in the journal.
    #[arg(long)]
    pub(crate) reason: String,
}

pub(crate) fn stop(args: &StopArgs) -> anyhow::Result<()> {
    let files = Files::new(&args.storage.path);
    if let Stopped::Yes(earlier) = files.stopped() {
        print(&format!("Remediation is stopped already, since {}: {}\n", earlier.at, earlier.reason));
        return Ok(());
    }
    let note = Note { reason: args.reason.clone(), at: clock::now() };
    files.stop(&note).with_context(|| {
        let storage = args.storage.path.display();
        format!("stopping: {storage} can't be written; send SIGUSR1 to the homeostat process instead")
    })?;
    print("Remediation is stopped. A running service stops within 5 seconds; detection continues.\n");
    Ok(())
}

pub(crate) fn resume(args: &ResumeArgs) -> anyhow::Result<()> {
    let files = Files::new(&args.storage.path);
    let note = Note { reason: args.reason.clone(), at: clock::now() };
    let stopped = match files.stopped() {
        Stopped::Yes(stopped) => Some(stopped),
        Stopped::No => stopped_by_journal(args, &note)?,
        Stopped::Unreadable { why } => bail!("resuming: {why}; remove it by hand and run resume again"),
    };
    let Some(stopped) = stopped else {
        print("Remediation isn't stopped.\n");
        return Ok(());
    };
    let storage = args.storage.path.display();
    files.resume(&note, &stopped).with_context(|| format!("resuming: {storage} can't be written"))?;
    print(&format!(
        "Remediation was stopped: {}\nIt is resumed; a running service continues within a few seconds.\n",
        stopped.reason
    ));
    Ok(())
}

/// Where somebody removed the file `STOP` while no service ran to put it back, the journal still says that it is stopped.
fn stopped_by_journal(args: &ResumeArgs, note: &Note) -> anyhow::Result<Option<Note>> {
    let path = args.storage.path.join("journal.db");
    if !path.exists() {
        return Ok(None);
    }
    let known = Journal::open_to_read(&path)?.kill_switch()?;
    Ok(known.engaged.then_some(Note { reason: known.why, at: note.at }))
}
