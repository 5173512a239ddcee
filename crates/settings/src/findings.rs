//! What reading a document finds: its problems, its warnings, and the keys that were asked for.

use std::ops::{Deref, DerefMut, RangeInclusive};
use std::time::Duration;

use crate::problem::Problem;

/// What was found so far. It is the list of problems, and keeps warnings and keys beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    keys: Vec<Key>,
}

/// A key that a reader asked for, whether the document has it or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its path, such as `server.listen_address`, `topology[].workload` or `queries.<name>.expr`.
    pub path: String,
    /// What it may be.
    pub kind: Kind,
}

/// What a key may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A text, or something written as a text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A number in a range.
    Number(RangeInclusive<f64>),
    /// A whole number in a range.
    Count(RangeInclusive<u32>),
    /// A duration; any, where there is no range.
    Duration(Option<RangeInclusive<Duration>>),
    /// A list of texts, or one text.
    Texts,
    /// Keys with values.
    Section,
    /// A list of sections.
    Sections,
    /// Keys that the user chose, with a section or a text each.
    Named,
    /// Something of its own, such as a choice of words.
    Other,
}

impl Findings {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is legal but should be written otherwise, in the order of lines.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = self.warnings.clone();
        warnings.sort();
        warnings
    }

    /// The keys that were asked for, in the order of asking, each once.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// All problems, in the order of lines.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems;
        problems.sort();
        problems
    }

    pub(crate) fn warn(&mut self, warning: Problem) {
        self.warnings.push(warning);
    }

    /// Notes a key. What only says [`Kind::Other`] gives way to what says more.
    pub(crate) fn note(&mut self, path: &str, kind: Kind) {
        let path = self.general(path);
        match self.keys.iter_mut().find(|key| key.path == path) {
            Some(known) if known.kind == Kind::Other => known.kind = kind,
            Some(_) => {}
            None => self.keys.push(Key { path, kind }),
        }
    }

    /// A path with `[]` for each number in a list and `<name>` for each name that the user chose.
    fn general(&self, path: &str) -> String {
        let mut general = String::new();
        for segment in path.split('.') {
            let names = self.keys.iter().any(|key| key.path == general && key.kind == Kind::Named);
            if !general.is_empty() {
                general.push('.');
            }
            match segment.split_once('[') {
                _ if names => general.push_str("<name>"),
                Some((list, _)) => general.push_str(&format!("{list}[]")),
                None => general.push_str(segment),
            }
        }
        general
    }
}

impl Deref for Findings {
    type Target = Vec<Problem>;

    fn deref(&self) -> &Vec<Problem> {
        &self.problems
    }
}

impl DerefMut for Findings {
    fn deref_mut(&mut self) -> &mut Vec<Problem> {
        &mut self.problems
    }
}
