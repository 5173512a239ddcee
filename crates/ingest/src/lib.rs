//! Prometheus range data, exported files and presets, aligned into windows.
//!
//! Start at [`PrometheusSource::range`] (fetch), [`decode_matrix`] (decode) and [`align`] (align); [`Feed`] keeps
//! rolling windows and is what both the service and a replay use, so that both see the same.
//!
//! This crate knows no detector and no policy. Decoding and aligning are pure functions; only [`PrometheusSource`]
//! touches the network, and only [`read_export`] and [`write_export`] touch files.

mod align;
mod decode;
mod matrix;
mod query;
mod subject_rule;

pub use align::{Aligned, Unplaced, align};
pub use decode::{DecodeError, DecodeLimits, decode_matrix, decode_pages};
pub use matrix::{Dropped, Labels, Matrix, Sample, Series};
pub use query::{Absent, Across, Query, QueryError, QuerySet};
pub use subject_rule::SubjectRule;
