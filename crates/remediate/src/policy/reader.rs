//! Takes a map's values one by one, gathering what is wrong instead of stopping at it.

use std::collections::BTreeSet;
use std::time::Duration;

use homeostat_core::{Confidence, format_duration, parse_duration};
use serde_saphyr::{Location, Spanned};

use super::yaml::{Node, Value};
use crate::problem::{Problem, nearest};

/// Where problems are gathered.
pub(super) struct Problems<'a> {
    pub(super) file: &'a str,
    pub(super) found: Vec<Problem>,
}

impl Problems<'_> {
    pub(super) fn add(&mut self, at: Location, message: impl Into<String>) {
        self.found.push(Problem {
            file: self.file.to_owned(),
            line: at.line().max(1),
            column: at.column().max(1),
            message: message.into(),
        });
    }
}

/// One map whose keys are taken out until none may be left.
pub(super) struct Fields<'p, 'f> {
    pub(super) at: Location,
    entries: Vec<(Spanned<String>, Node)>,
    asked: Vec<&'static str>,
    pub(super) problems: &'p mut Problems<'f>,
}

impl<'p, 'f> Fields<'p, 'f> {
    /// Opens a map; anything else is a problem.
    pub(super) fn open(node: Node, what: &str, problems: &'p mut Problems<'f>) -> Option<Self> {
        let at = node.referenced;
        match node.value {
            Value::Map(entries) => Some(Self { at, entries, asked: Vec::new(), problems }),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_)) => {
                problems.add(at, format!("{what} must be a map, not {}", other.kind()));
                None
            }
        }
    }

    /// Takes a value out; `None` if the key isn't there or empty.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        let idx = self.entries.iter().position(|(name, _)| name.value == key)?;
        let (_, node) = self.entries.remove(idx);
        (node.value != Value::Null).then_some(node)
    }

    fn convert<T>(&mut self, key: &'static str, convert: impl Fn(&Value) -> Result<T, String>) -> Option<Spanned<T>> {
        let node = self.take(key)?;
        match convert(&node.value) {
            Ok(value) => Some(Spanned::new(value, node.referenced, node.defined)),
            Err(message) => {
                self.problems.add(node.referenced, format!("{key}: {message}"));
                None
            }
        }
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Spanned<String>> {
        self.parsed(key, |text| Ok::<_, String>(text.to_owned()))
    }

    /// A text that means something.
    pub(super) fn parsed<T, E: ToString>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Spanned<T>> {
        self.convert(key, |value| match value {
            Value::Text(text) if text.is_empty() => Err("must not be empty".to_owned()),
            Value::Text(text) => parse(text).map_err(|error| error.to_string()),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_)) => {
                Err(format!("must be a text, not {}", other.kind()))
            }
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<Spanned<bool>> {
        self.convert(key, |value| match value {
            Value::Bool(value) => Ok(*value),
            other @ (Value::Null | Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_)) => {
                Err(format!("must be true or false, not {}", other.kind()))
            }
        })
    }

    /// A number in a range, both ends included.
    pub(super) fn number(&mut self, key: &'static str, from: f64, to: f64) -> Option<Spanned<f64>> {
        self.convert(key, |value| match value {
            // NaN is in no range.
            Value::Number(number) if (from..=to).contains(number) => Ok(*number),
            Value::Number(number) => Err(format!("must lie between {from} and {to}, not {number}")),
            other @ (Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_)) => {
                Err(format!("must be a number, not {}", other.kind()))
            }
        })
    }

    /// A whole number in a range, both ends included.
    pub(super) fn whole(&mut self, key: &'static str, from: u32, to: u32) -> Option<Spanned<u32>> {
        let number = self.number(key, f64::from(from), f64::from(to))?;
        if number.value.fract() == 0.0 {
            // In u32's range, checked just above.
            Some(Spanned::new(number.value as u32, number.referenced, number.defined))
        } else {
            self.problems.add(number.referenced, format!("{key}: must be a whole number, not {}", number.value));
            None
        }
    }

    /// A confidence.
    pub(super) fn confidence(&mut self, key: &'static str) -> Option<Spanned<Confidence>> {
        let number = self.number(key, 0.0, 1.0)?;
        let confidence = Confidence::new(number.value).ok()?;
        Some(Spanned::new(confidence, number.referenced, number.defined))
    }

    /// A Prometheus duration in a range, both ends included.
    pub(super) fn duration(&mut self, key: &'static str, from: Duration, to: Duration) -> Option<Duration> {
        let parsed = self.parsed(key, parse_duration)?;
        if (from..=to).contains(&parsed.value) {
            return Some(parsed.value);
        }
        let message = format!("{key}: must lie between {} and {}", format_duration(from), format_duration(to));
        self.problems.add(parsed.referenced, message);
        None
    }

    /// A list of texts; one text alone is a list of one.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Spanned<BTreeSet<String>>> {
        self.convert(key, |value| {
            let items = match value {
                Value::Text(text) => return Ok(BTreeSet::from([text.clone()])),
                Value::List(items) => items,
                other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Map(_)) => {
                    return Err(format!("must be a list of names, not {}", other.kind()));
                }
            };
            let text = |item: &Node| match &item.value {
                Value::Text(text) => Ok(text.clone()),
                other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_)) => {
                    Err(format!("line {}: must be a name, not {}", item.referenced.line(), other.kind()))
                }
            };
            items.iter().map(text).collect()
        })
    }

    /// Whether this key's value was found wrong already, so that it isn't called missing too.
    pub(super) fn has_problem_of(&self, key: &str) -> bool {
        let prefix = format!("{key}: ");
        let from = self.at.line();
        self.problems.found.iter().any(|problem| problem.line >= from && problem.message.starts_with(&prefix))
    }

    /// Names a key that must be there and isn't.
    pub(super) fn missing(&mut self, key: &'static str, example: &str) {
        let at = self.at;
        self.problems.add(at, format!("{key} is missing; for instance `{key}: {example}`"));
    }

    /// Every key that nobody asked for is a problem: a slip in a safety setting must not become its default.
    pub(super) fn close(self) {
        for (key, _) in &self.entries {
            let hint = nearest(&key.value, self.asked.iter().copied()).map_or_else(
                || format!("known are: {}", self.asked.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            self.problems.add(key.referenced, format!("{:?} is no key here; {hint}", key.value));
        }
    }
}
