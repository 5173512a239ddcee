//! Quantities for people to read.

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
    fn quantities_are_written_for_people() {
        assert_eq!((bytes_text(4_294_967_296.0), bytes_text(1.2e9)), ("4Gi".to_owned(), "1.1Gi".to_owned()));
        assert_eq!((cpus_text(0.25), cpus_text(1.5), cpus_text(4.0)), ("250m".into(), "1.5".into(), "4".into()));
    }
}
