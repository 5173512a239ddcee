//! `homeostat audit`: whether the journal's chain of records is unbroken.

use clap::Args;

use crate::flags::StorageArgs;
use crate::outcome::print;

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
}

pub(crate) fn run(args: &AuditArgs) -> anyhow::Result<()> {
    let head = super::incident::open(&args.storage)?.verify_chain()?;
    print(&format!(
        "The chain of {} records is unbroken. Its head is {}: keep it elsewhere to prove later that nothing was cut off.\n",
        head.n_rows, head.hash
    ));
    Ok(())
}
