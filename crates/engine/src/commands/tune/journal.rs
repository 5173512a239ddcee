//! Runs that are done, one JSON line each: a search that was stopped or killed goes on where it was.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use homeostat_evaluate::{Job, Outcomes, TrialOutcome};
use serde::{Deserialize, Serialize};

/// The first line: whose journal it is.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Digest of everything a run depends on but its trial, series and seed.
    search: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    trial: usize,
    series: usize,
    seed: u64,
    #[serde(flatten)]
    outcome: TrialOutcome,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal of this search and reads what it has, or begins one. A last line that was cut off by a kill is
    /// dropped, and its run is done again.
    pub(super) fn open(path: &Path, search: &str) -> anyhow::Result<(Self, Outcomes)> {
        let place = || format!("--journal {}", path.display());
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).with_context(place)?;
        let (known, whole_bytes) = read(&file, search).with_context(place)?;
        // Without the cut-off line, so that the next one begins on a line of its own.
        file.set_len(whole_bytes).with_context(place)?;
        if whole_bytes == 0 {
            let header = serde_json::to_string(&Header { search: search.to_owned() }).context("a header as JSON")?;
            file.write_all(format!("{header}\n").as_bytes()).with_context(place)?;
        }
        Ok((Self { path: path.to_owned(), file }, known))
    }

    /// Notes a run that is done.
    pub(super) fn note(&mut self, job: Job, outcome: &TrialOutcome) -> anyhow::Result<()> {
        let line = Line { trial: job.trial, series: job.series, seed: job.seed, outcome: outcome.clone() };
        let text = serde_json::to_string(&line).context("a run as JSON")?;
        // One write a line: a kill leaves whole lines and at most one cut off.
        let written = self.file.write_all(format!("{text}\n").as_bytes());
        written.with_context(|| format!("--journal {}: the run can't be noted", self.path.display()))
    }
}

/// The runs, and the bytes of the whole lines.
fn read(file: &File, search: &str) -> anyhow::Result<(Outcomes, u64)> {
    let mut lines = BufReader::new(file);
    let (mut known, mut whole_bytes) = (Outcomes::new(), 0);
    for number in 1.. {
        let mut line = String::new();
        let n_bytes = lines.read_line(&mut line)?;
        if !line.ends_with('\n') {
            break;
        }
        if number == 1 {
            let header: Result<Header, _> = serde_json::from_str(&line);
            let header = header.context("it isn't a journal of `homeostat tune`; name another")?;
            if header.search != search {
                bail!(
                    "it is of another search (another build, dataset, option, budget or seed); remove it or name another"
                );
            }
        } else {
            let line: Line = serde_json::from_str(&line).with_context(|| format!("line {number} can't be read"))?;
            known.insert(Job { trial: line.trial, series: line.series, seed: line.seed }, line.outcome);
        }
        whole_bytes += n_bytes as u64;
    }
    Ok((known, whole_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(vus_pr: f64) -> TrialOutcome {
        TrialOutcome { vus_pr: Some(vus_pr), events: None, days: 1.0, failure: None }
    }

    #[test]
    fn what_was_noted_is_there_again_and_a_line_cut_off_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("j");
        let job = |trial| Job { trial, series: 2, seed: 7 };
        let (mut journal, known) = Journal::open(&path, "abc").expect("a new journal");
        assert!(known.is_empty());
        journal.note(job(0), &outcome(1.0 / 3.0)).expect("noted");
        journal.note(job(1), &outcome(0.5)).expect("noted");
        drop(journal);
        let whole = std::fs::read(&path).expect("there");
        std::fs::write(&path, &whole[..whole.len() - 3]).expect("cut");
        let (mut journal, known) = Journal::open(&path, "abc").expect("the same search");
        assert_eq!(known, Outcomes::from([(job(0), outcome(1.0 / 3.0))]));
        journal.note(job(2), &outcome(0.25)).expect("noted");
        let (_, known) = Journal::open(&path, "abc").expect("the same search");
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn another_searchs_journal_and_any_other_file_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("j");
        Journal::open(&path, "abc").expect("a new journal");
        let error = Journal::open(&path, "xyz").expect_err("another search");
        assert!(format!("{error:#}").contains("another search"), "{error:#}");
        std::fs::write(&path, "mode: observe\n").expect("written");
        let error = Journal::open(&path, "abc").expect_err("a config");
        assert!(format!("{error:#}").contains("isn't a journal"), "{error:#}");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "mode: observe\n", "and it is left alone");
    }
}
