//! Where the alarm threshold starts: a series of fused surprisals in, the threshold that keeps to the false-alarm budget out.
//!
//! It doesn't know what is scored. Nothing here sees a label; every opening on the held-out history counts as false, which
//! errs towards fewer alarms.

use std::time::Duration;

use crate::alarm_threshold::InitialThreshold;
use crate::budget::FalseAlarmBudget;
use crate::hysteresis::Hysteresis;
use crate::surprisal::DEAD_ZONE_NATS;

/// Base levels tried, highest first: the higher, the nearer the extrapolation starts to where it must end.
const BASE_QUANTILES: [f64; 6] = [0.995, 0.98, 0.95, 0.9, 0.8, 0.5];

/// Clusters wanted above the base level: with 20, the mean excess is known within about a quarter.
const CLUSTERS_WANTED: usize = 20;

/// With fewer clusters than this no tail can be fitted at all.
const CLUSTERS_MIN: usize = 5;

/// An excess beyond so many robust means (median / ln 2) is cut there. Of exponential excesses one in 20 000 is; a real
/// incident in the history is, too, and mustn't make us blind to the next one.
const EXCESS_MEANS_MAX: f64 = 10.0;

/// No threshold lies below this: a single detector's one-in-twenty row (3 nats, less the dead zone of 2).
const THRESHOLD_NATS_MIN: f64 = 1.0;

/// Peaks that are all the same still differ by a little next time.
const EXCESS_NATS_MIN: f64 = 1e-3;

/// The share of the budget that is aimed at: a budget is kept, not met.
const AIM: f64 = 0.8;

/// Where no tail could be fitted, the mean excess is this share of the threshold, as it was on fitted series.
const EXCESS_SHARE: f64 = 0.2;

/// Peaks that came more than so many times as often as the budget allows are what is usual. Incidents in the history are peaks, too, and
/// mustn't make us blind to the next one: three in two weeks are still incidents at a budget of one a week, four are a habit.
const COUNTED_TIMES: f64 = 3.0;

/// The next peak of a kind may be higher than those before. On simulated habits a tenth still called in ten families of a hundred, a quarter
/// in eight, and missed one fault more.
const COUNTED_BEYOND: f64 = 1.25;

/// Peaks nearer to each other than this are one event; and nearer than so many rows.
const EVENTS_APART: Duration = Duration::from_secs(3_600);
const EVENTS_APART_ROWS_MIN: usize = 5;

/// With fewer false alarms than this allowed in all the held-out time, the threshold lies beyond what that time could have
/// shown, and what a longer one would have: other weekdays, other loads. It is put further out by [`UNSEEN_SHARE`] for each
/// factor e that is missing, up to twice as far.
const ALLOWED_MIN: f64 = 3.0;

/// On six labelled sets (0.3 to 0.5 did alike) it took the set with seventeen hours of held-out rows from 2.0 to 1.5 times a budget of
/// one in five days, and left a budget of one a day as it was where there are three days or more.
const UNSEEN_SHARE: f64 = 0.4;

/// Where the alarm threshold starts: the fused surprisal, in nats, above which incidents open as often as the budget allows.
///
/// `fused` are the fused surprisals of consecutive rows that nothing was fitted on, one a `step`; `None` is a row without
/// a score. Peaks over threshold (Davison & Smith 1990; declustering by runs: Leadbetter 1991): each row gets its
/// opening level, so that "an incident opens at threshold u" is "the level reaches u"; runs of levels above a base
/// level are clusters, a cluster ending after `close_rows` rows below it; their peaks' excesses over the base level are
/// taken as exponential. With n clusters at a rate λ and a mean excess β, the predictive tail, β being itself uncertain,
/// is `P(excess > x) = (1 + x / (nβ))^-n`, so that the rate of openings is the budget B at
/// `u = base + nβ ((λ/B)^(1/n) - 1)`, which is `base + β ln(λ/B)` for many clusters and further out for few.
///
/// It is fitted to each half of the rows and to all of them, and the highest counts: a service isn't equally restless
/// every day, and the budget must hold on the restless ones. Where the budget is tight for the length of the history, it
/// is put further out: see `ALLOWED_MIN`.
///
/// No event is rarer than it was counted: if peaks of some level came more than three times as often as the budget allows, in
/// *all* of the history, the threshold lies above them. The first `n_fitted` rows are those that models were fitted on; what they
/// say of such rows is too low for a tail, and good enough for counting.
pub fn initial_threshold(
    fused: &[Option<f64>],
    n_fitted: usize,
    step: Duration,
    budget: &FalseAlarmBudget,
    hysteresis: &Hysteresis,
) -> InitialThreshold {
    start(fused, n_fitted, step, budget, hysteresis, further_out)
}

