//! Rolling windows: the last `n_steps` rows of every subject, kept up to date step by step.
//!
//! The service pushes what it just pulled, a replay pushes an export step by step; both go through here, so the same
//! data gives the same windows. A feed keeps only what was measured; what absence means ([`crate::OnMissing`]) is
//! decided when a window is taken out, so that a late sample replaces an assumed zero but never a measurement. So is what
//! reaches into a gap (see `gaps`): a rate is no measurement until its whole range was scraped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use homeostat_core::{Grid, GridError, Subject, Timestamp, Window};
use ndarray::Array2;

use crate::align::{Unplaced, fill_zeros, is_whole, place};
use crate::gaps::{Reach, hide};
use crate::matrix::Matrix;
use crate::quality::DataQuality;
use crate::query::QuerySet;
use crate::subject_rule::SubjectRule;

mod silence;

/// What a feed keeps.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::GridError;
/// use homeostat_ingest::{Feed, FeedConfig, Query, QuerySet, SubjectRule};
///
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let (rule, step) = (SubjectRule::default(), Duration::from_secs(60));
/// let an_hour = FeedConfig { queries: QuerySet::new(vec![cpu])?, rule, step, n_steps: 60, subjects_max: 100 };
/// assert!(Feed::new(an_hour.clone()).is_ok());
/// assert_eq!(Feed::new(FeedConfig { n_steps: 0, ..an_hour }).err(), Some(GridError::NoSteps));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FeedConfig {
    /// The queries, which are the columns.
    pub queries: QuerySet,
    /// Which subject a series is about.
    pub rule: SubjectRule,
    /// Time between two rows.
    pub step: Duration,
    /// Rows of every window, at least 1.
    pub n_steps: usize,
    /// Most subjects; those that come when it is full are refused and counted. A subject costs
    /// `n_steps × n_queries × 8` bytes, so 5000 subjects with a day of minutes of 8 features are 460 MB.
    pub subjects_max: usize,
}

/// Why there are no windows for a moment.
///
/// ```
/// # use std::time::Duration;
/// # use homeostat_core::Timestamp;
/// # use homeostat_ingest::{Feed, FeedConfig, FeedError, Query, QuerySet, SubjectRule};
/// # let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// # let (rule, step) = (SubjectRule::default(), Duration::from_secs(60));
/// # let mut feed = Feed::new(FeedConfig { queries: QuerySet::new(vec![cpu])?, rule, step, n_steps: 3, subjects_max: 1 })?;
/// let (start, end) = (Timestamp::from_secs(60), Timestamp::from_secs(120));
/// assert_eq!(feed.push(&[None], end, start), Err(FeedError::Backwards { start: end, end: start }));
/// feed.push(&[None], start, end)?;
/// assert_eq!(feed.windows_at(start).err(), Some(FeedError::Passed { at: start, end }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The moment isn't on the step, or the feed's sizes make no grid. A mistake in the caller or the config.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The feed has gone past this moment. Take windows before pushing later steps.
    #[error("windows that end at {at} can't be given any more: the feed is at {end}")]
    Passed {
        /// The moment asked for.
        at: Timestamp,
        /// The newest row.
        end: Timestamp,
    },
    /// The range ends before it starts.
    #[error("the steps to push end ({end}) before they start ({start})")]
    Backwards {
        /// First step.
        start: Timestamp,
        /// Last step.
        end: Timestamp,
    },
}

/// What a push did.
///
/// ```
/// # use std::time::Duration;
/// # use homeostat_core::Timestamp;
/// # use homeostat_ingest::{DecodeLimits, Feed, FeedConfig, Query, QuerySet, SubjectRule, decode_matrix};
/// # let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// # let (rule, step) = (SubjectRule::default(), Duration::from_secs(60));
/// # let mut feed = Feed::new(FeedConfig { queries: QuerySet::new(vec![cpu])?, rule, step, n_steps: 3, subjects_max: 1 })?;
/// let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{"namespace":"shop","workload":"cart"},"values":[[60,"0.5"]]},
///     {"metric":{"namespace":"shop","workload":"web"},"values":[[60,"0.7"]]}]}}"#;
/// let matrix = decode_matrix(answer, &DecodeLimits::default())?;
/// let (first, second) = (Timestamp::from_secs(60), Timestamp::from_secs(120));
/// feed.push(&[None], first, second)?; // no answer yet
/// let pushed = feed.push(&[Some(matrix)], first, second)?; // into a feed with room for one
/// assert_eq!((pushed.samples_late, pushed.subjects_refused), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pushed {
    /// For each query, in order, what found no place.
    pub unplaced: Vec<Unplaced>,
    /// Subjects that were not taken in because the feed is full.
    pub subjects_refused: u64,
    /// Measurements that arrived for rows the feed had passed, and filled gaps there.
    pub samples_late: u64,
    /// How good the data is, as far as the answers show it.
    pub quality: DataQuality,
}

