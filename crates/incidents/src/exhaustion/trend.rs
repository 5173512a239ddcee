//! A line through points that outliers can't turn, and how sure its slope is.

use super::BLOCKS_MAX;

/// Pairs of all blocks.
const PAIRS_MAX: usize = BLOCKS_MAX * (BLOCKS_MAX - 1) / 2;

/// A robust line; slopes are a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trend {
    pub(super) slope: f64,
    /// The 95 % interval of the slope.
    pub(super) slope_min: f64,
    pub(super) slope_max: f64,
    /// The line's height at second 0.
    pub(super) at_now: f64,
}

/// Standard deviations of a two-sided 95 % interval.
const Z_95: f64 = 1.96;

/// Neighbouring points that go together count as fewer; but as a tenth at least.
const INDEPENDENT_SHARE_MIN: f64 = 0.1;

/// The line of Theil (1950) and Sen (1968) through `(second, height)`: the median of the slopes of all pairs, and the median
/// height left by it. Its interval is Sen's: order statistics around the median by the variance of Kendall's S, which is
/// widened for errors that go together from point to point (after Hamed and Rao 1998, with the first autocorrelation of
/// what the line leaves). `None` for fewer than three points; of more than [`BLOCKS_MAX`],
/// the last.
pub(super) fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    let points = &points[points.len().saturating_sub(BLOCKS_MAX)..];
    let n = points.len();
    if n < 3 {
        return None;
    }
    // On the stack: 14 KiB for a moment, and nothing allocated.
    let mut slopes = [0.0; PAIRS_MAX];
    let mut n_slopes = 0;
    for (idx, (x, y)) in points.iter().enumerate() {
        for (later, height) in &points[idx + 1..] {
            let slope = (height - y) / (later - x);
            if slope.is_finite() {
                slopes[n_slopes] = slope;
                n_slopes += 1;
            }
        }
    }
    let slopes = &mut slopes[..n_slopes];
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let slope = median(slopes);
    let mut rests = [0.0; BLOCKS_MAX];
    let rests = &mut rests[..n];
    rests.iter_mut().zip(points).for_each(|(rest, (x, y))| *rest = y - slope * x);
    let independent = independent_share(rests);
    rests.sort_unstable_by(f64::total_cmp);
    let n = n as f64;
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0 / independent).sqrt();
    let middle = (slopes.len() as f64 - 1.0) / 2.0;
    let reach = Z_95 * deviation / 2.0;
    let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(slopes.len() - 1)];
    // An interval that would reach beyond all slopes holds no slope for certain.
    let sure = reach < middle;
    let slope_min = if sure { at((middle - reach).floor()) } else { f64::NEG_INFINITY };
    let slope_max = at((middle + reach).ceil());
    Some(Trend { slope, slope_min, slope_max, at_now: median(rests) })
}

/// `(1 - r) / (1 + r)` of the first autocorrelation `r`.
fn independent_share(rests: &[f64]) -> f64 {
    let mean = rests.iter().sum::<f64>() / rests.len() as f64;
    let own: f64 = rests.iter().map(|rest| (rest - mean).powi(2)).sum();
    let with: f64 = rests.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    let correlation = if own > 0.0 { (with / own).clamp(0.0, 0.99) } else { 0.0 };
    ((1.0 - correlation) / (1.0 + correlation)).max(INDEPENDENT_SHARE_MIN)
}

/// Of sorted values, at least one.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;
    use homeostat_core::Seed;

    fn line(slope: f64, noise_share: f64, seed: u64) -> Vec<(f64, f64)> {
        let noise = noise(60, 1, Seed::new(seed));
        (0..60)
            .map(|idx| (f64::from(idx - 59), slope * f64::from(idx - 59) + noise_share * noise[[idx as usize, 0]]))
            .collect()
    }

    #[test]
    fn a_line_is_found_through_a_fifth_of_wild_points() {
        let mut points = line(2.0, 0.0, 1);
        for idx in (0..60).step_by(5) {
            points[idx].1 += 1e6;
        }
        let found = trend(&points).expect("a trend");
        assert!((found.slope - 2.0).abs() < 0.2, "{found:?}");
    }

    #[test]
    fn the_interval_holds_the_slope_about_as_often_as_it_says() {
        let held = (0..200)
            .filter(|seed| {
                let found = trend(&line(0.1, 1.0, *seed)).expect("a trend");
                found.slope_min <= 0.1 && 0.1 <= found.slope_max
            })
            .count();
        assert!(held >= 184, "{held} of 200");
    }

    #[test]
    fn two_points_are_no_trend_and_equal_moments_no_slope() {
        assert_eq!(trend(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(trend(&[(0.0, 1.0); 5]), None);
    }
}
