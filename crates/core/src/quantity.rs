//! Quantities as Kubernetes writes them: `500m` of a CPU, `1.5Gi` of memory.

/// The factor of each suffix.
const SUFFIXES: [(&str, f64); 13] = [
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
];

/// The number that a quantity is, in its base unit: bytes, CPUs, pods. `None` for what isn't one, or is negative.
///
/// ```
/// use homeostat_core::parse_quantity;
///
/// assert_eq!(parse_quantity("500m"), Some(0.5));
/// assert_eq!(parse_quantity("4Gi"), Some(4_294_967_296.0));
/// assert_eq!(parse_quantity("four"), None);
/// ```
pub fn parse_quantity(text: &str) -> Option<f64> {
    let (digits, factor) =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor))).unwrap_or((text, 1.0));
    let value: f64 = digits.parse().ok()?;
    let value = value * factor;
    (value.is_finite() && value >= 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_means_them() {
        let cases = [
            ("512Mi", Some(536_870_912.0)),
            ("4Gi", Some(4_294_967_296.0)),
            ("1.5Gi", Some(1_610_612_736.0)),
            ("100m", Some(0.1)),
            ("500m", Some(0.5)),
            ("2", Some(2.0)),
            ("2k", Some(2000.0)),
            ("1M", Some(1e6)),
            ("", None),
            ("Mi", None),
            ("-1", None),
            ("inf", None),
            ("NaN", None),
            ("much", None),
        ];
        for (text, expected) in cases {
            let found = parse_quantity(text);
            let is_same = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() <= expected * 1e-9,
                (found, expected) => found == expected,
            };
            assert!(is_same, "{text}: {found:?}");
        }
    }
}