/// How often Prometheus scrapes unless told otherwise: between its own default of a minute and the usual 15 seconds.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(30);

/// The last rows of every subject. All subjects share the same moments; a row without measurements is gaps.
///
/// ```
/// # use std::time::Duration;
/// # use homeostat_core::Timestamp;
/// # use homeostat_ingest::{DecodeLimits, Feed, FeedConfig, Query, QuerySet, SubjectRule, decode_matrix};
/// # let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// # let (rule, step) = (SubjectRule::default(), Duration::from_secs(60));
/// # let config = FeedConfig { queries: QuerySet::new(vec![cpu])?, rule, step, n_steps: 3, subjects_max: 100 };
/// let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{"namespace":"shop","workload":"cart"},"values":[[60,"0.5"]]}]}}"#;
/// let matrix = decode_matrix(answer, &DecodeLimits::default())?;
/// let mut feed = Feed::new(config)?; // three rows, a minute apart
/// let (first, second) = (Timestamp::from_secs(60), Timestamp::from_secs(120));
/// feed.push(&[Some(matrix)], first, first)?;
/// feed.push(&[None], second, second)?; // no answer
/// let windows = feed.windows_at(second)?;
/// assert!(windows[0].is_present(1, 0) && !windows[0].is_present(2, 0), "nothing is carried forward");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Feed {
    config: FeedConfig,
    /// The newest row's moment; `None` until the first push.
    end: Option<Timestamp>,
    subjects: BTreeMap<Subject, Rows>,
    /// Which queries were answered whole for which row, `(n_steps, n_queries)`, in slots as in [`Rows`].
    answered: Array2<bool>,
    /// Which were answered at all: what a partial answer leaves out isn't there the next time either.
    received: Array2<bool>,
    /// How far back each query's values reach.
    reach: Reach,
    /// How old the newest scrape was at each row, in slots; `None` where that isn't known.
    scrape_ages: Vec<Option<Duration>>,
    /// How often the source scrapes, as configured.
    scrape_interval: Duration,
    had_subjects: bool,
    /// Taken in even when it is full.
    preferred: BTreeSet<Subject>,
}

/// One subject's rows, as a ring.
#[derive(Clone, Debug)]
struct Rows {
    /// `(n_steps, n_queries)`; the row of a moment is in its slot, see [`Feed::slot`].
    values: Array2<f64>,
    /// The newest row with a measurement.
    measured_at: Timestamp,
}

impl Feed {
    /// An empty feed.
    pub fn new(config: FeedConfig) -> Result<Self, GridError> {
        Grid::new(Timestamp::from_millis(0), config.step, config.n_steps)?;
        let answered = Array2::from_elem((config.n_steps, config.queries.n_queries()), false);
        let reach = Reach::of(&config.queries);
        let scrape_ages = vec![None; config.n_steps];
        let scrape_interval = SCRAPE_INTERVAL;
        let (had_subjects, preferred) = (false, BTreeSet::new());
        let subjects = BTreeMap::new();
        let received = answered.clone();
        Ok(Self {
            config,
            end: None,
            subjects,
            answered,
            received,
            reach,
            scrape_ages,
            scrape_interval,
            had_subjects,
            preferred,
        })
    }

    /// The same feed of a source that scrapes this often, where that isn't the default of 30 seconds.
    #[must_use]
    pub fn with_scrape_interval(mut self, scrape_interval: Duration) -> Self {
        self.scrape_interval = scrape_interval;
        self
    }

    /// From now on takes these subjects in even when it is full: those that have models are watched, however many others there
    /// are.
    pub fn prefer(&mut self, subjects: impl IntoIterator<Item = Subject>) {
        self.preferred = subjects.into_iter().collect();
    }

    /// The newest row's moment; `None` until the first push.
    pub fn end(&self) -> Option<Timestamp> {
        self.end
    }

