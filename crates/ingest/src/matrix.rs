//! Measurements as Prometheus gives them: series of samples, checked once. Nothing here knows of subjects or windows.

use std::collections::BTreeMap;

use homeostat_core::Timestamp;

/// The labels that tell one series from another.
pub type Labels = BTreeMap<String, String>;

/// One measurement.
///
/// ```
/// use homeostat_core::Timestamp;
/// use homeostat_ingest::{Labels, Sample, Series};
///
/// let sample = |secs, value| Sample { at: Timestamp::from_secs(secs), value };
/// let (series, _) = Series::new(Labels::new(), vec![sample(0, 0.5), sample(60, 0.6), sample(120, 0.7)]);
/// assert_eq!(series.between(Timestamp::from_secs(30), Timestamp::from_secs(60)), [sample(60, 0.6)]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// What, in the query's own unit.
    pub value: f64,
}

/// What did not make it into a matrix as it came, by reason.
///
/// ```
/// use homeostat_ingest::Dropped;
///
/// let mut dropped = Dropped { not_finite: 2, ..Dropped::default() };
/// dropped.add(Dropped { not_finite: 1, duplicate: 1, ..Dropped::default() });
/// assert_eq!((dropped.not_finite, dropped.total()), (3, 4));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Samples that are NaN or ±Inf; they become gaps.
    pub not_finite: u64,
    /// Samples at a moment the series already had; the first of them is kept.
    pub duplicate: u64,
    /// Samples that came after a later one. They are kept, in their right place; counted because a server that
    /// does this is not healthy.
    pub unordered: u64,
    /// Native histogram samples: no number, so nothing a window can hold. Ask for a quantile instead.
    pub histogram: u64,
}

impl Dropped {
    /// Everything together.
    pub fn total(self) -> u64 {
        self.not_finite + self.duplicate + self.unordered + self.histogram
    }

    /// Adds another count.
    pub fn add(&mut self, other: Dropped) {
        self.not_finite += other.not_finite;
        self.duplicate += other.duplicate;
        self.unordered += other.unordered;
        self.histogram += other.histogram;
    }
}

/// One series: samples in strictly ascending time, every value finite.
///
/// ```
/// use homeostat_core::Timestamp;
/// use homeostat_ingest::{Labels, Sample, Series};
///
/// let sample = |secs, value| Sample { at: Timestamp::from_secs(secs), value };
/// let (series, dropped) = Series::new(Labels::new(), vec![sample(60, 1.0), sample(0, 2.0), sample(120, f64::NAN)]);
/// assert_eq!(series.samples(), [sample(0, 2.0), sample(60, 1.0)]);
/// assert_eq!((dropped.unordered, dropped.not_finite), (1, 1));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    labels: Labels,
    samples: Vec<Sample>,
}

impl Series {
    /// Puts samples in order, keeps the first of each moment and drops what isn't finite; says how many of each.
    pub fn new(labels: Labels, mut samples: Vec<Sample>) -> (Self, Dropped) {
        // Nearly all data is in order and finite; then one look at it is enough.
        let mut dropped = Dropped::default();
        if is_ascending(&samples) && samples.iter().all(|sample| sample.value.is_finite()) {
            return (Self { labels, samples }, dropped);
        }
        let n_given = samples.len();
        samples.retain(|sample| sample.value.is_finite());
        dropped.not_finite = (n_given - samples.len()) as u64;
        dropped.add(put_in_order(&mut samples));
        (Self { labels, samples }, dropped)
    }

    /// What tells it from other series of the same matrix.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The samples, in strictly ascending time.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The samples from `start` to `end`, both included.
    pub fn between(&self, start: Timestamp, end: Timestamp) -> &[Sample] {
        let from = self.samples.partition_point(|sample| sample.at < start);
        let to = self.samples.partition_point(|sample| sample.at <= end);
        self.samples.get(from..to).unwrap_or_default()
    }
}

fn is_ascending(samples: &[Sample]) -> bool {
    samples.windows(2).all(|pair| pair[0].at < pair[1].at)
}

