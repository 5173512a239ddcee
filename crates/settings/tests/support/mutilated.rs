//! Files as nobody would write them on purpose, for what reads files; included by its tests.

use proptest::prelude::*;

/// What stands where a value should, or in its way.
const ODD: [&str; 16] = [
    "",
    "null",
    "-1",
    "1e999",
    ".nan",
    "99999999999999999999",
    "''",
    "[]",
    "{}",
    "[[[[[[[[",
    "&a [*a, *a]",
    "!!binary x",
    "\u{0}",
    "\"\\ud800\"",
    "0x7fffffffffffffff",
    "~",
];

/// A text with some of its lines removed, doubled, indented otherwise, cut, or with another value.
pub(crate) fn mutilated(text: &str, changes: &[(proptest::sample::Index, u8, usize)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (at, how, which) in changes.iter().filter(|_| !text.is_empty()) {
        if lines.is_empty() {
            break;
        }
        let at = at.index(lines.len());
        match how % 6 {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => lines[at].insert_str(0, &" ".repeat(which % 7)),
            3 => lines[at] = lines[at].chars().take(which % 30).collect(),
            4 => lines[at] = lines[at].trim_start().to_owned(),
            _ => {
                let key = lines[at].split_once(':').map_or("", |(key, _)| key).to_owned();
                lines[at] = format!("{key}: {}", ODD[which % ODD.len()]);
            }
        }
    }
    lines.join("\n")
}

pub(crate) fn changes() -> impl Strategy<Value = Vec<(proptest::sample::Index, u8, usize)>> {
    proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), any::<usize>()), 1..5)
}
