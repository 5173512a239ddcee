//! How good the data of a pull is, as facts: for each query what it gave, and for all of them whether the source can be
//! believed. A fault of the source is one fact about the source, never one about each workload.

use std::fmt;

use homeostat_core::{Subject, Timestamp};

use crate::fetch_error::FetchError;
use crate::matrix::{Dropped, Matrix};
use crate::query::{OnMissing, Query};
use crate::subject_rule::SubjectRule;

/// Share of the known subjects without data from which on the source is at fault and not they. Half: a rack, a zone or a
/// namespace that dies takes fewer of them with it; a dead exporter or Prometheus takes more.
pub const LOST_SHARE_MAX: f64 = 0.5;

/// Subjects without data that are named at most: more are one fact about the source.
pub const SILENT_MAX: usize = 100;

/// The label that Thanos, Mimir and most set-ups of several clusters add.
pub const CLUSTER_LABEL: &str = "cluster";

/// What it means that there are several clusters, for people.
///
/// ```
/// assert!(homeostat_ingest::several_clusters(&["eu", "us"]).contains("subjects.cluster_label"));
/// ```
pub fn several_clusters(clusters: &[&str]) -> String {
    format!(
        "there are series of several clusters ({}), and workloads of one name would be mixed; set subjects.cluster_label, and \
         subjects.cluster to watch one of them",
        clusters.join(", ")
    )
}

/// What a query's answer was worth.
///
/// ```
/// use homeostat_ingest::AnswerState;
///
/// assert!(AnswerState::Empty.problem().is_some_and(|text| text.contains("no series")));
/// assert_eq!(AnswerState::Usable.problem(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerState {
    /// It has values of subjects.
    Usable,
    /// There was none.
    Failed(FetchError),
    /// It has no series.
    Empty,
    /// Every sample is NaN or infinite.
    NotFinite,
    /// Every series is a native histogram.
    HistogramsOnly,
    /// No series has the labels that name a subject.
    NoSubject,
    /// No sample lies on a step.
    OffGrid,
}

impl AnswerState {
    /// What is wrong and what to do, for people; nothing where nothing is.
    pub fn problem(&self) -> Option<String> {
        Some(match self {
            Self::Usable => return None,
            Self::Failed(error) => error.to_string(),
            Self::Empty => {
                "no series; check the metric's name and labels (is the exporter scraped?), or remove the query"
                    .to_owned()
            }
            Self::NotFinite => "only NaN or Inf; check for a division by zero".to_owned(),
            Self::HistogramsOnly => {
                "only native histograms, which aren't numbers; ask for histogram_quantile(), histogram_count() or \
                 histogram_sum() of them"
                    .to_owned()
            }
            Self::NoSubject => {
                "no series has the labels that name a workload; keep them in `by (…)`, or change `subjects`".to_owned()
            }
            Self::OffGrid => "no sample lies on a step; export with the config's step".to_owned(),
        })
    }

    /// The stable name, for metrics and tables.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Usable => "ok",
            Self::Failed(_) => "failed",
            Self::Empty => "empty",
            Self::NotFinite => "not-finite",
            Self::HistogramsOnly => "histograms-only",
            Self::NoSubject => "no-subject",
            Self::OffGrid => "off-grid",
        }
    }
}

/// What one query gave.
///
/// ```
/// use homeostat_ingest::{AnswerState, QueryQuality};
///
/// let quality = QueryQuality { query: "cpu".into(), n_subjects: 40, n_subjects_known: 50, ..QueryQuality::default() };
/// assert_eq!((quality.coverage(), quality.state), (0.8, AnswerState::Usable));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct QueryQuality {
    /// The query's name.
    pub query: String,
    /// What the answer was worth.
    pub state: AnswerState,
    /// Series of the answer.
    pub n_series: usize,
    /// Subjects with a value in the rows asked for.
    pub n_subjects: usize,
    /// Subjects there are.
    pub n_subjects_known: usize,
    /// The newest sample.
    pub last_sample: Option<Timestamp>,
    /// Series without the labels that name a subject.
    pub series_unmatched: u64,
    /// Samples between the steps.
    pub samples_off_grid: u64,
    /// Series beyond the limit, of subjects without models: see [`Matrix::series_left_out`].
    pub series_left_out: u64,
    /// Samples that are no number.
    pub dropped: Dropped,
    /// What the server noted beside the data, first note first.
    pub notes: Vec<String>,
}

