//! `homeostat audit`: whether the journal's chain of records is unbroken.

use crate::cli::AuditArgs;
use crate::outcome::print;

pub(super) fn run(args: &AuditArgs) -> anyhow::Result<()> {
    let head = super::incident::open(&args.storage)?.verify_chain()?;
    print(&format!(
        "The chain of {} records is unbroken. Its head is {}: keep it elsewhere to prove later that nothing was cut off.\n",
        head.n_rows, head.hash
    ));
    Ok(())
}
