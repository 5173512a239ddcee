//! Reads a section's keys, gathering problems instead of stopping at the first.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use homeostat_core::{format_duration, parse_duration};

use crate::findings::{Findings, Kind};
use crate::nearest::nearest;
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
    is_section: bool,
    asked: BTreeSet<&'static str>,
    renamed: Vec<(&'static str, &'static str)>,
    problems: &'a mut Findings,
}

impl<'a> Reader<'a> {
    /// Starts reading `node`, which must be a section; `path` names it in messages (empty for the whole document).
    pub fn new(file: &'a str, path: &str, node: &'a Node, problems: &'a mut Findings) -> Self {
        let (entries, is_section): (&[_], bool) = match &node.value {
            Value::Map(entries) => (entries, true),
            // `section:` with nothing below it is an empty section.
            Value::Null => (&[], true),
            other => {
                let section = if path.is_empty() { "the document" } else { path };
                let message = format!("{section} must be keys with values, not {}", other.kind());
                problems.push(Problem { file: file.to_owned(), place: node.place, message });
                (&[], false)
            }
        };
        Self {
            file,
            path: path.to_owned(),
            place: node.place,
            entries,
            is_section,
            asked: BTreeSet::new(),
            renamed: Vec::new(),
            problems,
        }
    }

    /// Where the section begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Where a key's value begins, or the section if the key isn't there.
    pub fn place_of(&mut self, key: &'static str) -> Place {
        self.node(key).map_or(self.place, |node| node.place)
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

    /// Adds a problem with a key, at its value, or where the section begins if the key isn't there.
    pub fn reject(&mut self, key: &'static str, why: impl Display) {
        let place = self.place_of(key);
        let message = format!("{}: {why}", self.path_of(key));
        self.problem(place, message);
    }

    /// The list that problems are gathered in, to read a part of this section with a reader of its own.
    pub fn problems(&mut self) -> &mut Findings {
        self.problems
    }

    /// A key has another name than in earlier versions: the old one is read as the new one, with a warning. Both are a problem.
    pub fn renamed(&mut self, key: &'static str, old: &'static str) {
        let Some((_, place, _)) = self.entries.iter().find(|(name, _, _)| name == old) else { return };
        self.asked.insert(old);
        if self.has(key) {
            let message = format!("{} and {} are the same key: remove {old}", self.path_of(old), self.path_of(key));
            return self.problem(*place, message);
        }
        let message = format!("{} is now called {key}", self.path_of(old));
        self.problems.warn(Problem { file: self.file.to_owned(), place: *place, message });
        self.renamed.push((key, old));
    }

    /// A value has another name than in earlier versions: whether the old one is written, which is read with a warning.
    pub fn renamed_value(&mut self, key: &'static str, value: &str, old: &str) -> bool {
        let is_old = |node: &&Node| matches!(&node.value, Value::Text(text) if text == old);
        let Some(node) = self.node(key).filter(is_old) else { return false };
        let message = format!("{}: {old} is now called {value}", self.path_of(key));
        self.problems.warn(Problem { file: self.file.to_owned(), place: node.place, message });
        true
    }

    /// A key's node, whatever it is. A key with nothing behind it counts as absent.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.note(key, Kind::Other);
        self.asked.insert(key);
        let written = self.renamed.iter().find(|(new, _)| *new == key).map_or(key, |(_, old)| old);
        let (_, _, node) = self.entries.iter().find(|(name, _, _)| name == written)?;
        if node.value == Value::Null { None } else { Some(node) }
    }