    /// Forgets all rows: the next push begins anew, wherever it is.
    pub fn clear(&mut self) {
        self.end = None;
        self.subjects.clear();
        self.answered.fill(false);
        self.received.fill(false);
        self.scrape_ages.fill(None);
    }

    /// Number of subjects with at least one measurement in the rows that are kept.
    pub fn n_subjects(&self) -> usize {
        self.subjects.len()
    }

    /// What it keeps.
    pub fn config(&self) -> &FeedConfig {
        &self.config
    }

    /// Takes in the rows from `start` to `end`, both included and on the step, out of what the queries gave.
    ///
    /// `matrices[i]` answers query `i` for at least these rows; `None` means that it got no answer. What the matrices
    /// hold outside the rows is not looked at, so a replay can push a whole export row by row. Rows between the newest
    /// row so far and `start` become gaps. Rows pushed again only fill gaps: a measurement, once seen, stays.
    pub fn push(&mut self, matrices: &[Option<Matrix>], start: Timestamp, end: Timestamp) -> Result<Pushed, FeedError> {
        if end < start {
            return Err(FeedError::Backwards { start, end });
        }
        Grid::new(start, self.config.step, 1)?;
        Grid::new(end, self.config.step, 1)?;
        let end_before = self.end;
        self.advance(end);
        let oldest = self.oldest(self.end.unwrap_or(end));
        if end < oldest {
            return Ok(Pushed::default());
        }
        let grid = self.grid_between(start.max(oldest), end)?;
        let placed = place(&self.config.queries, matrices, &self.config.rule, &grid);
        let mut pushed = Pushed { unplaced: placed.unplaced, ..Pushed::default() };
        let mut n_subjects = vec![0; self.config.queries.n_queries()];
        self.note_answers(matrices, &grid);
        for (subject, values) in placed.values {
            for (n, column) in n_subjects.iter_mut().zip(values.columns()) {
                *n += usize::from(column.iter().any(|value| !value.is_nan()));
            }
            let is_new = !self.subjects.contains_key(&subject) && !self.preferred.contains(&subject);
            if is_new && self.subjects.len() >= self.config.subjects_max {
                pushed.subjects_refused += 1;
                continue;
            }
            pushed.samples_late += self.merge(subject, &values, &grid, end_before);
        }
        self.had_subjects |= !self.subjects.is_empty();
        pushed.quality = self.quality_of(matrices, &pushed.unplaced, &n_subjects, grid.end());
        Ok(pushed)
    }

    /// The oldest row, of those a window holds, from which on query `idx` must be asked again: it wasn't answered there. `None` while nothing was pushed, and where all were answered.
    pub fn unanswered_from(&self, idx: usize) -> Option<Timestamp> {
        let end = self.end?;
        let mut at = self.oldest(end);
        while at <= end {
            let slot = self.slot(at);
            if !self.received.get([slot, idx]).copied().unwrap_or(true) {
                return Some(at);
            }
            at = at + self.config.step;
        }
        None
    }

    /// One window for each subject with a measurement in it, sorted by subject, each ending exactly at `at`. Rows after
    /// the newest one are gaps: when nothing was pushed, nothing is known.
    pub fn windows_at(&self, at: Timestamp) -> Result<Vec<Window>, FeedError> {
        Grid::new(at, self.config.step, 1)?;
        let Some(end) = self.end else { return Ok(Vec::new()) };
        if at < end {
            return Err(FeedError::Passed { at, end });
        }
        let grid = Grid::ending_at(at, self.config.step, self.config.n_steps)?;
        // Both the rows of the window that are kept, as indices, and their slots.
        let kept: Vec<(usize, usize)> = (0..grid.n_steps())
            .filter(|step_idx| grid.at(*step_idx) <= end)
            .map(|step_idx| (step_idx, self.slot(grid.at(step_idx))))
            .collect();
        let queries = &self.config.queries;
        let mut answered = Array2::from_elem(self.answered.dim(), false);
        for &(step_idx, slot) in &kept {
            answered.row_mut(step_idx).assign(&self.answered.row(slot));
        }
        let is_known: Vec<bool> = answered.rows().into_iter().map(|row| row.iter().all(|is_whole| *is_whole)).collect();
        let reached = self.reach.of_silent(&self.silent_rows(&grid, &kept, &is_known), &grid);
        let mut windows = Vec::with_capacity(self.subjects.len());
        for (subject, rows) in self.subjects.iter().filter(|(_, rows)| rows.measured_at >= grid.start()) {
            let mut values = Array2::from_elem(rows.values.dim(), f64::NAN);
            for &(step_idx, slot) in &kept {
                values.row_mut(step_idx).assign(&rows.values.row(slot));
            }
            fill_zeros(queries, &mut values, |step_idx, feature_idx| answered[[step_idx, feature_idx]]);
            // Its own gaps first: what is hidden for the source's isn't missing from the subject.
            if self.reach.has_windows() {
                self.reach.hide_after_own_gaps(&mut values, |step_idx| is_known[step_idx], &grid);
            }
            if let Some(reached) = &reached {
                hide(&mut values, reached);
            }
            // The array was made for this grid and schema, so it always is a window.
            windows.extend(Window::new(subject.clone(), grid, queries.schema().clone(), values));
        }
        Ok(windows)
    }

