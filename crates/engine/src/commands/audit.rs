//! `homeostat audit`: whether the journal's chain of records is unbroken, through its archives.

use std::fmt::Write;

use clap::Args;
use homeostat_journal::{Audit, audit};

use crate::flags::StorageArgs;
use crate::outcome::print;

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
}

pub(crate) fn run(args: &AuditArgs) -> anyhow::Result<()> {
    print(&report(&audit(&args.storage.path.join("journal.db"))?));
    Ok(())
}

fn report(audit: &Audit) -> String {
    let mut text = format!("The chain of {} records is unbroken", audit.n_checked);
    if !audit.archives.is_empty() {
        let names: Vec<String> = audit.archives.iter().map(|path| path.display().to_string()).collect();
        let _ = write!(text, ", archives included ({})", names.join(", "));
    }
    let _ = writeln!(
        text,
        ". Its head is {} at record {}: keep it elsewhere to prove later that nothing was cut off.",
        audit.head.hash, audit.head.seq
    );
    for (first, last) in &audit.missing {
        let _ = writeln!(
            text,
            "Records {first} to {last} were archived, and the archive isn't here: they weren't checked. Put it beside the journal to check them."
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use homeostat_journal::Head;

    use super::*;

    #[test]
    fn the_report_names_archives_and_what_could_not_be_checked() {
        let head = Head { seq: 20, hash: "ab12".into() };
        let whole = Audit { head, n_checked: 20, archives: vec![], missing: vec![] };
        assert!(report(&whole).starts_with("The chain of 20 records is unbroken. Its head is ab12 at record 20:"));
        let archives = vec!["s/journal-2026-02.db".into()];
        let partly = Audit { n_checked: 12, archives, missing: vec![(1, 8)], ..whole };
        let told = report(&partly);
        assert!(
            told.starts_with("The chain of 12 records is unbroken, archives included (s/journal-2026-02.db)."),
            "{told}"
        );
        assert!(told.contains("Records 1 to 8 were archived, and the archive isn't here"), "{told}");
    }
}
