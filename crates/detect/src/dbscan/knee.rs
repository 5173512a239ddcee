//! Where a sorted curve turns from flat to steep.

/// The knee lies between these quantiles. Below 90 % more of training would be noise than is believable (on labelled data
/// a knee at 80 % cost .01 of VUS-PR); above 99 % the few farthest rows, which may be last month's incident, would be
/// what normal means.
const QUANTILES: (f64, f64) = (0.90, 0.99);

/// The index of the knee of ascending distances, at least one of them.
///
/// Kneedle (Satopää, Albrecht, Irwin and Raghavan 2011, "Finding a Kneedle in a Haystack") for a convex rising curve: both
/// axes are scaled to 0 to 1, and the knee is where the curve is farthest below the diagonal. The scale ends at the 99 %
/// quantile, or one wild row would flatten the whole curve. Without any rise it's the last of all.
pub(super) fn knee(sorted: &[f64]) -> usize {
    let last = sorted.len() - 1;
    let rank = |quantile: f64| (quantile * last as f64).round() as usize;
    let (from, to) = (rank(QUANTILES.0), rank(QUANTILES.1));
    let (low, high) = (sorted[0], sorted[to]);
    if high <= low {
        return last;
    }
    let below = |idx: usize| idx as f64 / to.max(1) as f64 - (sorted[idx] - low) / (high - low);
    (from..=to).fold(from, |best, idx| if below(idx) > below(best) { idx } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corner_is_found() {
        // Flat up to 950 of 1 000, then steep.
        let curve: Vec<f64> =
            (0..1_000).map(|idx| if idx < 950 { f64::from(idx) * 1e-4 } else { f64::from(idx - 950) }).collect();
        assert!((945..=955).contains(&knee(&curve)), "{}", knee(&curve));
    }

    #[test]
    fn one_wild_row_moves_nothing() {
        let mut curve: Vec<f64> = (0..1_000).map(|idx| (f64::from(idx) / 1_000.0).powi(8)).collect();
        let calm = knee(&curve);
        curve[999] = 1e9;
        assert_eq!(knee(&curve), calm);
    }

    #[test]
    fn a_curve_without_a_rise_has_its_knee_at_the_end() {
        assert_eq!(knee(&[2.0; 50]), 49);
        assert_eq!(knee(&[0.0]), 0);
        assert!(knee(&[0.0, 1.0]) <= 1);
    }
}