impl Default for QueryQuality {
    fn default() -> Self {
        Self {
            query: String::new(),
            state: AnswerState::Usable,
            n_series: 0,
            n_subjects: 0,
            n_subjects_known: 0,
            last_sample: None,
            series_unmatched: 0,
            samples_off_grid: 0,
            series_left_out: 0,
            dropped: Dropped::default(),
            notes: Vec::new(),
        }
    }
}

impl QueryQuality {
    /// Of an answer; what was placed where is counted by the caller.
    pub(crate) fn of(query: &str, answer: Option<&Matrix>) -> Self {
        let mut quality = Self { query: query.to_owned(), ..Self::default() };
        let Some(answer) = answer else { return quality };
        quality.n_series = answer.series().len();
        quality.dropped = answer.dropped();
        quality.series_left_out = answer.series_left_out();
        quality.last_sample =
            answer.series().iter().filter_map(|series| series.samples().last()).map(|sample| sample.at).max();
        quality.notes = answer.warnings().iter().chain(answer.infos()).cloned().collect();
        quality
    }

    /// What the answer was worth, once it is counted what of it found a place.
    pub(crate) fn judge(&mut self) {
        self.state = if self.n_subjects > 0 {
            AnswerState::Usable
        } else if self.n_series == 0 {
            AnswerState::Empty
        } else if self.last_sample.is_none() && self.dropped.histogram > 0 {
            AnswerState::HistogramsOnly
        } else if self.last_sample.is_none() && self.dropped.not_finite > 0 {
            AnswerState::NotFinite
        } else if self.series_unmatched >= self.n_series as u64 {
            AnswerState::NoSubject
        } else if self.samples_off_grid > 0 {
            AnswerState::OffGrid
        } else {
            AnswerState::Empty
        };
    }

    /// Notes that the answer has series of several clusters, where nobody said how to keep them apart.
    pub(crate) fn note_clusters(&mut self, answer: &Matrix, rule: &SubjectRule) {
        if rule.cluster_label.is_some() {
            return;
        }
        let mut seen: Option<&str> = None;
        for cluster in answer.series().iter().filter_map(|series| series.labels().get(CLUSTER_LABEL)) {
            match seen {
                Some(first) if first != cluster => {
                    self.notes.push(several_clusters(&[first, cluster]));
                    return;
                }
                Some(_) => {}
                None => seen = Some(cluster),
            }
        }
    }

    /// What the answer to this query was worth. That a query of events has no series says that none happened.
    pub fn judge_of(&mut self, query: &Query) {
        if !(query.on_missing == OnMissing::Zero && self.n_series == 0) {
            self.judge();
        }
    }

    /// Share of the known subjects with a value, 0 to 1; 0 where there is no subject.
    pub fn coverage(&self) -> f64 {
        if self.n_subjects_known == 0 { 0.0 } else { self.n_subjects as f64 / self.n_subjects_known as f64 }
    }
}

/// What a pull says of its source.
///
/// ```
/// use homeostat_ingest::{DataQuality, SourceState};
///
/// let quality = DataQuality { n_subjects_known: 10, n_subjects_without_data: 9, ..DataQuality::default() };
/// assert_eq!(quality.state(), SourceState::SubjectsLost { n_without_data: 9, n_known: 10 });
/// assert_eq!(DataQuality { n_subjects_without_data: 1, ..quality }.state(), SourceState::Healthy);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataQuality {
    /// One for each query, in order.
    pub queries: Vec<QueryQuality>,
    /// Subjects that had data within the rows that are kept.
    pub n_subjects_known: usize,
    /// Those of them that have none in the last three rows.
    pub n_subjects_without_data: usize,
    /// These subjects and when they had data last, longest ago first; at most [`SILENT_MAX`].
    pub silent: Vec<(Subject, Timestamp)>,
    /// Whether there ever was a subject.
    pub had_subjects: bool,
    /// The newest sample of all queries.
    pub last_sample: Option<Timestamp>,
    /// Whether nothing was scraped at the newest step.
    pub is_scrape_gap: bool,
}

/// Whether a source can be believed, worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceState {
    /// It can.
    #[default]
    Healthy,
    /// No query was answered.
    Unanswered,
    /// Queries are answered, and there are no series of any subject.
    NoData,
    /// Nothing was scraped.
    ScrapeGap,
    /// So many subjects lost their data at once that it isn't they who are at fault.
    SubjectsLost {
        /// Subjects without data.
        n_without_data: usize,
        /// Subjects there are.
        n_known: usize,
    },
    /// Some queries give nothing that can be used.
    QueriesUnusable {
        /// How many.
        n_queries: usize,
    },
}

