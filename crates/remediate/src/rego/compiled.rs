//! The rules as regorus's interpreter has them. Not its virtual machine, which counts instructions but takes an error in a rule for a
//! rule that doesn't hold (docs/decisions/0148).

use std::num::NonZeroU32;
use std::time::Duration;

use homeostat_settings::{Place, Problem};
use regorus::utils::limits::ExecutionTimerConfig;
use serde_json::Value;

use super::{DENY_RULE, RegoFile, START, calls};

/// How long one decision's rules may take. A rule of a few lines takes some ten microseconds. Only a refusal depends on this clock, and a
/// busy machine shouldn't refuse what an idle one permits.
const RUNS_AT_MOST: Duration = Duration::from_millis(500);

/// How many steps pass between two looks at the clock.
const STEPS_BETWEEN_LOOKS: NonZeroU32 = match NonZeroU32::new(64) {
    Some(n) => n,
    None => NonZeroU32::MIN,
};

/// A file of rules is written by people; more than a mebibyte is data gone astray.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Messages of one decision that are kept, and characters of each: enough to read, and no decision fills the journal.
const MESSAGES_MAX: usize = 10;
const MESSAGE_CHARS_MAX: usize = 300;

/// The rules of all files.
pub(super) struct Compiled {
    engine: regorus::Engine,
}

impl Compiled {
    pub(super) fn of(files: &[RegoFile]) -> Result<Self, Problem> {
        let first = files.first().map(|file| file.name.clone()).unwrap_or_default();
        let at_first = |message: String| Problem { file: first.clone(), place: START, message };
        let mut engine = regorus::Engine::new();
        for file in files {
            if file.text.len() > FILE_BYTES_MAX {
                let message = format!("larger than {FILE_BYTES_MAX} bytes");
                return Err(Problem { file: file.name.clone(), place: START, message });
            }
            engine
                .add_policy(file.name.clone(), file.text.clone())
                .map_err(|error| problem(&file.name, &error.to_string()))?;
        }
        let packages = engine.get_packages().map_err(|error| at_first(error.to_string()))?;
        let no_rule = || {
            at_first(
                "no rule `deny` in the package `homeostat`: begin a file with `package homeostat`, and write rules such as \
                 `deny contains \"not on Fridays\" if …`"
                    .to_owned(),
            )
        };
        if !packages.iter().any(|package| package == "data.homeostat") {
            return Err(no_rule());
        }
        let modules = engine.get_ast_as_json().map_err(|error| at_first(error.to_string()))?;
        let modules = serde_json::from_str(&modules).map_err(|error| at_first(error.to_string()))?;
        if let Some(problem) = calls::objection(&modules) {
            return Err(problem);
        }
        engine.set_strict_builtin_errors(true);
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: RUNS_AT_MOST,
            check_interval: STEPS_BETWEEN_LOOKS,
        });
        engine.compile_with_entrypoint(&DENY_RULE.into()).map_err(|error| {
            let text = error.to_string();
            if text.contains("not a valid rule path") { no_rule() } else { problem(&first, &text) }
        })?;
        Ok(Self { engine })
    }

    pub(super) fn denials(&self, input: Value) -> Result<Vec<String>, String> {
        let mut engine = self.engine.clone();
        engine.set_input(regorus::Value::from(input));
        let answer = engine.eval_rule(DENY_RULE.to_owned()).map_err(|error| what_of(&error.to_string()))?;
        messages(&answer)
    }
}

/// What the rule came to, if it is what it must be.
fn messages(answer: &regorus::Value) -> Result<Vec<String>, String> {
    let wrong = |what: &str| Err(format!("{DENY_RULE} is {what}, it must be a set of messages"));
    match answer {
        regorus::Value::Set(found) => {
            let text = |message: &regorus::Value| match message {
                regorus::Value::String(text) if !text.trim().is_empty() => Ok(shortened(text)),
                other => {
                    Err(format!("{DENY_RULE} has the element {}, which is no message", shortened(&other.to_string())))
                }
            };
            // All are looked at, and the first ones told.
            let texts: Vec<String> = found.iter().map(text).collect::<Result<_, _>>()?;
            Ok(texts.into_iter().take(MESSAGES_MAX).collect())
        }
        regorus::Value::Undefined => wrong("undefined"),
        regorus::Value::Null => wrong("null"),
        regorus::Value::Bool(said) => wrong(if *said { "true" } else { "false" }),
        regorus::Value::Number(_) => wrong("a number"),
        regorus::Value::String(_) => wrong("a text"),
        regorus::Value::Array(_) => wrong("an array"),
        regorus::Value::Object(_) => wrong("an object"),
    }
}

/// In one line, and not too long.
fn shortened(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.chars().count() <= MESSAGE_CHARS_MAX {
        return one_line;
    }
    one_line.chars().take(MESSAGE_CHARS_MAX).chain(['…']).collect()
}

/// The sentence in what regorus tells.
fn what_of(told: &str) -> String {
    let what = told.lines().find_map(|line| line.trim().strip_prefix("error: "));
    let first = || told.lines().find(|line| !line.trim().is_empty());
    shortened(what.or_else(first).unwrap_or("no reason was given"))
}

/// regorus tells a problem with an excerpt: `--> FILE:LINE:COLUMN`, the line, and `error: WHAT`.
fn problem(file: &str, told: &str) -> Problem {
    let place = told.lines().find_map(|line| place_of(line.trim())).map(|(file, place)| (file.to_owned(), place));
    let (file, place) = place.unwrap_or((file.to_owned(), START));
    Problem { file, place, message: what_of(told) }
}

fn place_of(line: &str) -> Option<(&str, Place)> {
    let (rest, column) = line.strip_prefix("--> ")?.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file, Place { line: line.parse().ok()?, column: column.parse().ok()? }))
}
