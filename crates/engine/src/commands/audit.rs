//! `homeostat audit`: whether the journal's chain of records is unbroken, through its archives; and the journal as one signed file.

mod keys;
mod place;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use homeostat_journal::{Audit, Export, Exported, Signature, audit_rows, verify_export};

use crate::clock;
use crate::outcome::print;
use keys::{PublicKey, SigningKey};
use place::JournalArgs;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
    #[command(subcommand)]
    pub(crate) command: Option<AuditCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Verifies the hash chain of a journal, archives included, or of an exported file.
    Verify(VerifyArgs),
    /// Writes the journal, archives included, into one file with a signature.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
    /// Verify this export instead of a journal.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["storage", "config"])]
    pub(crate) export: Option<PathBuf>,
    /// The Ed25519 public key (PEM) that must have signed the export.
    #[arg(long, value_name = "FILE", requires = "export")]
    pub(crate) public_key: Option<PathBuf>,
    /// A head that was noted elsewhere, such as 42:9f86d0…: it must be part of the chain.
    #[arg(long, value_name = "RECORD:HASH", value_parser = place::head)]
    pub(crate) head: Option<place::NotedHead>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The Ed25519 private key (PKCS #8 PEM) to sign with, as `openssl genpkey -algorithm ed25519` makes one.
    #[arg(long, value_name = "FILE", required_unless_present = "unsigned")]
    pub(crate) key: Option<PathBuf>,
    /// Write it without a signature.
    #[arg(long, conflicts_with = "key")]
    pub(crate) unsigned: bool,
}

pub(crate) fn run(args: &AuditArgs) -> anyhow::Result<()> {
    match &args.command {
        None => verify_journal(&args.journal, None),
        Some(AuditCommand::Verify(args)) => match &args.export {
            None => verify_journal(&args.journal, args.head.as_ref()),
            Some(file) => verify_file(file, args.public_key.as_deref(), args.head.as_ref()),
        },
        Some(AuditCommand::Export(args)) => export(args),
    }
}

fn verify_journal(args: &JournalArgs, noted: Option<&place::NotedHead>) -> anyhow::Result<()> {
    let journal = args.open()?;
    let mut is_found = noted.is_none_or(|noted| noted.seq == 0);
    let audit = audit_rows(&journal.path, &*journal.store, &mut |row| {
        if let Some(noted) = noted.filter(|noted| noted.seq == row.seq) {
            noted.is(&row.hash)?;
            is_found = true;
        }
        Ok(())
    })?;
    if let Some(noted) = noted.filter(|_| !is_found) {
        bail!("record {} isn't there: the journal ends at record {}; records were cut off", noted.seq, audit.head.seq);
    }
    print(&report(&audit));
    Ok(())
}

fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let key = args.key.as_deref().map(SigningKey::read).transpose()?;
    let journal = args.journal.open()?;
    // Beside it first: whoever finds the file finds all of it.
    let partial = args.output.with_extension("partial");
    let write = || -> anyhow::Result<(Audit, Option<Signature>)> {
        let file = File::create(&partial).with_context(|| format!("writing {}", partial.display()))?;
        let mut export = Export::begin(BufWriter::new(file), clock::now()).map_err(anyhow::Error::msg)?;
        let audit = audit_rows(&journal.path, &*journal.store, &mut |row| export.row(row))?;
        let sign = key.as_ref().map(|key| |message: &[u8]| Ok(key.sign(message)));
        let sign = sign.as_ref().map(|sign| sign as &dyn Fn(&[u8]) -> Result<Signature, String>);
        let file = export.end(&audit.head, &audit.missing, sign).map_err(anyhow::Error::msg)?;
        file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        std::fs::rename(&partial, &args.output).with_context(|| format!("writing {}", args.output.display()))?;
        Ok((audit, key.as_ref().map(|key| key.sign(b""))))
    };
    let written = write();
    if written.is_err() {
        // It may never have been made.
        let _ = std::fs::remove_file(&partial);
    }
    let (audit, signed) = written?;
    let mut text = report(&audit);
    match signed {
        Some(signature) => {
            let _ = writeln!(
                text,
                "Written to {}, signed by the Ed25519 key {}.",
                args.output.display(),
                signature.public_key
            );
        }
        None => {
            let _ = writeln!(text, "Written to {}, without a signature.", args.output.display());
        }
    }
    print(&text);
    Ok(())
}

