//! Scorecards, labelled outcomes and detection quality on labelled datasets; the only crate that sees labels.
//!
//! Detection on labelled data: [`Dataset`] and [`LabelledSeries`] read it, [`SeriesRun`] runs a series through the program's own
//! path, [`Judged`] holds one series' scores against its labels with the measures of [`metrics`], and [`Evaluation`] puts
//! series together.
//!
//! [`Search`] looks for better options on a dataset, and judges what it chose on sets that had no part in the choice.
//!
//! The closed loop:
//! What was said and done ([`IncidentChange`](homeostat_core::IncidentChange)s, [`ActionOutcome`]s) is held against what
//! really happened ([`FaultTruth`](homeostat_simulate::FaultTruth)s): [`Scorecard::of`] counts, [`outcomes`] gives the
//! labelled outcomes that confidence is calibrated from. [`match_incidents`] says which incident is due to which fault,
//! and both use it.
//!
//! Pure functions of their arguments. A metric made here is worth what its protocol is worth: quote both.

mod action_outcome;
mod dataset;
mod diagnosis;
mod evaluation;
mod incident_record;
mod labelled;
mod matching;
pub mod metrics;
mod ranking;
mod scorecard;
mod scores;
mod series_run;
mod tuning;

pub use action_outcome::{ActionOutcome, Verification};
pub use dataset::{
    Dataset, DatasetError, LabelledSeries, Placement, ROW_BYTES_MAX, SERIES_CELLS_MAX, SHOP_DAYS_MAX, SeriesEntry,
    SeriesError, ShopDatasetError, ShopDatasetSpec, Stamps, WrittenSeries, shop_dataset,
};
pub use diagnosis::{Diagnosis, DiagnosisMetrics, FaultCase, Said};
pub use evaluation::{
    AlertRule, AlertsBy, Change, Claimant, Comparison, ConfidenceMetrics, DetectorWorth, Estimate, Evaluation,
    JudgeOptions, Judged, PeerMetrics, Protocol, QualityMetrics, SeriesJudgement, SetMetrics, TRACE_COLUMNS, Trace,
    TraceColumn, Verdict, claims, figure_lines, html, markdown, table,
};
pub use homeostat_core::{Interval, Proportion, wilson_interval};
pub use incident_record::IncidentRecord;
pub use labelled::{LabelledOutcome, outcomes};
pub use matching::{AFTERMATH, Due, match_incidents};
pub use ranking::ranking_scores;
pub use scorecard::{Delays, FaultLine, Observed, Scorecard};
pub use scores::{Scores, ScoresError};
pub use series_run::{RunError, SeriesRun};
pub use tuning::{
    Chosen, Effect, Finished, HeldOut, Job, Named, Outcomes, Search, SearchSpec, Space, Step, Trial, TrialOutcome,
    TunedOption, Worth, effects, tuning_figure_lines, tuning_text,
};

#[cfg(test)]
mod fixture;
