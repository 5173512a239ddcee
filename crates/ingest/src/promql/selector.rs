//! Which series an expression reads.

use regex::Regex;

use super::NotEvaluable;
use crate::matrix::Labels;

/// A label matcher; an absent label is an empty text, as in Prometheus.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    Is(String, String),
    IsNot(String, String),
    Like(String, Regex),
    NotLike(String, Regex),
}

/// Matchers that all must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    matchers: Vec<Matcher>,
}

impl Selector {
    /// Adds `label op "value"`.
    pub(super) fn add(&mut self, label: &str, op: &str, value: &str) -> Result<(), NotEvaluable> {
        let label = label.to_owned();
        self.matchers.push(match op {
            "=" => Matcher::Is(label, value.to_owned()),
            "!=" => Matcher::IsNot(label, value.to_owned()),
            "=~" => Matcher::Like(label, whole(value)?),
            "!~" => Matcher::NotLike(label, whole(value)?),
            other => return Err(NotEvaluable(format!("{other:?} isn't a label matcher"))),
        });
        Ok(())
    }

    /// Whether a series is read.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        let of = |label: &String| labels.get(label).map_or("", String::as_str);
        self.matchers.iter().all(|matcher| match matcher {
            Matcher::Is(label, value) => of(label) == value,
            Matcher::IsNot(label, value) => of(label) != value,
            Matcher::Like(label, regex) => regex.is_match(of(label)),
            Matcher::NotLike(label, regex) => !regex.is_match(of(label)),
        })
    }

    /// Whether it would match a series without any label, which Prometheus refuses as a mistake.
    pub(super) fn matches_everything(&self) -> bool {
        self.matches(&Labels::new())
    }
}

/// Prometheus matches whole values, and its `.` matches line ends.
fn whole(pattern: &str) -> Result<Regex, NotEvaluable> {
    let regex = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .dot_matches_new_line(true)
        // A pattern of a config is short; this stops one that unfolds into gigabytes.
        .size_limit(1 << 20)
        .build();
    regex.map_err(|error| NotEvaluable(format!("the pattern {pattern:?} can't be used: {error}")))
}