fn verify_file(file: &Path, key: Option<&Path>, noted: Option<&place::NotedHead>) -> anyhow::Result<()> {
    let key = key.map(PublicKey::read).transpose()?;
    let open = File::open(file).with_context(|| format!("reading {}", file.display()))?;
    let check = |message: &[u8], signature: &Signature| keys::check(message, signature, key.as_ref());
    let exported = verify_export(BufReader::new(open), &check).with_context(|| file.display().to_string())?;
    if key.is_some() && exported.signature.is_none() {
        bail!("{}: it isn't signed", file.display());
    }
    if let Some(noted) = noted {
        if noted.seq != exported.head.seq {
            bail!("{}: it ends at record {}, not at record {}", file.display(), exported.head.seq, noted.seq);
        }
        noted.is(&exported.head.hash).map_err(anyhow::Error::msg)?;
    }
    print(&exported_report(&exported, key.is_some()));
    Ok(())
}

fn exported_report(exported: &Exported, is_known_key: bool) -> String {
    let Exported { exported_at, head, rows, missing, signature } = exported;
    let mut text = format!(
        "The export of {exported_at} is whole: {rows} records, unbroken. Its head is {} at record {}.\n",
        head.hash, head.seq
    );
    for (first, last) in missing {
        let _ = writeln!(text, "Records {first} to {last} had been archived elsewhere when it was made.");
    }
    match signature {
        Some(signature) if is_known_key => {
            let _ = writeln!(text, "It is signed by the Ed25519 key {}, the one given.", signature.public_key);
        }
        Some(signature) => {
            let _ = writeln!(
                text,
                "It is signed by the Ed25519 key {}. Anybody may have made that key: pass the one you know with --public-key.",
                signature.public_key
            );
        }
        None => text.push_str("It isn't signed: whoever could write the file could have made it anew.\n"),
    }
    text
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
    use clap::Parser;
    use homeostat_core::Timestamp;
    use homeostat_journal::{Head, Journal, Note};
    use homeostat_remediate::KillSwitch;

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

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: AuditArgs,
    }

    /// Runs `homeostat audit` with these arguments.
    fn audit(args: &[&str]) -> Result<(), String> {
        let line = Line::try_parse_from([&["audit"], args].concat()).map_err(|error| error.to_string())?;
        run(&line.args).map_err(|error| format!("{error:#}"))
    }

    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    const OTHER: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn an_export_proves_who_made_it_and_that_nothing_was_changed_or_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        for n in 0..6 {
            let switch = KillSwitch { engaged: n % 2 == 0, why: format!("drill {n}") };
            journal.note(&Note::KillSwitch(switch), Timestamp::from_secs(n)).unwrap();
        }
        let head = journal.head();
        for (name, key) in [("private", PRIVATE), ("public", PUBLIC), ("other", OTHER)] {
            std::fs::write(file(name), key).unwrap();
        }
        let storage = format!("--storage.path={}", folder.path().display());
        assert_eq!(audit(&[&storage]), Ok(()), "the old form");
        let noted = format!("--head={}:{}", head.seq, head.hash);
        assert_eq!(audit(&["verify", &storage, &noted]), Ok(()));
        let beyond = audit(&["verify", &storage, &format!("--head=7:{}", head.hash)]).unwrap_err();
        assert!(beyond.contains("records were cut off"), "{beyond}");
        assert!(audit(&["export", &storage, &format!("--output={}", file("out"))]).is_err(), "a key, or --unsigned");
        let (output, key) = (format!("--output={}", file("out")), format!("--key={}", file("private")));
        assert_eq!(audit(&["export", &storage, &output, &key]), Ok(()));
        let export = format!("--export={}", file("out"));
        let verify = |key: &str| audit(&["verify", &export, &format!("--public-key={}", file(key))]);
        assert_eq!(verify("public"), Ok(()));
        assert_eq!(audit(&["verify", &export, &noted]), Ok(()));
        assert!(verify("other").unwrap_err().contains("another key"));
        assert!(verify("private").unwrap_err().contains("public key"));
        let text = std::fs::read_to_string(file("out")).unwrap();
        std::fs::write(file("out"), text.replace("drill 3", "drill 9")).unwrap();
        assert!(verify("public").unwrap_err().contains("row 4"), "an edit shows, and where");
        let digits = text.replace("\"value\":\"", "\"value\":\"00");
        std::fs::write(file("out"), digits).unwrap();
        assert!(verify("public").unwrap_err().contains("signature"));
    }
}
