//! Amounts of memory as they are written into a pod template. Pure.

/// This many bytes, rounded up to whole mebibytes, as `kubectl` shows memory.
pub(crate) fn mebibytes(bytes: f64) -> String {
    format!("{:.0}Mi", (bytes / 1_048_576.0).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_rounded_up_to_whole_mebibytes() {
        assert_eq!(mebibytes(536_870_912.0), "512Mi");
        assert_eq!(mebibytes(536_870_913.0), "513Mi");
    }
}
