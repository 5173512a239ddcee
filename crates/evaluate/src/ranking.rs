//! The ensemble's ranking score made anew from recorded votes: for one detector alone, and with one left out.
//!
//! The ensemble ranks by its own smoothed score; this repeats its arithmetic so that an ablation needn't train again.
//! `the_ranking_of_all_votes_is_the_ensembles_evidence` holds both together.

use homeostat_detect::VOTES_MIN;

/// Surprise that counts nothing; the ensemble's dead zone.
const DEAD_ZONE_NATS: f64 = 2.0;
/// Half-lives of the averages that make up the evidence; the ensemble's.
const HALF_LIVES_ROWS: [f64; 5] = [1.0, 4.0, 16.0, 64.0, 256.0];
/// What each average counts; the ensemble's.
const HALF_LIFE_WEIGHTS: [f64; 5] = [1.0, 1.15, 1.32, 1.52, 1.74];
/// The ensemble's limit on a row's fused surprisal.
const FUSED_NATS_MAX: f64 = 1e12;

/// For each row the sum of causal exponential averages of the fused surprisal `Σ max(nats − 2, 0)` over these detectors, in
/// nats. The columns have one value a row; NaN is a missing vote. A row with fewer votes than an ensemble believes (or than
/// there are columns) leaves the averages as they were.
pub fn ranking_scores(surprisal_nats: &[&[f64]]) -> Vec<f64> {
    let n_rows = surprisal_nats.iter().map(|column| column.len()).min().unwrap_or(0);
    let votes_min = VOTES_MIN.min(surprisal_nats.len());
    let shares = HALF_LIVES_ROWS.map(|half_life| 1.0 - (-1.0 / half_life).exp2());
    let mut averages = [0.0; HALF_LIVES_ROWS.len()];
    let rows = (0..n_rows).map(|row| {
        let votes = surprisal_nats.iter().map(|column| column[row]).filter(|nats| !nats.is_nan());
        let (n_votes, fused) = votes.fold((0, 0.0), |(n, sum), nats| (n + 1, sum + (nats - DEAD_ZONE_NATS).max(0.0)));
        if n_votes >= votes_min {
            for (average, share) in averages.iter_mut().zip(shares) {
                *average += share * (fused.min(FUSED_NATS_MAX) - *average);
            }
        }
        averages.iter().zip(HALF_LIFE_WEIGHTS).map(|(average, weight)| average * weight).sum()
    });
    rows.collect()
}