/// The same for a history that is taken to show all there is: nothing is put further out for what it can't have shown.
pub(crate) fn threshold_by_history(
    fused: &[Option<f64>],
    n_fitted: usize,
    step: Duration,
    budget: &FalseAlarmBudget,
    hysteresis: &Hysteresis,
) -> InitialThreshold {
    start(fused, n_fitted, step, budget, hysteresis, |initial, _| initial)
}

fn start(
    fused: &[Option<f64>],
    n_fitted: usize,
    step: Duration,
    budget: &FalseAlarmBudget,
    hysteresis: &Hysteresis,
    allowing: fn(InitialThreshold, f64) -> InitialThreshold,
) -> InitialThreshold {
    let values: Vec<f64> = fused.iter().map(|value| value.unwrap_or(0.0)).collect();
    let reach = hysteresis.of_rows as usize;
    let all_levels: Vec<f64> =
        (0..values.len()).map(|at| hysteresis.opening_level(&values[at.saturating_sub(reach - 1)..=at])).collect();
    let n_fitted = n_fitted.min(fused.len());
    let (levels, held_out) = (&all_levels[n_fitted..], &fused[n_fitted..]);
    let half = levels.len() / 2;
    let parts = [(&levels[..half], &held_out[..half]), (&levels[half..], &held_out[half..]), (levels, held_out)];
    let days = |fused: &[Option<f64>]| fused.iter().flatten().count() as f64 * step.as_secs_f64() / 86_400.0;
    let parts_fitted = parts.into_iter().filter_map(|(levels, fused)| fitted(levels, days(fused), budget, hysteresis));
    let highest = |a: InitialThreshold, b: InitialThreshold| if b.threshold_nats > a.threshold_nats { b } else { a };
    let initial = match parts_fitted.reduce(highest) {
        Some(initial) => allowing(initial, days(held_out) * budget.incidents_per_day()),
        None => without_a_tail(levels, step, budget),
    };
    above_what_was_counted(initial, &all_levels, days(fused) * budget.incidents_per_day(), step)
}

/// The threshold above all peaks that came too often.
fn above_what_was_counted(
    initial: InitialThreshold,
    levels: &[f64],
    n_allowed: f64,
    step: Duration,
) -> InitialThreshold {
    let apart = (EVENTS_APART.as_secs_f64() / step.as_secs_f64()) as usize;
    // Once is no habit, however short the history.
    let n_events = ((COUNTED_TIMES * n_allowed) as usize).max(1);
    let peaks = highest_peaks(levels, apart.max(EVENTS_APART_ROWS_MIN), n_events + 1);
    let counted = peaks.get(n_events).map_or(0.0, |peak| peak * COUNTED_BEYOND);
    if counted <= initial.threshold_nats {
        return initial;
    }
    InitialThreshold { threshold_nats: counted, excess_nats: initial.excess_nats.max(counted * EXCESS_SHARE) }
}

/// So many of the highest peaks, highest first, no two in the same stretch of so many rows or in neighbouring ones.
fn highest_peaks(levels: &[f64], apart_rows: usize, n_peaks: usize) -> Vec<f64> {
    let mut stretches: Vec<(usize, f64)> =
        levels.chunks(apart_rows).map(|chunk| chunk.iter().copied().fold(0.0, f64::max)).enumerate().collect();
    let mut is_taken = vec![false; stretches.len()];
    stretches.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut peaks = Vec::new();
    for (idx, peak) in stretches {
        let near = idx.saturating_sub(1)..(idx + 2).min(is_taken.len());
        if peaks.len() < n_peaks && !is_taken[near].contains(&true) {
            is_taken[idx] = true;
            peaks.push(peak);
        }
    }
    peaks
}