/// Sorts by time, keeping the first of equal moments. Data that is in order, which nearly all is, costs one pass.
fn put_in_order(samples: &mut Vec<Sample>) -> Dropped {
    let mut dropped = Dropped::default();
    if is_ascending(samples) {
        return dropped;
    }
    let mut latest: Option<Timestamp> = None;
    for sample in samples.iter() {
        if latest.is_some_and(|latest| sample.at < latest) {
            dropped.unordered += 1;
        }
        latest = latest.max(Some(sample.at));
    }
    // A stable sort: of equal moments the one that came first stays first, and is the one kept.
    samples.sort_by_key(|sample| sample.at);
    let n_sorted = samples.len();
    samples.dedup_by_key(|sample| sample.at);
    dropped.duplicate = (n_sorted - samples.len()) as u64;
    dropped
}

/// The answer to one range query: series sorted by their labels, no two with the same.
///
/// ```
/// use homeostat_core::Timestamp;
/// use homeostat_ingest::{Dropped, Labels, Matrix, Sample, Series};
///
/// let series = |secs| Series::new(Labels::new(), vec![Sample { at: Timestamp::from_secs(secs), value: 0.5 }]).0;
/// let matrix = Matrix::new(vec![series(60), series(0)], Dropped::default());
/// assert_eq!((matrix.series().len(), matrix.n_samples()), (1, 2), "equal labels are one series");
/// assert!(!matrix.is_partial());
/// let warned = matrix.with_notes(vec!["a store is down".into()], vec![]);
/// assert!(warned.is_partial(), "data may be missing");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    series: Vec<Series>,
    warnings: Vec<String>,
    infos: Vec<String>,
    dropped: Dropped,
    series_left_out: u64,
}

impl Matrix {
    /// Sorts the series by their labels and joins those with equal labels, in the order given (first sample wins).
    pub fn new(mut series: Vec<Series>, mut dropped: Dropped) -> Self {
        let in_order = series.windows(2).all(|pair| pair[0].labels < pair[1].labels);
        if !in_order {
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            let mut joined: Vec<Series> = Vec::with_capacity(series.len());
            for next in series {
                match joined.last_mut() {
                    Some(last) if last.labels == next.labels => {
                        last.samples.extend(next.samples);
                    }
                    Some(_) | None => joined.push(next),
                }
            }
            for one in &mut joined {
                dropped.add(put_in_order(&mut one.samples));
            }
            series = joined;
        }
        Self { series, dropped, ..Self::default() }
    }

    /// Adds what the server said beside the data. Among its warnings Prometheus also sends annotations of the expression, such
    /// as "PromQL info: metric might not be a counter"; these say nothing against the data and go to the infos.
    #[must_use]
    pub fn with_notes(mut self, warnings: Vec<String>, infos: Vec<String>) -> Self {
        let (annotations, warnings): (Vec<String>, Vec<String>) =
            warnings.into_iter().partition(|warning| is_annotation(warning));
        self.warnings.extend(warnings);
        self.infos.extend(annotations);
        self.infos.extend(infos);
        self
    }

    /// The series, sorted by labels.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// What the server warned of.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The server's milder notes: a query that may be wrong, data that is whole.
    pub fn infos(&self) -> &[String] {
        &self.infos
    }

    /// Whether data may be missing. Then the absence of a series says nothing: don't train on it, raise no
    /// traffic-drop from it, and fill no zeros.
    pub fn is_partial(&self) -> bool {
        !self.warnings.is_empty()
    }

    /// What was dropped on the way in.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Series that the answer had beyond the limit, and that are of nobody who is preferred: see [`crate::Preferred`].
    pub fn series_left_out(&self) -> u64 {
        self.series_left_out
    }

    pub(crate) fn with_left_out(mut self, series_left_out: u64) -> Self {
        self.series_left_out = series_left_out;
        self
    }

    /// Number of samples in all series.
    pub fn n_samples(&self) -> usize {
        self.series.iter().map(|series| series.samples.len()).sum()
    }

