//! When the source was silent, row by row, and what a push was worth: what a feed knows beside its values.

use std::time::Duration;

use homeostat_core::{Grid, Subject, Timestamp};

use super::Feed;
use crate::align::Unplaced;
use crate::matrix::Matrix;
use crate::quality::{DataQuality, QueryQuality, SILENT_MAX};
use crate::scrapes::{self, LONG_AGO};

/// Rows without data from which on a subject counts as silent. Three: the newest row's samples may be late.
const SILENT_ROWS: u32 = 3;

impl Feed {
    /// Takes in when the source scraped last at each row until `until`: the answer to `max(timestamp(up))`, one series without
    /// labels. Rows that aren't kept are left out; what isn't an answer to that question changes nothing.
    pub fn push_scrapes(&mut self, answer: &Matrix, until: Timestamp) {
        let Some(end) = self.end else { return };
        let oldest = self.oldest(end);
        let mut expected: Option<Timestamp> = None;
        for (at, age) in scrapes::ages(answer) {
            // Where the answer leaves rows out, no target had been scraped for longer than the server looks back.
            let mut missing = expected.unwrap_or(at).max(oldest);
            while missing < at.min(end) {
                let slot = self.slot(missing);
                self.scrape_ages[slot].get_or_insert(LONG_AGO);
                missing = missing + self.config.step;
            }
            if (oldest..=end).contains(&at) && at.align_down(self.config.step) == at {
                let slot = self.slot(at);
                self.scrape_ages[slot] = Some(age);
            }
            expected = Some(at + self.config.step);
        }
        // After the last one, too: that there is no answer to "when" says that it was long ago.
        let mut missing = expected.unwrap_or(end + self.config.step).max(oldest);
        while missing <= until.min(end) {
            let slot = self.slot(missing);
            self.scrape_ages[slot].get_or_insert(LONG_AGO);
            missing = missing + self.config.step;
        }
    }

    /// Notes that nothing was scraped from the newest known row on: the question how old the newest scrape is has no answer,
    /// and had one before.
    pub fn push_no_scrapes(&mut self) {
        let Some(end) = self.end else { return };
        let mut at = end;
        let oldest = self.oldest(end);
        let is_known = self.scrape_ages.iter().any(Option::is_some);
        while is_known && at >= oldest {
            let slot = self.slot(at);
            if self.scrape_ages[slot].is_some() {
                return;
            }
            self.scrape_ages[slot] = Some(LONG_AGO);
            at = at - self.config.step;
        }
    }

    /// Whether nothing had been scraped for too long at the newest row.
    pub fn is_scrape_gap(&self) -> bool {
        self.end.is_some_and(|end| {
            let silent_from = self.silent_from();
            self.scrape_ages[self.slot(end)].is_some_and(|age| age > silent_from)
        })
    }

    /// Rows at which the source was silent, by index into the grid: it had scraped nothing for too long, or it answered and had
    /// nothing of anybody.
    pub(super) fn silent_rows(&self, grid: &Grid, kept: &[(usize, usize)], is_known: &[bool]) -> Vec<bool> {
        let silent_from = self.silent_from();
        let mut silent = vec![false; grid.n_steps()];
        for &(step_idx, slot) in kept {
            silent[step_idx] = self.scrape_ages[slot].is_some_and(|age| age > silent_from)
                || (is_known[step_idx] && !self.is_measured(slot));
        }
        silent
    }

    fn is_measured(&self, slot: usize) -> bool {
        self.subjects.values().any(|rows| rows.values.row(slot).iter().any(|value| !value.is_nan()))
    }

    fn silent_from(&self) -> Duration {
        scrapes::silent_from(self.scrape_ages.iter().flatten().copied().collect(), self.scrape_interval)
    }

    pub(super) fn quality_of(
        &self,
        matrices: &[Option<Matrix>],
        unplaced: &[Unplaced],
        n_subjects: &[usize],
        end: Timestamp,
    ) -> DataQuality {
        let n_subjects_known = self.subjects.len();
        let queries = self.config.queries.queries().iter().enumerate().map(|(idx, query)| {
            let answer = matrices.get(idx).and_then(Option::as_ref);
            let mut quality = QueryQuality::of(&query.name, answer);
            quality.n_subjects = n_subjects[idx];
            quality.n_subjects_known = n_subjects_known;
            if let Some(unplaced) = unplaced.get(idx) {
                quality.series_unmatched = unplaced.series_unmatched;
                quality.samples_off_grid = unplaced.samples_off_grid;
            }
            if let Some(answer) = answer {
                quality.judge_of(query);
                quality.note_clusters(answer, &self.config.rule);
            }
            quality
        });
        let queries: Vec<QueryQuality> = queries.collect();
        let silent_before = end - self.config.step * SILENT_ROWS;
        let mut silent: Vec<(Subject, Timestamp)> = self
            .subjects
            .iter()
            .filter(|(_, rows)| rows.measured_at < silent_before)
            .map(|(subject, rows)| (subject.clone(), rows.measured_at))
            .collect();
        let n_subjects_without_data = silent.len();
        silent.sort_by_key(|(_, measured_at)| *measured_at);
        silent.truncate(SILENT_MAX);
        DataQuality {
            last_sample: queries.iter().filter_map(|query| query.last_sample).max(),
            queries,
            n_subjects_known,
            n_subjects_without_data,
            silent,
            had_subjects: self.had_subjects,
            is_scrape_gap: false,
        }
    }
}
