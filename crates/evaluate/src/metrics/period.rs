//! The period of a series, which sets how far around an event VUS-PR looks.

/// The period where none can be found.
pub const PERIOD_DEFAULT: usize = 125;

/// Rows looked at, and the longest lag: enough for the period of a day at five minutes, and no series is worth more time.
const ROWS_MAX: usize = 20_000;
const LAG_MAX: usize = 400;
/// The first lags are left out: neighbouring rows are always alike.
const LAG_MIN: usize = 3;
/// A period must lie within these, counted from [`LAG_MIN`].
const PEAK_RANGE: std::ops::RangeInclusive<usize> = 3..=300;

/// The period, in rows: the highest local maximum of the autocorrelation function at lags from 3 to 400 (TSB-AD,
/// `find_length_rank`, rank 1; Liu & Paparrizos, The Elephant in the Room, 2024). [`PERIOD_DEFAULT`] if there is no maximum
/// or it lies at an implausible lag.
pub fn period_rows(values: &[f64]) -> usize {
    let values = &values[..values.len().min(ROWS_MAX)];
    if values.len() < 2 {
        return PERIOD_DEFAULT;
    }
    let acf = autocorrelation(values, LAG_MAX.min(values.len() - 1));
    let peaks = acf.get(LAG_MIN..).unwrap_or_default();
    let mut best: Option<(usize, f64)> = None;
    for (idx, around) in peaks.windows(3).enumerate() {
        let is_peak = around[1] > around[0] && around[1] > around[2];
        if is_peak && best.is_none_or(|(_, height)| around[1] >= height) {
            best = Some((idx + 1, around[1]));
        }
    }
    match best {
        Some((idx, _)) if PEAK_RANGE.contains(&idx) => idx + LAG_MIN,
        Some(_) | None => PERIOD_DEFAULT,
    }
}

/// Autocorrelation at lags from 0 to `lag_max`; all zero for a constant series.
fn autocorrelation(values: &[f64], lag_max: usize) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let at = |lag: usize| centred.iter().zip(&centred[lag..]).map(|(a, b)| a * b).sum::<f64>();
    let power = at(0);
    if power > 0.0 { (0..=lag_max).map(|lag| at(lag) / power).collect() } else { vec![0.0; lag_max + 1] }
}