    /// Moves the newest row to `to`, if that is later; rows in between are gaps. Subjects without a measurement left
    /// are forgotten.
    fn advance(&mut self, to: Timestamp) {
        let Some(end) = self.end else {
            self.end = Some(to);
            return;
        };
        if to <= end {
            return;
        }
        let oldest = self.oldest(to);
        self.subjects.retain(|_, rows| rows.measured_at >= oldest);
        // After a long silence every slot is new, and clearing each once is enough.
        let mut moment = oldest.max(end + self.config.step);
        while moment <= to {
            let slot = self.slot(moment);
            self.answered.row_mut(slot).fill(false);
            self.received.row_mut(slot).fill(false);
            self.scrape_ages[slot] = None;
            for rows in self.subjects.values_mut() {
                rows.values.row_mut(slot).fill(f64::NAN);
            }
            moment = moment + self.config.step;
        }
        self.end = Some(to);
    }

    /// Writes values where there are gaps; says how many of them were for rows up to `end_before`.
    fn merge(&mut self, subject: Subject, values: &Array2<f64>, grid: &Grid, end_before: Option<Timestamp>) -> u64 {
        let slots: Vec<usize> = (0..grid.n_steps()).map(|step_idx| self.slot(grid.at(step_idx))).collect();
        let empty = || Rows { values: Array2::from_elem(self.answered.dim(), f64::NAN), measured_at: grid.start() };
        let rows = self.subjects.entry(subject).or_insert_with(empty);
        let mut n_late = 0;
        for (step_idx, given) in values.rows().into_iter().enumerate() {
            let moment = grid.at(step_idx);
            let mut kept = rows.values.row_mut(slots[step_idx]);
            for (cell, value) in kept.iter_mut().zip(given).filter(|(cell, value)| cell.is_nan() && value.is_finite()) {
                *cell = *value;
                rows.measured_at = rows.measured_at.max(moment);
                n_late += u64::from(end_before.is_some_and(|end_before| moment <= end_before));
            }
        }
        n_late
    }

    fn note_answers(&mut self, matrices: &[Option<Matrix>], grid: &Grid) {
        for feature_idx in 0..self.config.queries.n_queries() {
            let (is_whole, is_there) =
                (is_whole(matrices, feature_idx), matrices.get(feature_idx).is_some_and(Option::is_some));
            for step_idx in 0..grid.n_steps() {
                let slot = self.slot(grid.at(step_idx));
                self.answered[[slot, feature_idx]] |= is_whole;
                self.received[[slot, feature_idx]] |= is_there;
            }
        }
    }

    /// The oldest row that is kept when the newest is `end`.
    fn oldest(&self, end: Timestamp) -> Timestamp {
        let back = u32::try_from(self.config.n_steps - 1).unwrap_or(u32::MAX);
        end - self.config.step.saturating_mul(back)
    }

    /// The ring's slot for this moment, which is on the step: its number since 1970, round and round.
    fn slot(&self, at: Timestamp) -> usize {
        let step_ms = i64::try_from(self.config.step.as_millis()).unwrap_or(i64::MAX).max(1);
        let n_steps = i64::try_from(self.config.n_steps).unwrap_or(i64::MAX);
        usize::try_from((at.as_millis() / step_ms).rem_euclid(n_steps)).unwrap_or(0)
    }

    fn grid_between(&self, start: Timestamp, end: Timestamp) -> Result<Grid, GridError> {
        let n_more = end.since(start).as_millis() / self.config.step.as_millis().max(1);
        Grid::new(start, self.config.step, usize::try_from(n_more).unwrap_or(usize::MAX - 1) + 1)
    }
}

#[cfg(test)]
mod tests;