    /// Joins the pages of one query. Pages that meet share the sample on their edge; it is kept once and is no
    /// duplicate worth counting. Each note is kept once.
    pub fn join(pages: Vec<Matrix>) -> Matrix {
        let mut by_labels: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        let mut joined = Matrix::default();
        for page in pages {
            joined.dropped.add(page.dropped);
            // Mostly the same ones on each page.
            joined.series_left_out = joined.series_left_out.max(page.series_left_out);
            append_new(&mut joined.warnings, page.warnings);
            append_new(&mut joined.infos, page.infos);
            for series in page.series {
                by_labels.entry(series.labels).or_default().extend(series.samples);
            }
        }
        for (labels, mut samples) in by_labels {
            let _shared_edges = put_in_order(&mut samples);
            joined.series.push(Series { labels, samples });
        }
        joined
    }
}

/// Whether a warning is about the expression, not about data that is missing.
pub(crate) fn is_annotation(warning: &str) -> bool {
    warning.starts_with("PromQL info:") || warning.starts_with("PromQL warning:")
}

fn append_new(known: &mut Vec<String>, new: Vec<String>) {
    for note in new {
        if !known.contains(&note) {
            known.push(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(secs: i64, value: f64) -> Sample {
        Sample { at: Timestamp::from_secs(secs), value }
    }

    fn labels(pod: &str) -> Labels {
        Labels::from([("pod".to_owned(), pod.to_owned())])
    }

    #[test]
    fn of_equal_moments_the_first_wins_and_disorder_is_counted() {
        let given = vec![sample(60, 1.0), sample(0, 2.0), sample(60, 3.0), sample(120, f64::NAN)];
        let (series, dropped) = Series::new(labels("a"), given);
        assert_eq!(series.samples(), [sample(0, 2.0), sample(60, 1.0)]);
        assert_eq!(dropped, Dropped { not_finite: 1, duplicate: 1, unordered: 1, histogram: 0 });
    }

    #[test]
    fn series_with_equal_labels_are_one_series() {
        let (one, _) = Series::new(labels("a"), vec![sample(60, 1.0)]);
        let (other, _) = Series::new(labels("a"), vec![sample(0, 5.0), sample(60, 9.0)]);
        let matrix = Matrix::new(vec![one, other], Dropped::default());
        assert_eq!(matrix.series().len(), 1);
        assert_eq!(matrix.series()[0].samples(), [sample(0, 5.0), sample(60, 1.0)]);
        assert_eq!(matrix.dropped().duplicate, 1);
    }

    #[test]
    fn the_shared_edge_of_two_pages_is_kept_once_and_is_no_duplicate() {
        let page = |from: i64| {
            let (series, dropped) = Series::new(labels("a"), vec![sample(from, 1.0), sample(from + 60, 2.0)]);
            Matrix::new(vec![series], dropped).with_notes(vec!["one store is down".into()], vec![])
        };
        let joined = Matrix::join(vec![page(0), page(60)]);
        assert_eq!(joined.series()[0].samples(), [sample(0, 1.0), sample(60, 2.0), sample(120, 2.0)]);
        assert_eq!(joined.dropped(), Dropped::default());
        assert_eq!(joined.warnings(), ["one store is down"]);
        assert!(joined.is_partial());
    }

    #[test]
    fn an_annotation_of_the_expression_is_told_and_makes_nothing_partial() {
        let annotated = |warning: &str| Matrix::default().with_notes(vec![warning.to_owned()], vec![]);
        for warning in
            ["PromQL info: metric might not be a counter (1:6)", "PromQL warning: encountered a mix of histograms"]
        {
            let matrix = annotated(warning);
            assert!(!matrix.is_partial(), "{warning}");
            assert_eq!(matrix.infos(), [warning]);
        }
        assert!(annotated("error fetching data from store gateway").is_partial());
    }

    #[test]
    fn a_part_of_a_series_includes_both_ends() {
        let (series, _) = Series::new(labels("a"), (0..5).map(|step| sample(step * 60, 0.0)).collect());
        assert_eq!(series.between(Timestamp::from_secs(60), Timestamp::from_secs(180)).len(), 3);
        assert!(series.between(Timestamp::from_secs(200), Timestamp::from_secs(100)).is_empty());
    }
}