/// The threshold when only so many false alarms were allowed in all the time it was fitted to.
fn further_out(initial: InitialThreshold, n_allowed: f64) -> InitialThreshold {
    let by = 1.0 + (UNSEEN_SHARE * (ALLOWED_MIN / n_allowed).ln()).clamp(0.0, 1.0);
    InitialThreshold { threshold_nats: by * initial.threshold_nats, excess_nats: by * initial.excess_nats }
}

/// The threshold by one part of the history, or `None` if nothing can be fitted to it.
fn fitted(
    levels: &[f64],
    observed_days: f64,
    budget: &FalseAlarmBudget,
    hysteresis: &Hysteresis,
) -> Option<InitialThreshold> {
    let (base, excesses) = clusters(levels, hysteresis.close_rows as usize)?;
    let n = excesses.len() as f64;
    let mean_excess = cut_mean(excesses);
    let ratio = n / observed_days / (AIM * budget.incidents_per_day());
    // A budget looser than the base level's own rate stays at the base level: fewer alarms than allowed.
    let beyond = n * mean_excess * (ratio.max(1.0).powf(1.0 / n) - 1.0);
    Some(InitialThreshold {
        threshold_nats: (base + beyond).max(THRESHOLD_NATS_MIN),
        excess_nats: mean_excess.max(EXCESS_NATS_MIN),
    })
}

/// When too little stands out to fit a tail: above everything seen, and above what one perfectly calibrated detector
/// exceeds at the budget's rate, `ln(rows a day / incidents a day)` less the dead zone.
fn without_a_tail(levels: &[f64], step: Duration, budget: &FalseAlarmBudget) -> InitialThreshold {
    let rows_per_day = 86_400.0 / step.as_secs_f64();
    let one_detector = (rows_per_day / budget.incidents_per_day()).ln() - DEAD_ZONE_NATS;
    let threshold_nats = levels.iter().copied().fold(one_detector.max(THRESHOLD_NATS_MIN), f64::max);
    InitialThreshold { threshold_nats, excess_nats: threshold_nats * EXCESS_SHARE }
}

/// The highest base level that leaves enough clusters, and each cluster's peak excess over it.
fn clusters(levels: &[f64], gap_rows: usize) -> Option<(f64, Vec<f64>)> {
    let mut sorted = levels.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut best: Option<(f64, Vec<f64>)> = None;
    for quantile in BASE_QUANTILES {
        let base = *sorted.get(((sorted.len().max(1) - 1) as f64 * quantile) as usize)?;
        let excesses = peak_excesses(levels, base, gap_rows);
        if best.as_ref().is_none_or(|(_, most)| excesses.len() > most.len()) {
            let enough = excesses.len() >= CLUSTERS_WANTED;
            best = Some((base, excesses));
            if enough {
                break;
            }
        }
    }
    best.filter(|(_, excesses)| excesses.len() >= CLUSTERS_MIN)
}

fn peak_excesses(levels: &[f64], base: f64, gap_rows: usize) -> Vec<f64> {
    let mut peaks: Vec<f64> = Vec::new();
    let mut rows_below = gap_rows;
    for level in levels {
        if *level > base {
            let excess = level - base;
            match peaks.last_mut() {
                Some(peak) if rows_below < gap_rows => *peak = peak.max(excess),
                Some(_) | None => peaks.push(excess),
            }
            rows_below = 0;
        } else {
            rows_below = rows_below.saturating_add(1);
        }
    }
    peaks
}

