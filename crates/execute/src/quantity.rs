//! Kubernetes quantities such as `512Mi`, `1.5Gi` or `100m`. Pure.

/// Suffixes and what they stand for, longest first.
const UNITS: [(&str, f64); 14] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("", 1.0),
];

/// A quantity in its base unit: bytes, cores, pods. Nothing for what isn't one, or is negative.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let (digits, factor) = UNITS.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
    let value: f64 = digits.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some(value * factor)
}

/// This many bytes, rounded up to whole mebibytes, as `kubectl` shows memory.
pub(crate) fn mebibytes(bytes: f64) -> String {
    format!("{:.0}Mi", (bytes / 1_048_576.0).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_in_their_base_unit() {
        let cases = [
            ("512Mi", Some(536_870_912.0)),
            ("1.5Gi", Some(1_610_612_736.0)),
            ("100m", Some(0.1)),
            ("2", Some(2.0)),
            ("128974848", Some(128_974_848.0)),
            ("1e3", Some(1000.0)),
            ("1M", Some(1e6)),
            ("", None),
            ("Mi", None),
            ("-1", None),
            ("inf", None),
            ("much", None),
        ];
        for (text, expected) in cases {
            let found = parse(text);
            let is_same = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() <= expected * 1e-9,
                (found, expected) => found == expected,
            };
            assert!(is_same, "{text}: {found:?}");
        }
        assert_eq!(mebibytes(536_870_912.0), "512Mi");
        assert_eq!(mebibytes(536_870_913.0), "513Mi");
    }
}
