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

/// The number that a quantity is.
pub(super) fn parse(text: &str) -> Option<f64> {
    let (digits, factor) =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor))).unwrap_or((text, 1.0));
    let value: f64 = digits.parse().ok()?;
    let value = value * factor;
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// Bytes for reading: `1.2Gi`.
pub(super) fn bytes_text(bytes: f64) -> String {
    let units = [("Ti", 1_099_511_627_776.0), ("Gi", 1_073_741_824.0), ("Mi", 1_048_576.0), ("Ki", 1024.0)];
    let (unit, factor) = units.into_iter().find(|(_, factor)| bytes >= *factor).unwrap_or(("", 1.0));
    format!("{}{unit}", rounded(bytes / factor))
}

/// CPUs for reading: `250m`, `1.5`.
pub(super) fn cpus_text(cpus: f64) -> String {
    if cpus < 1.0 { format!("{:.0}m", cpus * 1000.0) } else { rounded(cpus) }
}

/// With one decimal, where it isn't zero.
fn rounded(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_means_them() {
        for (text, wanted) in [
            ("500m", Some(0.5)),
            ("4Gi", Some(4_294_967_296.0)),
            ("1.5Gi", Some(1_610_612_736.0)),
            ("128974848", Some(128_974_848.0)),
            ("1e3", Some(1000.0)),
            ("2k", Some(2000.0)),
            ("", None),
            ("-1", None),
            ("NaN", None),
            ("four", None),
        ] {
            assert_eq!(parse(text), wanted, "{text:?}");
        }
        assert_eq!((bytes_text(4_294_967_296.0), bytes_text(1.2e9)), ("4Gi".to_owned(), "1.1Gi".to_owned()));
        assert_eq!((cpus_text(0.25), cpus_text(1.5), cpus_text(4.0)), ("250m".into(), "1.5".into(), "4".into()));
    }
}
