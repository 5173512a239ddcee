//! Reads a section's keys, gathering problems instead of stopping at the first.

use std::collections::BTreeSet;
use std::time::Duration;

use homeostat_core::parse_duration;

use crate::node::{Node, Value};
use crate::problem::{Place, Problem};

/// A section (keys with values) being read. Each accessor asks for one key; [`Reader::finish`] reports the keys that
/// nobody asked for. An accessor that reports a problem gives `None`, like an absent key: the caller goes on with its
/// default, and the problems are looked at once, at the end.
pub struct Reader<'a> {
    file: &'a str,
    path: String,
    place: Place,
    entries: &'a [(String, Place, Node)],
    asked: BTreeSet<&'static str>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Starts reading `node`, which must be a section; `path` names it in messages (empty for the whole document).
    pub fn new(file: &'a str, path: &str, node: &'a Node, problems: &'a mut Vec<Problem>) -> Self {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            // `section:` with nothing below it is an empty section.
            Value::Null => &[],
            other => {
                let section = if path.is_empty() { "the document" } else { path };
                let message = format!("{section} must be keys with values, not {}", other.kind());
                problems.push(Problem { file: file.to_owned(), place: node.place, message });
                &[]
            }
        };
        Self { file, path: path.to_owned(), place: node.place, entries, asked: BTreeSet::new(), problems }
    }

    /// Where the section begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The file's name.
    pub fn file(&self) -> &'a str {
        self.file
    }

    /// A key's path for messages: `section.key`.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Adds a problem at a place.
    pub fn problem(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem { file: self.file.to_owned(), place, message: message.into() });
    }

    /// The list that problems are gathered in, to read a part of this section with a reader of its own.
    pub fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// A key's node, whatever it is. A key with nothing behind it counts as absent.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.insert(key);
        let (_, _, node) = self.entries.iter().find(|(name, _, _)| name == key)?;
        if node.value == Value::Null { None } else { Some(node) }
    }

    /// Whether the key is written, even with nothing behind it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _, _)| name == key)
    }

    /// A key read by `read`, which says what is wanted instead when it isn't that.
    pub fn get<T>(&mut self, key: &'static str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let node = self.node(key)?;
        match read(&node.value) {
            Ok(value) => Some(value),
            Err(why) => {
                let message = format!("{}: {why}", self.path_of(key));
                self.problem(node.place, message);
                None
            }
        }
    }

    /// Reports a key that must be there and isn't.
    pub fn require<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && self.node(key).is_none() {
            let message = format!("{} is missing", self.path_of(key));
            self.problem(self.place, message);
        }
        value
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.get(key, |value| match value {
            Value::Text(text) => Ok(text.clone()),
            // `name: 5` means the text 5.
            Value::Integer(number) => Ok(number.to_string()),
            other => Err(format!("must be a text, not {}", other.kind())),
        })
    }

    /// A text that `T` can be parsed from; `T`'s own error says what is wanted.
    pub fn parsed<T: std::str::FromStr>(&mut self, key: &'static str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        self.get(key, |value| match value {
            Value::Text(text) => text.parse().map_err(|error: T::Err| error.to_string()),
            other => Err(format!("must be a text, not {}", other.kind())),
        })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.get(key, |value| match value {
            Value::Bool(flag) => Ok(*flag),
            other => Err(format!("must be true or false, not {}", other.kind())),
        })
    }

    /// A number in a range.
    pub fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
        self.get(key, |value| {
            let number = match value {
                Value::Integer(number) => *number as f64,
                Value::Float(number) => *number,
                other => return Err(format!("must be a number, not {}", other.kind())),
            };
            if range.contains(&number) {
                Ok(number)
            } else {
                Err(format!("must lie between {} and {}, not {number}", range.start(), range.end()))
            }
        })
    }

    /// A whole number in a range.
    pub fn count(&mut self, key: &'static str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        self.get(key, |value| match value {
            Value::Integer(number) => u32::try_from(*number)
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("must lie between {} and {}, not {number}", range.start(), range.end())),
            other => Err(format!("must be a whole number, not {}", other.kind())),
        })
    }

    /// A Prometheus duration.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.get(key, |value| match value {
            Value::Text(text) => parse_duration(text).map_err(|error| error.to_string()),
            Value::Integer(0) => Ok(Duration::ZERO),
            other => Err(format!("must be a duration such as 30s or 10m, not {}", other.kind())),
        })
    }

    /// A list of texts; a single text is a list of one.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.get(key, |value| match value {
            Value::Text(text) => Ok(vec![text.clone()]),
            Value::List(items) => items
                .iter()
                .map(|item| match &item.value {
                    Value::Text(text) => Ok(text.clone()),
                    other => Err(format!("must be a list of texts; one is {}", other.kind())),
                })
                .collect(),
            other => Err(format!("must be a list of texts, not {}", other.kind())),
        })
    }

    /// A list's items; nothing where the key is absent.
    pub fn items(&mut self, key: &'static str) -> &'a [Node] {
        match self.node(key) {
            None => &[],
            Some(Node { value: Value::List(items), .. }) => items,
            Some(node) => {
                let message = format!("{} must be a list, not {}", self.path_of(key), node.value.kind());
                self.problem(node.place, message);
                &[]
            }
        }
    }

    /// A section whose keys are names the user chose; nothing where the key is absent.
    pub fn named(&mut self, key: &'static str) -> &'a [(String, Place, Node)] {
        match self.node(key) {
            None => &[],
            Some(Node { value: Value::Map(entries), .. }) => entries,
            Some(node) => {
                let message = format!("{} must be keys with values, not {}", self.path_of(key), node.value.kind());
                self.problem(node.place, message);
                &[]
            }
        }
    }

    /// Reads a part of this section with a reader of its own; an absent part isn't read.
    pub fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Reader<'_>) -> T) -> Option<T> {
        let node = self.node(key)?;
        let path = self.path_of(key);
        let mut reader = Reader::new(self.file, &path, node, self.problems);
        let value = read(&mut reader);
        reader.finish();
        Some(value)
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        for (name, place, _) in self.entries {
            if !self.asked.contains(name.as_str()) {
                let nearest = self
                    .asked
                    .iter()
                    .map(|known| (edit_distance(name, known), *known))
                    .min()
                    // A third of the letters wrong is still a slip; more is another word.
                    .filter(|(distance, known)| *distance * 3 <= known.len().max(3));
                let hint = match nearest {
                    Some((_, known)) => format!("; did you mean {known}?"),
                    None if self.asked.is_empty() => String::new(),
                    None => format!("; known here are: {}", self.asked.iter().copied().collect::<Vec<_>>().join(", ")),
                };
                let key = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
                self.problems.push(Problem {
                    file: self.file.to_owned(),
                    place: *place,
                    message: format!("unknown key {key}{hint}"),
                });
            }
        }
    }
}

