//! `query_range` answers to measure ingest with: written once, decoded and aligned often.

use std::fmt::Write;
use std::time::Duration;

use homeostat_core::{Direction, Grid, Signal, Timestamp};
use homeostat_ingest::{
    Aggregation, Aligned, DecodeError, DecodeLimits, Matrix, OnMissing, Query, QuerySet, SubjectRule, align,
    decode_matrix,
};

use crate::values;

const STEP: Duration = Duration::from_secs(60);
/// A moment on the step, with ten digits as today's have.
const START_S: i64 = 1_700_000_040;

/// How the numbers of an answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Nine decimals, `0.123456789`: ratios and gauges.
    Nine,
    /// All 16 or 17 digits of a float, as `rate` gives.
    Full,
    /// Whole numbers: counts and bytes.
    Whole,
    /// `1.234e-07`, and times with milliseconds.
    Scientific,
    /// As `Nine`, and every tenth value is `NaN` or `+Inf`.
    Gaps,
}

impl Numbers {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Nine, Self::Full, Self::Whole, Self::Scientific, Self::Gaps];

    /// Its name in figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nine => "nine-decimals",
            Self::Full => "full-digits",
            Self::Whole => "whole",
            Self::Scientific => "scientific",
            Self::Gaps => "holes",
        }
    }
}

/// An answer and the grid it belongs on.
pub struct Answer {
    json: String,
    queries: QuerySet,
    grid: Grid,
}

impl Answer {
    /// `n_series` workloads with a sample a minute; `None` if that is no grid.
    pub fn new(numbers: Numbers, n_series: usize, n_steps: usize) -> Option<Self> {
        let random = values(n_steps, 1);
        let mut json = String::from(r#"{"status":"success","data":{"resultType":"matrix","result":["#);
        for series_idx in 0..n_series {
            let comma = if series_idx == 0 { "" } else { "," };
            write!(json, r#"{comma}{{"metric":{{"namespace":"shop","workload":"w{series_idx}"}},"values":["#).ok()?;
            for (step_idx, drawn) in random.iter().enumerate() {
                let at = START_S + 60 * i64::try_from(step_idx).ok()?;
                let value = drawn / 10.0 + series_idx as f64 / 1e3;
                let comma = if step_idx == 0 { "" } else { "," };
                match numbers {
                    Numbers::Gaps if step_idx % 20 == 5 => write!(json, r#"{comma}[{at},"NaN"]"#),
                    Numbers::Gaps if step_idx % 20 == 15 => write!(json, r#"{comma}[{at},"+Inf"]"#),
                    Numbers::Nine | Numbers::Gaps => write!(json, r#"{comma}[{at},"{value:.9}"]"#),
                    Numbers::Full => write!(json, r#"{comma}[{at},"{value}"]"#),
                    Numbers::Whole => write!(json, r#"{comma}[{at},"{:.0}"]"#, value * 1e8),
                    Numbers::Scientific => write!(json, r#"{comma}[{at}.000,"{:.5e}"]"#, value * 1e-7),
                }
                .ok()?;
            }
            json.push_str("]}");
        }
        json.push_str("]}}");
        let query = Query {
            name: "cpu".into(),
            expr: "cpu".into(),
            signal: Signal::Cpu,
            direction: Direction::Both,
            deviation_min: 0.0,
            aggregation: Aggregation::Max,
            on_missing: OnMissing::Gap,
            limit: None,
        };
        let grid = Grid::new(Timestamp::from_secs(START_S), STEP, n_steps).ok()?;
        Some(Self { json, queries: QuerySet::new(vec![query]).ok()?, grid })
    }

    /// The answer's size.
    pub fn n_bytes(&self) -> usize {
        self.json.len()
    }

    /// Bytes to samples.
    pub fn decode(&self) -> Result<Matrix, DecodeError> {
        decode_matrix(self.json.as_bytes(), &DecodeLimits::default())
    }

    /// Bytes to windows.
    pub fn decode_and_align(&self) -> Result<Aligned, DecodeError> {
        Ok(align(&self.queries, &[Some(self.decode()?)], &SubjectRule::default(), &self.grid))
    }
}
