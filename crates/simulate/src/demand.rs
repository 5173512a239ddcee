//! How many requests the world sends at which hour. Not how they spread inside the shop.

use homeostat_core::Timestamp;

/// Traffic at each full hour (UTC), relative to the mean of the day: quiet at night, a shoulder at noon and a peak in
/// the evening, as shops know it. Between the hours it's interpolated.
const HOURS: [f64; 24] = [
    0.60, 0.45, 0.36, 0.33, 0.33, 0.38, 0.52, 0.72, 0.92, 1.08, 1.18, 1.27, 1.33, 1.28, 1.22, 1.20, 1.24, 1.34, 1.48,
    1.55, 1.50, 1.36, 1.10, 0.84,
];

/// Traffic of each day of the week, Monday first, relative to the mean of the week.
const DAYS: [f64; 7] = [0.95, 0.94, 0.96, 0.98, 1.03, 1.10, 1.04];

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// Demand at this moment, relative to its mean over the week.
pub(crate) fn relative_demand(at: Timestamp) -> f64 {
    // Days are blended over midnight like the hours, so that no step shows there. 1970-01-01 was a Thursday.
    let day_ms = at.as_millis() + 3 * DAY_MS;
    let hour_ms = at.as_millis();
    between(&DAYS, day_ms - DAY_MS / 2, DAY_MS) * between(&HOURS, hour_ms, HOUR_MS)
}

/// The table's value at `at_ms`, one entry each `every_ms`, going round, linear between entries.
fn between(table: &[f64], at_ms: i64, every_ms: i64) -> f64 {
    let idx = at_ms.div_euclid(every_ms).rem_euclid(i64::try_from(table.len()).unwrap_or(1));
    let here = usize::try_from(idx).unwrap_or(0);
    let next = (here + 1) % table.len();
    let share = at_ms.rem_euclid(every_ms) as f64 / every_ms as f64;
    table[here] + (table[next] - table[here]) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64, hour: i64) -> f64 {
        relative_demand(Timestamp::from_secs(day * 86_400 + hour * 3600))
    }

    #[test]
    fn the_mean_over_a_week_is_one() {
        let mean = (0..7 * 24 * 60).map(|minute| relative_demand(Timestamp::from_secs(minute * 60))).sum::<f64>()
            / (7.0 * 24.0 * 60.0);
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn evenings_are_busier_than_nights_and_saturdays_than_mondays() {
        assert!(at(0, 19) > 4.0 * at(0, 4));
        // Day 2 of Unix time is a Saturday, day 4 a Monday.
        assert!(at(2, 12) > 1.1 * at(4, 12));
    }

    #[test]
    fn no_minute_jumps() {
        for minute in 0..7 * 24 * 60 {
            let [a, b] = [minute, minute + 1].map(|m| relative_demand(Timestamp::from_secs(m * 60)));
            assert!((a - b).abs() < 0.02, "{minute}");
        }
    }
}