    /// Whether the key is written, even with nothing behind it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _, _)| name == key)
    }

    /// A key read by `read`, which says what is wanted instead when it isn't that.
    pub fn get<T>(&mut self, key: &'static str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        self.read(key, Kind::Other, read)
    }

    fn read<T>(&mut self, key: &'static str, kind: Kind, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        self.note(key, kind);
        let node = self.node(key)?;
        match read(&node.value) {
            Ok(value) => Some(value),
            Err(why) => {
                self.reject(key, why);
                None
            }
        }
    }

    fn note(&mut self, key: &str, kind: Kind) {
        let path = self.path_of(key);
        self.problems.note(&path, kind);
    }

    /// Reports a key that must be there and isn't. What isn't a section at all was reported as a whole.
    pub fn require<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        self.require_with(key, value, "")
    }

    /// Reports a key that must be there and isn't, with an example of what to write.
    pub fn require_such_as<T>(&mut self, key: &'static str, value: Option<T>, example: &str) -> Option<T> {
        self.require_with(key, value, &format!("; for instance `{key}: {example}`"))
    }

    fn require_with<T>(&mut self, key: &'static str, value: Option<T>, hint: &str) -> Option<T> {
        if value.is_none() && self.is_section && self.node(key).is_none() {
            let message = format!("{} is missing{hint}", self.path_of(key));
            self.problem(self.place, message);
        }
        value
    }

    /// A text that says something.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, Kind::Text, |value| match value {
            Value::Text(text) if text.is_empty() => Err("must not be empty".to_owned()),
            Value::Text(text) => Ok(text.clone()),
            // `name: 5` means the text 5.
            Value::Integer(number) => Ok(number.to_string()),
            other => Err(format!("must be a text, not {}", other.kind())),
        })
    }

    /// A text that `T` can be parsed from; `T`'s own error says what is wanted.
    pub fn parsed<T: FromStr>(&mut self, key: &'static str) -> Option<T>
    where
        T::Err: Display,
    {
        self.parsed_by(key, str::parse)
    }

    /// A text that `parse` understands; its error says what is wanted.
    pub fn parsed_by<T, E: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.read(key, Kind::Text, |value| match value {
            Value::Text(text) => parse(text).map_err(|error| error.to_string()),
            other => Err(format!("must be a text, not {}", other.kind())),
        })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, Kind::Flag, |value| match value {
            Value::Bool(flag) => Ok(*flag),
            other => Err(format!("must be true or false, not {}", other.kind())),
        })
    }

    /// A number in a range.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        self.read(key, Kind::Number(range.clone()), |value| {
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
    pub fn count(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        self.read(key, Kind::Count(range.clone()), |value| match value {
            Value::Integer(number) => u32::try_from(*number)
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("must lie between {} and {}, not {number}", range.start(), range.end())),
            Value::Float(number) => Err(format!("must be a whole number, not {number}")),
            other => Err(format!("must be a whole number, not {}", other.kind())),
        })
    }

    /// A Prometheus duration.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.read(key, Kind::Duration(None), |value| match value {
            Value::Text(text) => parse_duration(text).map_err(|error| error.to_string()),
            Value::Integer(0) => Ok(Duration::ZERO),
            other => Err(format!("must be a duration such as 30s or 10m, not {}", other.kind())),
        })
    }

    /// A Prometheus duration in a range.
    pub fn duration_in(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.note(key, Kind::Duration(Some(range.clone())));
        let duration = self.duration(key)?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let (from, to) = (format_duration(*range.start()), format_duration(*range.end()));
        self.reject(key, format_args!("must lie between {from} and {to}, not {}", format_duration(duration)));
        None
    }

    /// A list of texts; a single text is a list of one. Each item that is none is reported at its own place.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.note(key, Kind::Texts);
        let items = match &self.node(key)?.value {
            Value::Text(text) => return Some(vec![text.clone()]),
            Value::List(items) => items,
            other => {
                self.reject(key, format_args!("must be a list of texts, not {}", other.kind()));
                return None;
            }
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            if let Value::Text(text) = &item.value {
                texts.push(text.clone());
            } else {
                let message = format!("{}: must be a list of texts; this is {}", self.path_of(key), item.value.kind());
                self.problem(item.place, message);
            }
        }
        (texts.len() == items.len()).then_some(texts)
    }

    /// Texts by names that the user chose; nothing where the key is absent. What is no text is reported at its own place.
    pub fn named_texts(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (name, _, node) in self.named(key) {
            match &node.value {
                Value::Text(text) => {
                    texts.insert(name.clone(), text.clone());
                }
                other => {
                    let message = format!("{}.{name}: must be a text, not {}", self.path_of(key), other.kind());
                    self.problem(node.place, message);
                }
            }
        }
        texts
    }

    /// A list's items; nothing where the key is absent.
    pub fn items(&mut self, key: &'static str) -> &'a [Node] {
        self.note(key, Kind::Sections);
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
        self.note(key, Kind::Named);
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
        self.note(key, Kind::Section);
        let node = self.node(key)?;
        let path = self.path_of(key);
        let mut reader = Reader::new(self.file, &path, node, self.problems);
        let value = read(&mut reader);
        reader.finish();
        Some(value)
    }

    /// Reads each item of a list of sections with a reader of its own; nothing where the key is absent.
    pub fn sections<T>(&mut self, key: &'static str, mut read: impl FnMut(&mut Reader<'_>) -> T) -> Vec<T> {
        let path = self.path_of(key);
        let mut values = Vec::new();
        for (idx, item) in self.items(key).iter().enumerate() {
            let mut reader = Reader::new(self.file, &format!("{path}[{idx}]"), item, self.problems);
            values.push(read(&mut reader));
            reader.finish();
        }
        values
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        for (name, place, _) in self.entries {
            if !self.asked.contains(name.as_str()) {
                let hint = match nearest(name, self.asked.iter().copied()) {
                    Some(known) => format!("; did you mean {known}?"),
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