impl SourceState {
    /// All stable names.
    pub const NAMES: &'static [&'static str] =
        &["healthy", "unanswered", "no-data", "scrape-gap", "subjects-lost", "queries-unusable"];

    /// The stable name, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unanswered => "unanswered",
            Self::NoData => "no-data",
            Self::ScrapeGap => "scrape-gap",
            Self::SubjectsLost { .. } => "subjects-lost",
            Self::QueriesUnusable { .. } => "queries-unusable",
        }
    }

    /// Whether most workloads can't be watched in this state.
    pub const fn is_blind(self) -> bool {
        match self {
            Self::Unanswered | Self::NoData | Self::ScrapeGap | Self::SubjectsLost { .. } => true,
            Self::Healthy | Self::QueriesUnusable { .. } => false,
        }
    }
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("all queries have data"),
            Self::Unanswered => f.write_str("no query is answered; check Prometheus and the network"),
            Self::NoData => f.write_str(
                "Prometheus answers, but no query has a series of any workload; check the exporters and the queries, and whether the workloads still exist"
            ),
            Self::ScrapeGap => f.write_str("Prometheus has scraped nothing; check Prometheus and its targets"),
            Self::SubjectsLost { n_without_data, n_known } => write!(
                f,
                "{n_without_data} of {n_known} workloads lost their data at once; check Prometheus and the exporters"
            ),
            Self::QueriesUnusable { n_queries } => write!(f, "{n_queries} queries give no usable data"),
        }
    }
}

impl DataQuality {
    /// Share of the known subjects without data in the rows asked for, 0 to 1.
    pub fn share_without_data(&self) -> f64 {
        if self.n_subjects_known == 0 {
            return f64::from(u8::from(self.had_subjects));
        }
        self.n_subjects_without_data as f64 / self.n_subjects_known as f64
    }

    /// Notes the queries that failed, and why.
    #[must_use]
    pub fn with_failures(mut self, failed: &[(String, FetchError)]) -> Self {
        for (name, error) in failed {
            if let Some(query) = self.queries.iter_mut().find(|query| query.query == *name) {
                query.state = AnswerState::Failed(error.clone());
            }
        }
        self
    }

    /// Whether the source can be believed.
    pub fn state(&self) -> SourceState {
        let is_failed = |query: &&QueryQuality| matches!(query.state, AnswerState::Failed(_));
        let n_failed = self.queries.iter().filter(is_failed).count();
        if n_failed > 0 && n_failed == self.queries.len() {
            return SourceState::Unanswered;
        }
        if self.is_scrape_gap {
            return SourceState::ScrapeGap;
        }
        // Also where there is one workload only: that every query is answered and none has a series is all that can be said of it.
        let answers_with_nothing = n_failed == 0 && self.queries.iter().all(|query| query.n_series == 0);
        let is_silent = answers_with_nothing && self.n_subjects_without_data == self.n_subjects_known;
        if (self.n_subjects_known == 0 || is_silent) && !self.queries.is_empty() {
            return SourceState::NoData;
        }
        if self.share_without_data() > LOST_SHARE_MAX {
            let (n_without_data, n_known) = (self.n_subjects_without_data, self.n_subjects_known);
            // A single workload that is gone says nothing of the source.
            if n_known > 1 {
                return SourceState::SubjectsLost { n_without_data, n_known };
            }
        }
        let n_queries = self.queries.iter().filter(|query| query.state != AnswerState::Usable).count();
        if n_queries > 0 { SourceState::QueriesUnusable { n_queries } } else { SourceState::Healthy }
    }

