//! Windows of many subjects through one run of the model: buffers that are filled, run and emptied, and never grow
//! beyond the largest batch asked for.

use homeostat_core::{NotReady, RawScore, Scoring};

use super::CHANNEL;
use super::model::AutoencoderMeta;
use super::window::{Coverage, clipped, put_row};
use crate::detector::ScoreError;
use crate::onnx::OnnxSession;
use crate::row_buffer::RowBuffer;

/// Windows of one run. More are run in turns: 64 windows of 600 values are 150 KiB and stay in the second-level cache
/// between the layers; twice as many gain nothing.
const RUN_WINDOWS_MAX: usize = 64;

/// Scores of a batch, with what is needed to make them. What was allocated for one batch serves the next.
#[derive(Default)]
pub(super) struct Batch {
    /// Windows that wait for the run, `(n_waiting, n_rows · n_features)`.
    input: Vec<f32>,
    output: Vec<f32>,
    /// Which row buffer of the batch each waiting window is of.
    waiting: Vec<usize>,
    /// By row buffer.
    scorings: Vec<Result<Scoring, ScoreError>>,
    /// `(n_row_buffers, n_features)`: until its window has run a row buffer's values, then their squared errors.
    errors: Vec<Option<f64>>,
    /// Whether it is being filled row by row.
    is_later: bool,
}

impl Batch {
    /// Scores the newest row of every row buffer, in their order.
    pub(super) fn score<'a>(
        &mut self,
        meta: &AutoencoderMeta,
        session: &mut dyn OnnxSession,
        row_buffers: impl IntoIterator<Item = &'a RowBuffer>,
    ) -> &[Result<Scoring, ScoreError>] {
        self.clear();
        for row_buffer in row_buffers {
            self.add(meta, row_buffer);
            if self.waiting.len() == RUN_WINDOWS_MAX {
                self.run(meta, session);
            }
        }
        self.run(meta, session);
        self.is_later = false;
        &self.scorings
    }

    /// Adds the newest row of one more row buffer to those that [`Batch::run_later`] will score. Says whether it should now.
    pub(super) fn add_later(&mut self, meta: &AutoencoderMeta, row_buffer: &RowBuffer) -> bool {
        if !std::mem::replace(&mut self.is_later, true) {
            self.clear();
        }
        self.add(meta, row_buffer);
        self.scorings.len() == RUN_WINDOWS_MAX
    }

    /// Scores the rows that were added, onto the end of `scorings`. Keeps nothing of them.
    pub(super) fn run_later(
        &mut self,
        meta: &AutoencoderMeta,
        session: &mut dyn OnnxSession,
        scorings: &mut Vec<Result<Scoring, ScoreError>>,
    ) {
        if std::mem::take(&mut self.is_later) {
            self.run(meta, session);
            scorings.append(&mut self.scorings);
            self.clear();
        }
    }

    /// Forgets the batch before.
    fn clear(&mut self) {
        self.scorings.clear();
        self.errors.clear();
        self.waiting.clear();
        self.input.clear();
    }

    /// Squared errors of the last batch, `(n_row_buffers, n_features)`.
    pub(super) fn errors(&self) -> &[Option<f64>] {
        &self.errors
    }

    /// Bytes held for the largest batch so far.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<f32>() * (self.input.capacity() + self.output.capacity())
            + size_of::<usize>() * self.waiting.capacity()
            + size_of::<Result<Scoring, ScoreError>>() * self.scorings.capacity()
            + size_of::<Option<f64>>() * self.errors.capacity()
    }

    fn add(&mut self, meta: &AutoencoderMeta, row_buffer: &RowBuffer) {
        let n_features = meta.features.len();
        let idx = self.scorings.len();
        self.errors.resize(self.errors.len() + n_features, None);
        if row_buffer.n_features() != n_features {
            let error = ScoreError::Shape { found: row_buffer.n_features(), wanted: n_features };
            self.scorings.push(Err(error));
            return;
        }
        let first = self.input.len();
        self.input.resize(first + meta.n_inputs(), 0.0);
        if let Some(why) = fill(&mut self.input[first..], meta, row_buffer) {
            self.input.truncate(first);
            self.scorings.push(Ok(Scoring::NotReady(why)));
            return;
        }
        // Replaced when the window has run.
        self.scorings.push(Ok(Scoring::NotReady(NotReady::TooFewSteps)));
        self.waiting.push(idx);
        let newest = row_buffer.row(0, CHANNEL).unwrap_or(&[]);
        let errors = &mut self.errors[idx * n_features..];
        for ((error, value), feature) in errors.iter_mut().zip(newest).zip(&meta.features) {
            *error = (feature.seen && !value.is_nan()).then(|| clipped(*value));
        }
    }

    /// Runs what waits.
    fn run(&mut self, meta: &AutoencoderMeta, session: &mut dyn OnnxSession) {
        if self.waiting.is_empty() {
            return;
        }
        let ran = session.run(&self.input, self.waiting.len(), &mut self.output);
        let n_features = meta.features.len();
        for (window_idx, idx) in self.waiting.iter().enumerate() {
            let errors = &mut self.errors[idx * n_features..(idx + 1) * n_features];
            self.scorings[*idx] = match &ran {
                Ok(()) => {
                    let end = (window_idx + 1) * meta.n_inputs();
                    square(errors, &self.output[end - n_features..end])
                }
                Err(error) => {
                    errors.fill(None);
                    Err(ScoreError::Model { why: error.to_string() })
                }
            };
        }
        self.waiting.clear();
        self.input.clear();
    }
}

/// Turns each value into its squared distance from the reconstruction; their mean is the score.
fn square(errors: &mut [Option<f64>], reconstruction: &[f32]) -> Result<Scoring, ScoreError> {
    let (mut sum, mut n_present) = (0.0, 0_usize);
    for (error, expected) in errors.iter_mut().zip(reconstruction) {
        if let Some(value) = error {
            let distance = *value - f64::from(*expected);
            *value = distance * distance;
            sum += *value;
            n_present += 1;
        }
    }
    match RawScore::new(sum / n_present.max(1) as f64) {
        Ok(raw) => Ok(Scoring::Scored(raw)),
        Err(error) => {
            errors.fill(None);
            Err(ScoreError::Model { why: error.to_string() })
        }
    }
}

/// Writes the row buffer's last rows, oldest first; why it can't say, if it can't.
fn fill(window: &mut [f32], meta: &AutoencoderMeta, row_buffer: &RowBuffer) -> Option<NotReady> {
    let mut coverage = Coverage::default();
    for (cells, back) in window.chunks_exact_mut(meta.features.len()).zip((0..meta.n_rows).rev()) {
        let Some(row) = row_buffer.row(back, CHANNEL) else {
            return Some(NotReady::TooFewSteps);
        };
        coverage.add(put_row(cells, row, &meta.features), back == 0);
    }
    if coverage.suffices() { None } else { Some(NotReady::TooManyGaps) }
}