/// The mean, each excess cut at [`EXCESS_MEANS_MAX`] robust means; `excesses` isn't empty.
fn cut_mean(mut excesses: Vec<f64>) -> f64 {
    excesses.sort_by(f64::total_cmp);
    let median = excesses[excesses.len() / 2];
    let cut = EXCESS_MEANS_MAX * median / std::f64::consts::LN_2;
    excesses.iter().map(|excess| excess.min(cut)).sum::<f64>() / excesses.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat_core::Seed;
    use rand::Rng;

    use crate::hysteresis::Gate;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Surprisals of an exponential with memory: each row mixes the previous one in, as smoothed residuals do.
    fn surprisals(seed: Seed, n_rows: usize, memory: f64) -> Vec<Option<f64>> {
        let mut rng = seed.rng();
        let mut last = 0.0_f64;
        (0..n_rows)
            .map(|_| {
                let fresh = -(1.0 - rng.random::<f64>()).ln();
                last = (memory * last).max(fresh);
                Some((2.0 * last - 2.0).max(0.0))
            })
            .collect()
    }

    fn threshold_nats(fused: &[Option<f64>], budget: &FalseAlarmBudget) -> f64 {
        initial_threshold(fused, 0, MINUTE, budget, &Hysteresis::default()).threshold_nats
    }

    fn openings(fused: &[Option<f64>], threshold: f64) -> usize {
        let rule = Hysteresis::default();
        let (mut gate, mut open, mut n) = (Gate::default(), false, 0);
        for value in fused {
            gate.push(&rule, value.map(|value| value / threshold));
            if !open && gate.opens(&rule) {
                (open, n) = (true, n + 1);
            } else if open && gate.is_calm(&rule) {
                open = false;
            }
        }
        n
    }

    #[test]
    fn the_budget_is_roughly_realised_on_noise_that_was_never_seen() {
        let budget: FalseAlarmBudget = "1 per 1d".parse().expect("a budget");
        for memory in [0.0, 0.5, 0.8] {
            let mut realised = Vec::new();
            for round in 0..20 {
                let seed = Seed::new(round).fork("budget");
                let fit = surprisals(seed.fork("fit"), 3 * 1440, memory);
                let threshold = threshold_nats(&fit, &budget);
                let n_days = 100;
                let n = openings(&surprisals(seed.fork("fresh"), n_days * 1440, memory), threshold);
                realised.push(n as f64 / n_days as f64);
            }
            let mean = realised.iter().sum::<f64>() / realised.len() as f64;
            assert!((0.3..=1.5).contains(&mean), "memory {memory}: {mean} a day, {realised:?}");
        }
    }

    #[test]
    fn a_budget_that_the_history_is_too_short_to_show_is_put_further_out_and_no_more_than_twice() {
        let initial = InitialThreshold { threshold_nats: 10.0, excess_nats: 2.0 };
        assert_eq!(further_out(initial, 3.0), initial);
        assert_eq!(further_out(initial, 100.0), initial);
        let one = further_out(initial, 1.0);
        assert!((one.threshold_nats - 10.0 * (1.0 + 0.4 * 3.0_f64.ln())).abs() < 1e-9, "{one:?}");
        assert_eq!(further_out(initial, 1e-6), InitialThreshold { threshold_nats: 20.0, excess_nats: 4.0 });
    }

    #[test]
    fn a_tighter_budget_and_a_shorter_history_move_the_threshold_out() {
        let fused = surprisals(Seed::new(5), 4000, 0.5);
        let loose = threshold_nats(&fused, &"1 per 1d".parse().expect("a budget"));
        let tight = threshold_nats(&fused, &"1 per 30d".parse().expect("a budget"));
        assert!(tight > loose, "{tight} {loose}");
    }

    #[test]
    fn one_real_incident_in_the_history_does_not_blind() {
        let mut fused = surprisals(Seed::new(6), 4000, 0.5);
        let before = threshold_nats(&fused, &FalseAlarmBudget::default());
        fused[2000..2030].fill(Some(5000.0));
        let after = threshold_nats(&fused, &FalseAlarmBudget::default());
        assert!(after < 3.0 * before, "{after} {before}");
    }

    #[test]
    fn nothing_to_fit_still_gives_a_threshold() {
        for fused in [vec![], vec![None; 500], vec![Some(0.0); 500]] {
            let threshold = threshold_nats(&fused, &FalseAlarmBudget::default());
            assert!((threshold - (10_080.0_f64.ln() - 2.0)).abs() < 1e-9, "{threshold}");
        }
        let high = threshold_nats(&[Some(50.0); 3], &FalseAlarmBudget::default());
        assert_eq!(high, 50.0);
    }
}
