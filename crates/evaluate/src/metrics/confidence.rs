//! How far claimed probabilities are from what happened.

/// Bins of the calibration error of rows.
pub const ROW_BINS: usize = 15;
/// Bins of the calibration error of alerts, which are fewer.
pub const ALERT_BINS: usize = 10;

/// The mean squared difference between a claimed probability and what happened (G. W. Brier, Verification of forecasts
/// expressed in terms of probability, 1950); `None` of nothing. Pairs of (claimed, happened).
pub fn brier(claims: impl IntoIterator<Item = (f64, bool)>) -> Option<f64> {
    let (sum, n) = claims.into_iter().fold((0.0, 0_usize), |(sum, n), (claimed, happened)| {
        (sum + (claimed - f64::from(u8::from(happened))).powi(2), n + 1)
    });
    (n > 0).then(|| sum / n as f64)
}

/// The expected calibration error: claims in bins of equal width, the gap between the mean claim and the share that happened
/// in each, weighted by its size (Naeini, Cooper & Hauskrecht, Obtaining well calibrated probabilities using Bayesian
/// binning, 2015). `None` of nothing.
pub fn expected_calibration_error(claims: impl IntoIterator<Item = (f64, bool)>, n_bins: usize) -> Option<f64> {
    #[derive(Clone, Copy, Default)]
    struct Bin {
        n: f64,
        claimed: f64,
        happened: f64,
    }
    let mut bins = vec![Bin::default(); n_bins.max(1)];
    let mut n_claims = 0.0;
    for (claimed, happened) in claims {
        let idx = ((claimed * n_bins as f64).max(0.0) as usize).min(bins.len() - 1);
        let bin = &mut bins[idx];
        bin.n += 1.0;
        bin.claimed += claimed;
        bin.happened += f64::from(u8::from(happened));
        n_claims += 1.0;
    }
    let gaps = bins.iter().map(|bin| (bin.claimed - bin.happened).abs());
    (n_claims > 0.0).then(|| gaps.sum::<f64>() / n_claims)
}