/// Levenshtein's distance: fewest letters to insert, delete or replace.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (idx, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[idx + 1];
            row[idx + 1] = replaced.min(row[idx] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::parse_documents;

    fn problems_of(text: &str, read: impl FnOnce(&mut Reader<'_>)) -> Vec<String> {
        let documents = parse_documents("f.yaml", text).expect("YAML");
        let mut problems = Vec::new();
        let mut reader = Reader::new("f.yaml", "", &documents[0], &mut problems);
        read(&mut reader);
        reader.finish();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_problems_come_at_once_with_their_places() {
        let text = "step: fast\nratio: 1.5\nserver:\n  listne: x\n";
        let problems = problems_of(text, |reader| {
            assert_eq!(reader.duration("step"), None);
            assert_eq!(reader.number("ratio", 0.0..=1.0), None);
            reader.section("server", |server| server.text("listen"));
        });
        assert_eq!(
            problems,
            [
                "f.yaml:1:7: step: \"fast\" is no duration: write it like 30s, 10m, 1h30m, 7d or 250ms",
                "f.yaml:2:8: ratio: must lie between 0 and 1, not 1.5",
                "f.yaml:4:3: unknown key server.listne; did you mean listen?",
            ]
        );
    }

    #[test]
    fn a_missing_key_is_reported_where_its_section_begins() {
        let problems = problems_of("a: 1\n", |reader| {
            let a = reader.count("a", 0..=9);
            assert_eq!(reader.require("a", a), Some(1));
            let url = reader.text("url");
            assert_eq!(reader.require("url", url), None);
        });
        assert_eq!(problems, ["f.yaml:1:1: url is missing"]);
    }

    #[test]
    fn a_number_that_is_none_never_gets_through() {
        // The parser already refuses it; should that ever change, the range check must.
        assert!(parse_documents("f.yaml", "ratio: .nan\n").is_err());
        assert!(!(0.0..=1.0).contains(&f64::NAN));
    }
}
