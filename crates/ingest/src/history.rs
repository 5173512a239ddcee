//! The history of many subjects, in a file: what weeks of five thousand workloads take doesn't fit into memory, and training
//! looks at one subject at a time.
//!
//! Answers come page by page in time, each for all subjects; windows go out subject by subject. The file is the place where
//! one becomes the other: a cell of eight bytes for each subject, query and step.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use homeostat_core::{Grid, Schema, Subject, Timestamp, Window};
use ndarray::Array2;

use crate::align::{fill_zeros, place};
use crate::gaps::{Reach, hide};
use crate::matrix::Matrix;
use crate::query::QuerySet;
use crate::scrapes;
use crate::subject_rule::SubjectRule;

mod filling;

pub use filling::{FillError, FillLimits};

const CELL_BYTES: usize = size_of::<u64>();

/// Why a history can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file can't be made, written or read: make room, or choose another directory.
    #[error("the history can't be kept in {dir}: it takes 8 bytes for each workload, query and step", dir = dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More subjects than the configured limit.
    #[error("the answers name more than {limit} workloads; raise limits.workloads_max, or narrow the queries")]
    TooManySubjects {
        /// The limit.
        limit: usize,
    },
}

/// What a query gave over the whole history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryTotals {
    /// Most series of one page.
    pub n_series: usize,
    /// Subjects with a value.
    pub n_subjects: usize,
    /// Samples on the grid, of all subjects.
    pub n_samples: u64,
    /// The newest of them.
    pub last_sample: Option<Timestamp>,
    /// What was dropped on the way in, and what found no place.
    pub dropped: crate::matrix::Dropped,
    /// Series without the labels that name a subject, most of one page.
    pub series_unmatched: u64,
    /// Samples between the steps.
    pub samples_off_grid: u64,
    /// What the server noted, each once.
    pub notes: Vec<String>,
}

/// Rows of all subjects over one range, in a file that goes with the value.
pub struct History {
    queries: QuerySet,
    rule: SubjectRule,
    grid: Grid,
    subjects_max: usize,
    reach: Reach,
    dir: PathBuf,
    cells: File,
    subjects: Vec<Subject>,
    known: BTreeMap<Subject, usize>,
    /// `(n_steps, n_queries)`.
    answered: Array2<bool>,
    /// Steps at which any subject has a value.
    measured: Vec<bool>,
    /// How old the newest scrape was at each step.
    scrape_ages: Vec<Option<Duration>>,
    scrape_interval: Duration,
    totals: Vec<QueryTotals>,
    /// By query: which subjects it had a value of.
    has_value: Vec<Vec<bool>>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("dir", &self.dir).field("grid", &self.grid).finish_non_exhaustive()
    }
}

impl History {
    /// An empty history over `grid` of at most `subjects_max` subjects, kept in `dir`. The file has no name there: nothing is
    /// left of it when the process ends, however it ends.
    ///
    /// # Errors
    /// [`HistoryError::Io`] if the file can't be made.
    pub fn new(
        queries: QuerySet,
        rule: SubjectRule,
        grid: Grid,
        subjects_max: usize,
        dir: &Path,
    ) -> Result<Self, HistoryError> {
        let cells = nameless_file(dir).map_err(|source| HistoryError::Io { dir: dir.to_owned(), source })?;
        let n_queries = queries.n_queries();
        Ok(Self {
            reach: Reach::of(&queries),
            answered: Array2::from_elem((grid.n_steps(), n_queries), false),
            scrape_ages: vec![None; grid.n_steps()],
            measured: vec![false; grid.n_steps()],
            scrape_interval: Duration::from_secs(30),
            totals: vec![QueryTotals::default(); n_queries],
            has_value: vec![Vec::new(); n_queries],
            queries,
            rule,
            grid,
            subjects_max,
            dir: dir.to_owned(),
            cells,
            subjects: Vec::new(),
            known: BTreeMap::new(),
        })
    }

    /// The same history of a source that scrapes this often.
    #[must_use]
    pub fn with_scrape_interval(mut self, scrape_interval: Duration) -> Self {
        self.scrape_interval = scrape_interval;
        self
    }

