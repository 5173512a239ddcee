//! Prometheus range data, exported files and presets, aligned into windows.
//!
//! Start at [`PrometheusSource::range`] (fetch), [`decode_matrix`] (decode) and [`align`] (align); [`Feed`] keeps
//! rolling windows and is what both the service and a replay use, so that both see the same.
//!
//! This crate knows no detector and no policy. Decoding and aligning are pure functions; only [`PrometheusSource`]
//! touches the network, and only [`read_export`] and [`write_export`] touch files.

mod align;
mod decode;
mod export;
mod feed;
mod fetch_error;
mod matrix;
mod presets;
mod prometheus_config;
mod pull;
mod query;
mod range;
mod retry;
mod secret;
mod server_url;
mod source;
mod stats;
mod subject_rule;

pub use align::{Aligned, Unplaced, align};
pub use decode::{DecodeError, DecodeLimits, decode_matrix, decode_pages};
pub use export::{ExportError, read_export, write_export};
pub use feed::{Feed, FeedConfig, FeedError, Pushed};
pub use fetch_error::FetchError;
pub use matrix::{Dropped, Labels, Matrix, Sample, Series};
pub use presets::{PRESET_NAMES, Preset, PresetParams, UnknownPreset, preset};
pub use prometheus_config::PrometheusConfig;
pub use pull::Pull;
pub use query::{Absent, Across, Query, QueryError, QuerySet};
pub use range::RangeError;
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use server_url::{NotAServerUrl, ServerUrl};
pub use source::{PrometheusSource, SourceError};
pub use stats::FetchStats;
pub use subject_rule::SubjectRule;
