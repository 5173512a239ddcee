//! Durations as Prometheus writes them: `10m`, `1h30m`, `7d`, `250ms`.

use std::time::Duration;

/// A text that is no Prometheus duration.
///
/// ```
/// use homeostat_core::parse_duration;
///
/// let refused = parse_duration("1.5h").map_err(|error| error.to_string());
/// assert_eq!(refused, Err(r#"invalid duration "1.5h": write it like 30s, 10m, 1h30m, 7d or 250ms"#.to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration {0:?}: write it like 30s, 10m, 1h30m, 7d or 250ms")]
pub struct NotADuration(String);

/// Units from largest to smallest, in milliseconds; a year is 365 days and a week 7, as in Prometheus.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Parses a Prometheus duration: one or more numbers with units, largest unit first, each at most once; or `0`.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::parse_duration;
///
/// assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5_400)));
/// assert!(parse_duration("1.5h").is_err(), "Prometheus takes whole numbers only");
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let wrong = || NotADuration(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut units_left = &UNITS[..];
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..n_digits].parse().map_err(|_| wrong())?;
        rest = &rest[n_digits..];
        let n_letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let idx = units_left.iter().position(|(name, _)| *name == &rest[..n_letters]).ok_or_else(wrong)?;
        let ms = number.checked_mul(units_left[idx].1).ok_or_else(wrong)?;
        total_ms = total_ms.checked_add(ms).ok_or_else(wrong)?;
        units_left = &units_left[idx + 1..];
        rest = &rest[n_letters..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(total_ms)) }
}

/// Writes a duration as Prometheus does; below a millisecond is cut off.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::format_duration;
///
/// assert_eq!(format_duration(Duration::from_secs(5_400)), "1h30m");
/// assert_eq!(format_duration(Duration::from_secs(14 * 86_400)), "2w");
/// ```
pub fn format_duration(duration: Duration) -> String {
    let mut left_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left_ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, unit_ms) in UNITS {
        // Like Prometheus, years and weeks only when nothing smaller is left: 9d is clearer than 1w2d.
        let whole_only = name == "y" || name == "w";
        if left_ms >= unit_ms && (!whole_only || left_ms.is_multiple_of(unit_ms)) {
            text.push_str(&format!("{}{name}", left_ms / unit_ms));
            left_ms %= unit_ms;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_prometheus_parses() {
        for (text, secs) in [("10m", 600), ("1h30m", 5400), ("7d", 604_800), ("1w", 604_800), ("0", 0), ("90s", 90)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        assert_eq!(parse_duration("1s250ms"), Ok(Duration::from_millis(1250)));
    }

    #[test]
    fn refuses_what_prometheus_refuses() {
        for text in
            ["", "10", "m", "-5m", "5m1h", "1m1m", "1.5h", "5 m", "99999999999999999999s", "9999999999999999y", "1µs"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0u64..10_000_000_000_000) {
            let duration = Duration::from_millis(ms);
            proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
