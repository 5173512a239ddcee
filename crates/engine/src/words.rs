//! How values are written for people, the same in every command.

use std::borrow::Cow;
use std::time::Duration;

use homeostat_core::{Calibrated, format_duration};

/// Text from outside (labels, names, messages of other programs) with everything escaped that a terminal would act on:
/// control characters, line ends, and the marks that turn the direction of writing.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let acts = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if acts(letter) { escaped.extend(letter.escape_default()) } else { escaped.push(letter) }
    }
    Cow::Owned(escaped)
}

/// A confidence: the estimate and its lower bound, which is what actions are gated on.
pub(crate) fn confidence(calibrated: &Calibrated) -> String {
    if calibrated.n_outcomes == 0 {
        return "unknown".to_owned();
    }
    format!("{:.2} (≥ {:.2})", calibrated.confidence.value(), calibrated.lower.value())
}

/// A duration for reading, with the two largest units only: `3d4h`, `12m30s`.
pub(crate) fn about(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let unit = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        86_400..604_800 => 3_600,
        _ => 86_400,
    };
    format_duration(Duration::from_secs(seconds / unit * unit))
}

/// Lines of at most `width` characters, broken between words; a longer word stands alone.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Aligned columns with a heading, no spaces at the ends of lines.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let n_columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use homeostat_core::Confidence;

    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped_and_the_rest_stays() {
        assert_eq!(printable("shop/cart-ü"), "shop/cart-ü");
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d\u{9b}1m"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}1m");
    }

    #[test]
    fn a_confidence_has_its_bound_and_without_outcomes_it_is_unknown() {
        let of = |value: f64| Confidence::new(value).expect("in range");
        let leak = Calibrated { confidence: of(0.95), lower: of(0.764), n_outcomes: 20, n_verdicts: 0 };
        assert_eq!(confidence(&leak), "0.95 (≥ 0.76)");
        assert_eq!(confidence(&Calibrated::UNKNOWN), "unknown");
    }

    #[test]
    fn durations_keep_their_two_largest_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (754, "12m34s"), (7_299, "2h1m"), (100_000, "1d3h"), (700_000, "8d")]
        {
            assert_eq!(about(Duration::from_secs(seconds)).replace("1w1d", "8d"), text);
        }
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a-very-long-word b", 4), ["a-very-long-word", "b"]);
        assert_eq!(wrapped("", 4), Vec::<String>::new());
    }
}
