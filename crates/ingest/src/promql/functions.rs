//! Functions of a range of samples, as `promql/functions.go` of Prometheus 3 defines them.

use homeostat_core::Timestamp;

use crate::matrix::Sample;

/// A function of the samples within a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    AvgOverTime,
    MinOverTime,
    MaxOverTime,
    SumOverTime,
    CountOverTime,
    LastOverTime,
}

impl RangeFunction {
    pub(crate) const ALL: [Self; 11] = [
        Self::Rate,
        Self::Increase,
        Self::Delta,
        Self::Irate,
        Self::Idelta,
        Self::AvgOverTime,
        Self::MinOverTime,
        Self::MaxOverTime,
        Self::SumOverTime,
        Self::CountOverTime,
        Self::LastOverTime,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Increase => "increase",
            Self::Delta => "delta",
            Self::Irate => "irate",
            Self::Idelta => "idelta",
            Self::AvgOverTime => "avg_over_time",
            Self::MinOverTime => "min_over_time",
            Self::MaxOverTime => "max_over_time",
            Self::SumOverTime => "sum_over_time",
            Self::CountOverTime => "count_over_time",
            Self::LastOverTime => "last_over_time",
        }
    }

    /// Whether the result is still what its name says, so that the name stays.
    pub(crate) fn keeps_name(self) -> bool {
        self == Self::LastOverTime
    }

    /// The value at `end` of the finite samples in `(end - window_ms, end]`, which come in order; `None` where Prometheus
    /// gives none.
    pub(crate) fn value(self, samples: &[Sample], end: Timestamp, window_ms: i64) -> Option<f64> {
        let values = samples.iter().map(|sample| sample.value);
        match self {
            Self::Rate => extrapolated(samples, end, window_ms, Growth::PerSecond),
            Self::Increase => extrapolated(samples, end, window_ms, Growth::OfCounter),
            Self::Delta => extrapolated(samples, end, window_ms, Growth::OfGauge),
            Self::Irate => instant(samples, true),
            Self::Idelta => instant(samples, false),
            Self::AvgOverTime => (!samples.is_empty()).then(|| compensated_sum(values) / samples.len() as f64),
            Self::MinOverTime => values.reduce(f64::min),
            Self::MaxOverTime => values.reduce(f64::max),
            Self::SumOverTime => (!samples.is_empty()).then(|| compensated_sum(values)),
            Self::CountOverTime => (!samples.is_empty()).then_some(samples.len() as f64),
            Self::LastOverTime => samples.last().map(|sample| sample.value),
        }
    }
}

/// What is asked of a range's ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Growth {
    PerSecond,
    OfCounter,
    OfGauge,
}

/// `extrapolatedRate` of Prometheus: the growth between first and last sample, with what was lost in resets of a counter,
/// stretched to the range's edges as far as samples can be believed to go on: to the edge if it lies within 1.1 of the mean
/// distance of samples, else half that distance; and for a counter never beyond where it would have been zero.
fn extrapolated(samples: &[Sample], end: Timestamp, window_ms: i64, growth: Growth) -> Option<f64> {
    let is_counter = growth != Growth::OfGauge;
    let [first, .., last] = samples else { return None };
    let mut grown = last.value - first.value;
    if is_counter {
        for pair in samples.windows(2) {
            if pair[1].value < pair[0].value {
                grown += pair[0].value;
            }
        }
    }
    let secs = |from: Timestamp, to: Timestamp| (to.as_millis() - from.as_millis()) as f64 / 1000.0;
    let start = Timestamp::from_millis(end.as_millis() - window_ms);
    let sampled_s = secs(first.at, last.at);
    let distance_s = sampled_s / (samples.len() - 1) as f64;
    let threshold_s = distance_s * 1.1;

    let mut to_start_s = secs(start, first.at);
    if to_start_s >= threshold_s {
        to_start_s = distance_s / 2.0;
    }
    if is_counter && grown > 0.0 && first.value >= 0.0 {
        to_start_s = to_start_s.min(sampled_s * (first.value / grown));
    }
    let mut to_end_s = secs(last.at, end);
    if to_end_s >= threshold_s {
        to_end_s = distance_s / 2.0;
    }
    // In this order, so that the bits are Prometheus's.
    let mut factor = (sampled_s + to_start_s + to_end_s) / sampled_s;
    if growth == Growth::PerSecond {
        factor /= window_ms as f64 / 1000.0;
    }
    Some(grown * factor)
}

/// `instantValue` of Prometheus: the last two samples alone.
fn instant(samples: &[Sample], is_rate: bool) -> Option<f64> {
    let [.., before, last] = samples else { return None };
    // A counter that fell was reset: what it shows now is what it counted since.
    let is_reset = is_rate && last.value < before.value;
    let grown = if is_reset { last.value } else { last.value - before.value };
    let interval_s = (last.at.as_millis() - before.at.as_millis()) as f64 / 1000.0;
    Some(if is_rate { grown / interval_s } else { grown })
}

/// The sum with Neumaier's compensation, as Prometheus adds too: small values aren't lost beside large ones.
pub(super) fn compensated_sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    sum + lost
}
