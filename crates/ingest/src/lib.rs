//! Prometheus range data, exported files and presets, aligned into windows.
//!
//! Start at [`PrometheusSource::range`] (fetch), [`decode_matrix`] (decode) and [`align`] (align); [`Feed`] keeps
//! rolling windows and is what both the service and a replay use, so that both see the same.
//!
//! ```
//! use std::time::Duration;
//! use homeostat_core::{Signal, Timestamp};
//! use homeostat_ingest::{Feed, FeedConfig, Query, QuerySet, SubjectRule, DecodeLimits, decode_matrix};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queries = QuerySet::new(vec![Query {
//!     name: "cpu".into(),
//!     expr: "sum by (namespace, workload) (cpu_cores_used)".into(),
//!     signal: Signal::Cpu,
//!     direction: Default::default(),
//!     deviation_min: 0.05,
//!     aggregation: Default::default(),
//!     on_missing: Default::default(),
//!     limit: None,
//! }])?;
//! let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
//!     {"metric":{"namespace":"shop","workload":"cart"},"values":[[60,"0.5"],[180,"0.7"]]}]}}"#;
//! let matrix = decode_matrix(answer, &DecodeLimits::default())?;
//!
//! let (rule, step) = (SubjectRule::default(), Duration::from_secs(60));
//! let mut feed = Feed::new(FeedConfig { queries, rule, step, n_steps: 3, subjects_max: 100 })?;
//! let now = Timestamp::from_secs(180);
//! feed.push(&[Some(matrix)], Timestamp::from_secs(60), now)?;
//! let windows = feed.windows_at(now)?;
//! assert_eq!(windows[0].subject().to_string(), "shop/deployment/cart");
//! assert_eq!(windows[0].n_present(), 2); // the sample at 120 s is a gap
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows no detector and no policy. Decoding and aligning are pure functions; only [`PrometheusSource`]
//! touches the network, and only [`read_export`], [`write_export`], [`read_file`] and [`History`] touch files.

mod align;
mod authorization;
mod cluster;
mod decode;
mod due;
mod export;
mod export_evaluator;
mod feature_table;
mod feed;
mod fetch_error;
mod gaps;
mod history;
mod matrix;
mod pages;
mod preferred;
mod presets;
mod prometheus_config;
mod promql;
mod pull;
mod pulling;
mod quality;
mod query;
mod range;
mod readers;
mod replica_feed;
mod retry;
mod sample_distance;
mod scrapes;
mod secret;
mod server_url;
mod source;
mod stats;
mod subject_column;
mod subject_rule;

pub use align::{Aligned, Unplaced, align};
pub use authorization::{Authorization, Credential};
pub use cluster::{ClusterFiles, ClusterFilesError, ClusterObject, ClusterState, Read};
pub use decode::{DecodeError, DecodeLimits, decode_matrix, decode_pages};
pub use due::Due;
pub use export::{ExportError, ExportFile, read_export, write_export};
pub use export_evaluator::{EvaluatedExport, ExportEvaluator, ExportEvaluatorError};
pub use feature_table::{FeatureTable, TableError};
pub use feed::{Feed, FeedConfig, FeedError, Pushed};
pub use fetch_error::FetchError;
pub use gaps::look_back;
pub use history::{FillError, FillLimits, History, HistoryError, QueryTotals};
pub use matrix::{Dropped, Labels, Matrix, Sample, Series};
pub use pages::RangePages;
pub use preferred::Preferred;
pub use presets::{PRESET_NAMES, Preset, PresetParams, UnknownPreset, preset, rollouts_expr};
pub use prometheus_config::PrometheusConfig;
pub use promql::{NotEvaluable, promql_problem};
pub use pull::Pull;
pub use pulling::{Missed, Pulling, RowFeed, Taken};
pub use quality::{
    AnswerState, CLUSTER_LABEL, DataQuality, LOST_SHARE_MAX, QueryQuality, SILENT_MAX, SourceState, several_clusters,
};
pub use query::{Aggregation, OnMissing, Query, QueryError, QuerySet};
pub use range::RangeError;
pub use readers::{
    Format, ReadError, ReadOptions, SampleSink, SeriesIdx, UnknownFormat, What, read_file, read_samples,
};
pub use replica_feed::ReplicaFeed;
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use server_url::{NotAServerUrl, ServerUrl};
pub use source::{PrometheusSource, RangeSource, SourceError};
pub use stats::FetchStats;
pub use subject_column::{SUBJECT_COLUMN, UNNAMED};
pub use subject_rule::{CLUSTER_SEPARATOR, SubjectRule};
