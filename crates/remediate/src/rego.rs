//! Rules in Rego: an organisation's own reasons against an action. They can only refuse; what they don't say, or can't say, never permits
//! what another guardrail refused.

#[cfg(feature = "rego")]
mod calls;
#[cfg(feature = "rego")]
mod compiled;
mod input;
#[cfg(not(feature = "rego"))]
mod left_out;
#[cfg(test)]
#[cfg(feature = "rego")]
mod tests;

use std::fmt;
use std::sync::Arc;

use homeostat_settings::{Findings, Place, Problem};
use serde_json::{Map, Value};

#[cfg(feature = "rego")]
use self::compiled::Compiled;
pub(crate) use self::input::input;
#[cfg(not(feature = "rego"))]
use self::left_out::Compiled;

/// The rule that says why an action mustn't be taken: a set of messages.
#[cfg(feature = "rego")]
pub(crate) const DENY_RULE: &str = "data.homeostat.deny";

/// Where a problem is that is of no single line.
const START: Place = Place { line: 1, column: 1 };

/// A file with rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegoFile {
    /// Its name, for problems.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Rules in force: all files together.
#[derive(Clone)]
pub struct RegoRules {
    n_files: usize,
    compiled: Arc<Compiled>,
}

impl RegoRules {
    /// Reads all files together; problems go to the findings. Without files there are no rules.
    pub fn read(files: &[RegoFile], findings: &mut Findings) -> Option<Self> {
        if files.is_empty() {
            return None;
        }
        match Compiled::of(files) {
            Ok(compiled) => {
                // Asked about nothing they have nothing to say, but can say it.
                if let Err(why) = compiled.denials(Value::Object(Map::new())) {
                    let file = files.first().map(|file| file.name.clone()).unwrap_or_default();
                    findings.push(Problem { file, place: START, message: format!("the rules give no answer: {why}") });
                    return None;
                }
                Some(Self { n_files: files.len(), compiled: Arc::new(compiled) })
            }
            Err(problem) => {
                findings.push(problem);
                None
            }
        }
    }

    /// How many files they are from.
    pub fn n_files(&self) -> usize {
        self.n_files
    }

    /// What the rules have against it: messages in a stable order, none if nothing. Equal inputs give equal answers.
    ///
    /// # Errors
    /// Why there is no answer that could count.
    pub fn denials(&self, input: Value) -> Result<Vec<String>, String> {
        self.compiled.denials(input)
    }
}

impl fmt::Debug for RegoRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegoRules").field("n_files", &self.n_files).finish_non_exhaustive()
    }
}