    /// A table for people: query, series, workloads, coverage, and what is wrong.
    pub fn table(&self) -> String {
        let width = self.queries.iter().map(|query| query.query.len()).max().unwrap_or(0).max(5);
        let mut lines =
            vec![format!("{:<width$}  {:>7}  {:>9}  {:>8}  PROBLEM", "QUERY", "SERIES", "WORKLOADS", "COVERAGE")];
        for query in &self.queries {
            let mut problems: Vec<String> = query.state.problem().into_iter().collect();
            if query.series_unmatched > 0 && query.state != AnswerState::NoSubject {
                problems.push(format!("{} series name no workload", query.series_unmatched));
            }
            if query.series_left_out > 0 {
                problems.push(format!("{} series more than datasources[].series_max", query.series_left_out));
            }
            if query.dropped.histogram > 0 && query.state != AnswerState::HistogramsOnly {
                problems.push(format!("{} native histogram samples can't be used", query.dropped.histogram));
            }
            if query.samples_off_grid > 0 && query.state != AnswerState::OffGrid {
                problems.push(format!("{} samples lie between two steps", query.samples_off_grid));
            }
            problems.extend(query.notes.first().cloned());
            let problems = if problems.is_empty() { "-".to_owned() } else { problems.join("; ") };
            lines.push(format!(
                "{:<width$}  {:>7}  {:>9}  {:>6.0} %  {problems}",
                query.query,
                query.n_series,
                query.n_subjects,
                100.0 * query.coverage(),
            ));
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Series;

    fn query(n_series: usize, n_subjects: usize) -> QueryQuality {
        QueryQuality { query: "cpu".into(), n_series, n_subjects, n_subjects_known: 4, ..QueryQuality::default() }
    }

    fn judged(mut quality: QueryQuality) -> AnswerState {
        quality.judge();
        quality.state
    }

    #[test]
    fn an_answer_that_gives_nothing_says_why() {
        let at = Some(Timestamp::from_secs(60));
        let dropped = |histogram, not_finite| Dropped { histogram, not_finite, ..Dropped::default() };
        assert_eq!(judged(query(3, 3)), AnswerState::Usable);
        assert_eq!(judged(query(0, 0)), AnswerState::Empty);
        assert_eq!(judged(QueryQuality { dropped: dropped(5, 0), ..query(1, 0) }), AnswerState::HistogramsOnly);
        assert_eq!(judged(QueryQuality { dropped: dropped(0, 5), ..query(1, 0) }), AnswerState::NotFinite);
        assert_eq!(
            judged(QueryQuality { last_sample: at, series_unmatched: 2, ..query(2, 0) }),
            AnswerState::NoSubject
        );
        assert_eq!(judged(QueryQuality { last_sample: at, samples_off_grid: 2, ..query(2, 0) }), AnswerState::OffGrid);
    }

    #[test]
    fn several_clusters_without_a_word_on_them_are_told() {
        let series = |cluster: &str| {
            let labels = [("workload".to_owned(), "cart".to_owned()), (CLUSTER_LABEL.to_owned(), cluster.to_owned())];
            Series::new(labels.into(), Vec::new()).0
        };
        let answer = Matrix::new(vec![series("eu"), series("us")], Dropped::default());
        let noted = |rule: &SubjectRule, answer: &Matrix| {
            let mut quality = QueryQuality::default();
            quality.note_clusters(answer, rule);
            quality.notes
        };
        let configured = SubjectRule { cluster_label: Some(CLUSTER_LABEL.into()), ..SubjectRule::default() };
        assert!(noted(&SubjectRule::default(), &answer)[0].contains("(eu, us)"));
        assert!(noted(&configured, &answer).is_empty());
        assert!(noted(&SubjectRule::default(), &Matrix::new(vec![series("eu")], Dropped::default())).is_empty());
    }

    #[test]
    fn a_source_is_one_fact_and_the_worst_one_is_told() {
        let healthy = DataQuality {
            queries: vec![query(3, 3)],
            n_subjects_known: 4,
            n_subjects_without_data: 1,
            had_subjects: true,
            ..DataQuality::default()
        };
        assert_eq!(healthy.state(), SourceState::Healthy);
        let lost = DataQuality { n_subjects_without_data: 3, ..healthy.clone() };
        assert!(lost.state().is_blind() && lost.state().to_string().contains("3 of 4 workloads"));
        assert_eq!(DataQuality { is_scrape_gap: true, ..lost }.state(), SourceState::ScrapeGap);
        assert_eq!(DataQuality { n_subjects_known: 0, ..healthy.clone() }.state(), SourceState::NoData);
        let empty = QueryQuality { state: AnswerState::Empty, ..query(0, 0) };
        let lone = DataQuality { queries: vec![empty.clone(), empty], n_subjects_known: 1, ..healthy.clone() };
        assert_eq!(lone.state(), SourceState::NoData, "all that there was has vanished");
        assert!(lone.state().is_blind() && lone.state().to_string().contains("whether the workloads still exist"));
        assert_eq!(
            DataQuality { n_subjects_without_data: 0, ..lone }.state(),
            SourceState::QueriesUnusable { n_queries: 2 }
        );
        let why = FetchError::BadQuery { expr: "x".into(), why: "no".into() };
        let failed = healthy.clone().with_failures(&[("cpu".into(), why)]);
        assert_eq!(failed.state(), SourceState::Unanswered);
        let empty = DataQuality {
            queries: vec![query(3, 3), QueryQuality { state: AnswerState::Empty, ..query(0, 0) }],
            ..healthy
        };
        assert_eq!(empty.state(), SourceState::QueriesUnusable { n_queries: 1 });
        assert!(empty.table().contains("no series; check the metric's name"), "{}", empty.table());
    }
}
