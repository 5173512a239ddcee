//! Taking names out of messages, and putting them into sentences.

/// Letters of a foreign message that go into a sentence: a line or two.
const QUOTED_MAX: usize = 200;

/// The first text in quotation marks after `before`.
pub(super) fn quoted_after<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    quoted(rest)
}

/// The first text in quotation marks.
pub(super) fn quoted(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once('"')?;
    rest.split('"').next().filter(|text| !text.is_empty())
}

/// A foreign message as part of a sentence: one line, not too long, without the full stop.
pub(super) fn cut(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim().trim_end_matches('.');
    if line.chars().count() <= QUOTED_MAX {
        return line.to_owned();
    }
    let cut: String = line.chars().take(QUOTED_MAX).collect();
    format!("{}…", cut.trim_end())
}

/// `1 of 3 pods`.
pub(super) fn of_pods(n: usize, of: usize) -> String {
    format!("{n} of {of} {}", if of == 1 { "pod" } else { "pods" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_between_quotation_marks() {
        assert_eq!(quoted_after(r#"configmap "settings" not found"#, "configmap "), Some("settings"));
        assert_eq!(quoted_after(r#"secret "a""#, "configmap "), None);
        assert_eq!(quoted("none at all"), None);
        assert_eq!(cut("first line.\nsecond"), "first line");
        assert_eq!(cut(&"ü".repeat(900)).chars().count(), QUOTED_MAX + 1);
    }
}
