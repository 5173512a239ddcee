//! When the source itself scraped nothing. A rate over five minutes goes on through a gap of three as if the services had
//! slowed down, and an instant selector repeats its last sample for five minutes: the answers alone don't show such a gap.
//! The age of the newest scrape, asked for beside the queries, does.

use std::time::Duration;

use homeostat_core::Timestamp;

use crate::matrix::Matrix;

/// The moment of the newest scrape of all targets, at each step: one series without labels. `up` is written by Prometheus at
/// each scrape, also at one that fails.
pub(crate) const SCRAPES_EXPR: &str = "max(timestamp(up))";

/// The newest scrape is this many scrape intervals old at most. One and a half: of many targets one is always newer than a
/// single interval, and of a single one the scrape may come late.
const INTERVALS_MAX: f64 = 1.5;

/// The same in usual ages: a lone target's sample is half an interval old in the middle.
const USUAL_AGES_MAX: f64 = 2.0 * INTERVALS_MAX;

/// An age that no answer to [`SCRAPES_EXPR`] has: Prometheus looks back five minutes, other servers may be told to look back
/// longer. What says more is an answer to something else.
const AGE_MAX: Duration = Duration::from_secs(3_600);

/// Older than any server looks back: nothing was scraped for longer than that.
pub(crate) const LONG_AGO: Duration = AGE_MAX;

/// Ages of the newest scrape by moment, in order; of what isn't [`SCRAPES_EXPR`]'s answer none.
pub(crate) fn ages(answer: &Matrix) -> Vec<(Timestamp, Duration)> {
    let [series] = answer.series() else { return Vec::new() };
    if !series.labels().is_empty() {
        return Vec::new();
    }
    let mut ages = Vec::with_capacity(series.samples().len());
    for sample in series.samples() {
        let scraped_ms = sample.value * 1000.0;
        let age_ms = sample.at.as_millis() as f64 - scraped_ms;
        // Rounding of seconds in an f64 may put it a millisecond ahead.
        if !(-1_000.0..=AGE_MAX.as_millis() as f64).contains(&age_ms) {
            return Vec::new();
        }
        ages.push((sample.at, Duration::from_millis(age_ms.max(0.0) as u64)));
    }
    ages
}

/// The age from which on the source counts as silent, given the ages that were seen and the configured scrape interval.
pub(crate) fn silent_from(mut seen: Vec<Duration>, scrape_interval: Duration) -> Duration {
    // However long a gap lasts, it doesn't become what is usual.
    seen.retain(|age| *age < LONG_AGO);
    seen.sort_unstable();
    let usual = seen.get(seen.len() / 2).copied().unwrap_or_default();
    scrape_interval.mul_f64(INTERVALS_MAX).max(usual.mul_f64(USUAL_AGES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Dropped, Labels, Sample, Series};

    fn answer(labels: &[(&str, &str)], points: &[(i64, f64)]) -> Matrix {
        let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let samples =
            points.iter().map(|(at, value)| Sample { at: Timestamp::from_secs(*at), value: *value }).collect();
        Matrix::new(vec![Series::new(labels, samples).0], Dropped::default())
    }

    #[test]
    fn only_moments_of_scrapes_are_taken_for_such() {
        let secs = |ages: Vec<(Timestamp, Duration)>| ages.iter().map(|(_, age)| age.as_secs()).collect::<Vec<_>>();
        assert_eq!(secs(ages(&answer(&[], &[(1_000, 995.0), (1_060, 995.0)]))), [5, 65]);
        for other in [
            answer(&[("job", "x")], &[(1_000, 995.0)]),
            answer(&[], &[(1_700_000_000, 0.5)]),
            answer(&[], &[(1_000, 995.0), (1_060, 9_999.0)]),
            Matrix::default(),
        ] {
            assert!(ages(&other).is_empty(), "{other:?}");
        }
    }

    #[test]
    fn the_limit_follows_a_lone_target_that_is_scraped_more_rarely_than_configured() {
        let secs = |ages: &[u64]| ages.iter().map(|age| Duration::from_secs(*age)).collect::<Vec<_>>();
        let configured = Duration::from_secs(30);
        assert_eq!(silent_from(secs(&[1, 2, 1, 1]), configured), Duration::from_secs(45));
        assert_eq!(silent_from(secs(&[0, 20, 40, 60, 80, 100]), configured), Duration::from_secs(180));
        assert_eq!(silent_from(secs(&[5, 3_600, 3_600]), configured), Duration::from_secs(45));
    }
}
