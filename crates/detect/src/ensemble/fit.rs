//! What a fit was like: how much history it had, and what it said of the part that was held out. For people; no score
//! depends on it, and no clock is in it, so that the same history gives the same report.

use homeostat_core::{RawScore, Scoring, Window};
use serde::{Deserialize, Serialize};

use crate::detector::ScoreError;
use crate::hysteresis::{Gate, Hysteresis};

/// What the fit of one subject's ensemble was like.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
/// # type Any = Box<dyn std::error::Error>;
/// # /// Latency and traffic of a service: noise, from row `from` of all time.
/// # fn window(name: &str, from: usize, n_rows: usize) -> Result<Window, Any> {
/// #     let feature = |name: &str, signal| Feature { name: name.into(), signal, direction: Direction::Both, deviation_min: 0.0 };
/// #     let schema = Schema::new(vec![feature("latency", Signal::Latency), feature("traffic", Signal::Traffic)])?;
/// #     let grid = Grid::new(Timestamp::from_secs(60 * from as i64), Duration::from_secs(60), n_rows)?;
/// #     let noise = |row: usize, column: usize| Seed::new((2 * row + column) as u64).fork(name).value() as f64 / u64::MAX as f64;
/// #     let values = ndarray::Array2::from_shape_fn((n_rows, 2), |(row, column)| 1.0 + noise(from + row, column));
/// #     Ok(Window::new(Subject::deployment("shop", name), grid, Arc::new(schema), values)?)
/// # }
/// use homeostat_detect::{Ensemble, EnsembleSpec};
///
/// let ensemble = Ensemble::train(&EnsembleSpec::default(), &window("cart", 0, 600)?, Seed::new(1))?;
/// let fit = ensemble.fit();
/// assert_eq!((fit.n_fit_rows, fit.n_held_out_rows, fit.gap_share), (400, 200, 0.0));
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// Rows that the models were fitted on, gaps included.
    pub n_fit_rows: usize,
    /// Rows that were held out, and gave tails and the alarm threshold.
    pub n_held_out_rows: usize,
    /// The share of all cells of the history that are gaps, 0 to 1.
    #[serde(rename = "hole_share")] // its name in bundles
    pub gap_share: f64,
    /// The share of held-out rows above the alarm threshold, 0 to 1.
    pub alarm_share: f64,
    /// How often the opening rule would have opened an incident on the held-out rows. The threshold is put where the
    /// false-alarm budget wants it, so many of them mean that the history isn't healthy, or too short for the budget.
    pub n_openings: usize,
    /// The fused surprisal at which a row alarms, in nats.
    #[serde(rename = "boundary_nats")] // its name in bundles
    pub threshold_nats: f64,
    /// By detector, in the order of their votes.
    pub detectors: Vec<DetectorFit>,
}

/// What one detector said of the held-out rows, on its own scale: for the autoencoder that is its error of reconstruction, for
/// the forecast its surprisal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorFit {
    /// Its name.
    pub detector: String,
    /// Held-out rows that it scored.
    pub n_scored: usize,
    /// The median of its scores.
    pub score_median: f64,
    /// The score that one row in a hundred exceeds.
    pub score_p99: f64,
}

impl DetectorFit {
    pub(super) fn of(detector: &str, scorings: &[Result<Scoring, ScoreError>]) -> Self {
        let mut scores: Vec<f64> = scorings
            .iter()
            .filter_map(|scoring| match scoring {
                Ok(Scoring::Scored(raw)) => Some(RawScore::value(*raw)),
                Ok(Scoring::NotReady(_)) | Err(_) => None,
            })
            .collect();
        scores.sort_by(f64::total_cmp);
        let at = |share: f64| {
            scores.get((scores.len().saturating_sub(1) as f64 * share).round() as usize).copied().unwrap_or(0.0)
        };
        Self { detector: detector.to_owned(), n_scored: scores.len(), score_median: at(0.5), score_p99: at(0.99) }
    }
}

impl FitReport {
    /// Of the held-out rows' fused surprisals (`None` is a row without a score) and the threshold found from them.
    pub(super) fn new(
        history: &Window,
        n_fit_rows: usize,
        fused_nats: &[Option<f64>],
        threshold_nats: f64,
        rule: &Hysteresis,
        detectors: Vec<DetectorFit>,
    ) -> Self {
        let (mut gate, mut is_open, mut n_openings, mut n_alarming) = (Gate::default(), false, 0, 0);
        for nats in fused_nats {
            let score = nats.map(|nats| nats / threshold_nats);
            n_alarming += usize::from(score.is_some_and(|score| score >= 1.0));
            gate.push(rule, score);
            if !is_open && gate.opens(rule) {
                (is_open, n_openings) = (true, n_openings + 1);
            } else if is_open && gate.is_calm(rule) {
                is_open = false;
            }
        }
        let n_cells = history.grid().n_steps() * history.schema().n_features();
        Self {
            n_fit_rows,
            n_held_out_rows: fused_nats.len(),
            gap_share: 1.0 - history.n_present() as f64 / n_cells.max(1) as f64,
            alarm_share: n_alarming as f64 / fused_nats.len().max(1) as f64,
            n_openings,
            threshold_nats,
            detectors,
        }
    }

    /// Bytes held beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        let names: usize = self.detectors.iter().map(|one| one.detector.capacity()).sum();
        names + self.detectors.capacity() * size_of::<DetectorFit>()
    }
}
