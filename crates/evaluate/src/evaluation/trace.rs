//! A series small enough to draw: its rows in a few hundred columns.

use crate::dataset::LabelledSeries;
use crate::scores::Scores;

/// Columns of a trace: about one for each pixel of the plot.
pub const TRACE_COLUMNS: usize = 700;

/// One feature of the judged rows, with what was said of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The feature: the one that moves farthest in the labelled rows, in deviations of the train rows. Only the picture
    /// depends on that choice.
    pub feature: String,
    /// The rows, oldest first.
    pub columns: Vec<TraceColumn>,
}

/// Some consecutive rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceColumn {
    /// The lowest value; NaN if none is there.
    pub low: f64,
    /// The highest value.
    pub high: f64,
    /// The highest score.
    pub score: f64,
    /// Whether any of the rows is labelled.
    pub labelled: bool,
    /// Whether any of them raised an alert.
    pub alert: bool,
}

impl Trace {
    /// Draws a series' judged rows together.
    pub fn of(series: &LabelledSeries, scores: &Scores) -> Self {
        let labels = series.judged_labels();
        let feature_idx = most_moved(series);
        let values: Vec<f64> =
            series.window.values().column(feature_idx).iter().skip(series.train_rows).copied().collect();
        let per_column = labels.len().div_ceil(TRACE_COLUMNS).max(1);
        let alert = scores.alert.as_deref().unwrap_or_default();
        let columns = (0..labels.len()).step_by(per_column).map(|first| {
            let rows = first..(first + per_column).min(labels.len());
            let any = |flags: &[bool]| flags.get(rows.clone()).is_some_and(|flags| flags.contains(&true));
            let over = |values: &[f64], of: fn(f64, f64) -> f64| {
                values.get(rows.clone()).unwrap_or_default().iter().copied().fold(f64::NAN, of)
            };
            TraceColumn {
                low: over(&values, f64::min),
                high: over(&values, f64::max),
                score: over(&scores.score, f64::max),
                labelled: any(labels),
                alert: any(alert),
            }
        });
        let feature = series.window.schema().features().get(feature_idx).map(|feature| feature.name.clone());
        Self { feature: feature.unwrap_or_default(), columns: columns.collect() }
    }
}

/// The feature whose labelled rows lie farthest from its train rows; the first without a label.
fn most_moved(series: &LabelledSeries) -> usize {
    let mut best = (0, 0.0);
    for (idx, column) in series.window.values().columns().into_iter().enumerate() {
        let train = || column.iter().take(series.train_rows).filter(|value| value.is_finite());
        let n = train().count().max(1) as f64;
        let mean = train().sum::<f64>() / n;
        let deviation = (train().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        let judged = column.iter().zip(&series.labels).skip(series.train_rows);
        let labelled: Vec<f64> = judged
            .filter(|(value, label)| **label && value.is_finite())
            .map(|(value, _)| (value - mean).abs())
            .collect();
        let moved = labelled.iter().sum::<f64>() / labelled.len().max(1) as f64 / deviation.max(f64::MIN_POSITIVE);
        if moved > best.1 && moved.is_finite() {
            best = (idx, moved);
        }
    }
    best.0
}
