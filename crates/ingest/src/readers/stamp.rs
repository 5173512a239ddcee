//! Numbers and moments as the formats write them.

use homeostat_core::Timestamp;

/// Largest moment, in seconds either way, that whole milliseconds in an f64 hold exactly (2^53 ms).
const SECS_MAX: f64 = 9_007_199_254_740.0;

/// A number as Go, Python and OpenMetrics write it, NaN and infinities included.
pub(super) fn number(text: &str) -> Option<f64> {
    // Rust also reads "infinity" and the like in any case, as Go does.
    text.parse().ok()
}

/// A moment in seconds since 1970, to the nearest millisecond.
pub(super) fn moment_of_secs(secs: f64) -> Option<Timestamp> {
    (-SECS_MAX..=SECS_MAX).contains(&secs).then(|| Timestamp::from_millis((secs * 1000.0).round() as i64))
}

/// A moment as tables write it: RFC 3339, or a number since 1970 in seconds, milliseconds, microseconds or nanoseconds.
/// Which, its size says: each unit's range of plausible years (1973 to 5138) lies apart from the others'.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let Some(number) = number(text) else {
        let spaced = text.replacen(' ', "T", 1);
        // What has no offset is UTC: the machine's own zone must not change what a file means.
        return text.parse().or_else(|_| spaced.parse()).or_else(|_| format!("{spaced}Z").parse()).ok();
    };
    if number.abs() < 1e11 {
        return moment_of_secs(number);
    }
    // Whole numbers of these sizes lose digits as f64.
    let whole: i64 = text.parse().ok()?;
    moment_of_whole(whole)
}

/// As [`moment`], of a whole number.
pub(super) fn moment_of_whole(whole: i64) -> Option<Timestamp> {
    Some(match whole.unsigned_abs() {
        0..100_000_000_000 => Timestamp::from_secs(whole),
        100_000_000_000..100_000_000_000_000 => Timestamp::from_millis(whole),
        100_000_000_000_000..100_000_000_000_000_000 => Timestamp::from_millis(whole.div_euclid(1000)),
        _nanoseconds => Timestamp::from_millis(whole.div_euclid(1_000_000)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_any_usual_way() {
        let wanted = Some(Timestamp::from_millis(1_700_000_000_500));
        for text in [
            "1700000000.5",
            "1700000000500",
            "1700000000500000",
            "1700000000500000000",
            "2023-11-14T22:13:20.5Z",
            "2023-11-14 22:13:20.5",
            "2023-11-14T23:13:20.5+01:00",
        ] {
            assert_eq!(moment(text), wanted, "{text}");
        }
        for text in ["", "yesterday", "NaN", "inf", "2023-13-01T00:00:00Z"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