    /// What was asked.
    pub fn queries(&self) -> &QuerySet {
        &self.queries
    }

    /// The steps.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The features that its windows have.
    pub fn schema(&self) -> &Arc<Schema> {
        self.queries.schema()
    }

    /// The subjects, in the order in which they were first seen.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// What each query gave, in order.
    pub fn totals(&self) -> &[QueryTotals] {
        &self.totals
    }

    /// Bytes of the file at most, once all its cells are written.
    pub fn file_bytes(&self) -> u64 {
        (self.subjects.len() * self.block_cells() * CELL_BYTES) as u64
    }

    fn block_cells(&self) -> usize {
        self.queries.n_queries() * self.grid.n_steps()
    }

    /// Takes in one page of the answer to query `query_idx`: the rows from `start` to `end`, both included and on the step.
    ///
    /// # Errors
    /// [`HistoryError`]; nothing of the history may be used then.
    pub fn put(
        &mut self,
        query_idx: usize,
        page: &Matrix,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<(), HistoryError> {
        let (Some(first), Some(last)) = (self.grid.index_of(start), self.grid.index_of(end)) else { return Ok(()) };
        let Some(query) = self.queries.queries().get(query_idx) else { return Ok(()) };
        let Ok(rows) = Grid::new(start, self.grid.step(), last.saturating_sub(first) + 1) else { return Ok(()) };
        let Ok(alone) = QuerySet::new(vec![query.clone()]) else { return Ok(()) };
        // No copy: placing borrows the page.
        let placed = place(&alone, &[Some(page)], &self.rule, &rows);
        self.note(query_idx, page, placed.unplaced.first());
        if !page.is_partial() {
            for step_idx in first..=last {
                self.answered[[step_idx, query_idx]] = true;
            }
        }
        let mut bytes = Vec::with_capacity(rows.n_steps() * CELL_BYTES);
        for (subject, values) in placed.values {
            let subject_idx = self.subject_idx(subject)?;
            bytes.clear();
            let column = values.column(0);
            bytes.extend(column.iter().flat_map(|value| coded(*value).to_le_bytes()));
            for (is_measured, value) in self.measured[first..].iter_mut().zip(column) {
                *is_measured |= !value.is_nan();
            }
            let n_samples = column.iter().filter(|value| !value.is_nan()).count() as u64;
            self.totals[query_idx].n_samples += n_samples;
            let seen = &mut self.has_value[query_idx];
            if seen.len() <= subject_idx {
                seen.resize(subject_idx + 1, false);
            }
            if n_samples > 0 && !std::mem::replace(&mut seen[subject_idx], true) {
                self.totals[query_idx].n_subjects += 1;
            }
            let cell = subject_idx * self.block_cells() + query_idx * self.grid.n_steps() + first;
            self.cells.write_all_at(&bytes, (cell * CELL_BYTES) as u64).map_err(|source| self.io(source))?;
        }
        Ok(())
    }

    /// Takes in when the source scraped: see [`crate::Feed::push_scrapes`].
    pub fn put_scrapes(&mut self, answer: &Matrix) {
        for (at, age) in scrapes::ages(answer) {
            if let Some(step_idx) = self.grid.index_of(at) {
                self.scrape_ages[step_idx] = Some(age);
            }
        }
    }

    fn note(&mut self, query_idx: usize, page: &Matrix, unplaced: Option<&crate::align::Unplaced>) {
        let totals = &mut self.totals[query_idx];
        totals.n_series = totals.n_series.max(page.series().len());
        totals.dropped.add(page.dropped());
        let newest = page.series().iter().filter_map(|series| series.samples().last()).map(|sample| sample.at).max();
        totals.last_sample = totals.last_sample.max(newest);
        if let Some(unplaced) = unplaced {
            totals.series_unmatched = totals.series_unmatched.max(unplaced.series_unmatched);
            totals.samples_off_grid += unplaced.samples_off_grid;
        }
        for note in page.warnings().iter().chain(page.infos()) {
            if !totals.notes.contains(note) && totals.notes.len() < NOTES_MAX {
                totals.notes.push(note.clone());
            }
        }
    }

    fn subject_idx(&mut self, subject: Subject) -> Result<usize, HistoryError> {
        if let Some(idx) = self.known.get(&subject) {
            return Ok(*idx);
        }
        if self.subjects.len() >= self.subjects_max {
            return Err(HistoryError::TooManySubjects { limit: self.subjects_max });
        }
        let idx = self.subjects.len();
        self.subjects.push(subject.clone());
        self.known.insert(subject, idx);
        // What isn't written reads as zeros, which are gaps.
        let n_bytes = ((idx + 1) * self.block_cells() * CELL_BYTES) as u64;
        self.cells.set_len(n_bytes).map_err(|source| self.io(source))?;
        Ok(idx)
    }

    fn io(&self, source: io::Error) -> HistoryError {
        HistoryError::Io { dir: self.dir.clone(), source }
    }

    /// The window of one subject, by its index among [`Self::subjects`]: as [`crate::Feed::windows_at`] would give it.
    ///
    /// # Errors
    /// [`HistoryError::Io`] if the file can't be read.
    pub fn window(&self, subject_idx: usize) -> Result<Option<Window>, HistoryError> {
        let Some(subject) = self.subjects.get(subject_idx) else { return Ok(None) };
        let (n_steps, n_queries) = (self.grid.n_steps(), self.queries.n_queries());
        let mut bytes = vec![0; self.block_cells() * CELL_BYTES];
        let from = subject_idx * self.block_cells() * CELL_BYTES;
        self.cells.read_exact_at(&mut bytes, from as u64).map_err(|source| self.io(source))?;
        let cell = |step_idx: usize, query_idx: usize| {
            let at = (query_idx * n_steps + step_idx) * CELL_BYTES;
            bytes
                .get(at..at + CELL_BYTES)
                .and_then(|cell| cell.try_into().ok())
                .map_or(f64::NAN, |cell| decoded(u64::from_le_bytes(cell)))
        };
        let mut values = Array2::from_shape_fn((n_steps, n_queries), |(step_idx, query_idx)| cell(step_idx, query_idx));
        fill_zeros(&self.queries, &mut values, |step_idx, query_idx| self.answered[[step_idx, query_idx]]);
        if self.reach.has_windows() {
            let is_known = |step_idx: usize| self.answered.row(step_idx).iter().all(|is_whole| *is_whole);
            self.reach.hide_after_own_gaps(&mut values, is_known, &self.grid);
        }
        if let Some(reached) = self.reach.of_silent(&self.silent_steps(), &self.grid) {
            hide(&mut values, &reached);
        }
        Ok(Window::new(subject.clone(), self.grid, Arc::clone(self.schema()), values).ok())
    }

    fn silent_steps(&self) -> Vec<bool> {
        let silent_from =
            scrapes::silent_from(self.scrape_ages.iter().flatten().copied().collect(), self.scrape_interval);
        // A step without an age, among others that have one: nothing was scraped for longer than the server looks back.
        let first = self.scrape_ages.iter().position(Option::is_some).unwrap_or(self.grid.n_steps());
        let of = |(step_idx, age): (usize, &Option<Duration>)| {
            let is_too_old = age.map_or(step_idx >= first, |age| age > silent_from);
            let is_known = || self.answered.row(step_idx).iter().all(|is_whole| *is_whole);
            is_too_old || (!self.measured[step_idx] && is_known())
        };
        self.scrape_ages.iter().enumerate().map(of).collect()
    }
}

/// Notes of a server that are kept: more are the same in other words.
const NOTES_MAX: usize = 10;

/// A value such that a gap is all zeros: that is what a file has where nothing was written.
fn coded(value: f64) -> u64 {
    if value.is_nan() { 0 } else { value.to_bits() ^ f64::NAN.to_bits() }
}

fn decoded(cell: u64) -> f64 {
    f64::from_bits(cell ^ f64::NAN.to_bits())
}

/// A file that no name leads to, in `dir`.
fn nameless_file(dir: &Path) -> io::Result<File> {
    // Two of one process at once have two files.
    static N_MADE: AtomicU64 = AtomicU64::new(0);
    std::fs::create_dir_all(dir)?;
    let number = N_MADE.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!(".history-{}-{number}.tmp", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
