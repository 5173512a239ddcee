//! Parts of a policy that formats have in common.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use homeostat_core::{IncidentType, NamePattern, WorkloadKind};
use homeostat_settings::{Node, Reader, Value, nearest};

use super::{ATTEMPTS_WINDOW_MIN, Scope};
use crate::action::{Action, Actions};
use crate::past_action::LOOK_BACK_MAX;
use crate::step::Args;

/// Longer windows would hold the target's lock for most of a shift.
const VERIFICATION_MAX: Duration = Duration::from_secs(2 * 3600);

const MINUTE: Duration = Duration::from_secs(60);

pub(super) const ATTEMPTS_WINDOW: RangeInclusive<Duration> = ATTEMPTS_WINDOW_MIN..=LOOK_BACK_MAX;
pub(super) const COOLDOWN: RangeInclusive<Duration> = MINUTE..=LOOK_BACK_MAX;
pub(super) const VERIFICATION_WINDOW: RangeInclusive<Duration> = MINUTE..=VERIFICATION_MAX;
pub(super) const VERIFICATION_SETTLE: RangeInclusive<Duration> = Duration::ZERO..=VERIFICATION_MAX;

/// The window of a threshold rule: shorter than a few scrapes it would act on a single sample; longer than a day is a slip.
pub(super) const RULE_WINDOW: RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(86_400);

/// Labelled outcomes that a policy may ask for; more than anyone collects is a slip of the keyboard.
pub(super) const OUTCOMES_MIN: RangeInclusive<u32> = 1..=1_000_000;

pub(super) fn incident_type(reader: &mut Reader<'_>, key: &'static str) -> Option<IncidentType> {
    reader.parsed_by(key, |text| {
        text.parse::<IncidentType>().map_err(|error| {
            match nearest(text, IncidentType::ALL.iter().map(|known| known.name())) {
                Some(near) => format!("unknown incident type {text:?}; did you mean {near}?"),
                None => error.to_string(),
            }
        })
    })
}

/// The action that a key names.
pub(super) fn action(reader: &mut Reader<'_>, key: &'static str, actions: &Actions) -> Option<&'static dyn Action> {
    reader.parsed_by(key, |text| action_of_name(text, actions))
}

/// The action of this name, or what is to be written instead.
pub(super) fn action_of_name(text: &str, actions: &Actions) -> Result<&'static dyn Action, String> {
    actions.iter().find(|action| action.spec().name.as_str() == text).ok_or_else(|| {
        let names: Vec<&str> = actions.names().collect();
        format!("unknown action {text:?}; known actions are: {}", names.join(", "))
    })
}

/// An action's own part, in the section `with`. Where that isn't there, what the action must know is told as missing in it.
pub(super) fn args(reader: &mut Reader<'_>, action: &dyn Action) -> Args {
    if let Some(args) = reader.section("with", |with| action.args(with)) {
        return args;
    }
    let (file, path, place) = (reader.file(), reader.path_of("with"), reader.place());
    let nothing = Node { place, value: Value::Map(Vec::new()) };
    let mut with = Reader::new(file, &path, &nothing, reader.problems());
    let args = action.args(&mut with);
    with.finish();
    args
}

/// A name in the metadata of a Kubernetes object, whose other keys are the API server's.
pub(super) fn metadata_name(document: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let metadata = document.node("metadata")?;
    let entries = match &metadata.value {
        Value::Map(entries) => entries,
        other => {
            document.reject("metadata", format_args!("must be keys with values, not {}", other.kind()));
            return None;
        }
    };
    let (_, _, node) = entries.iter().find(|(name, _, _)| name == key)?;
    match &node.value {
        Value::Text(text) if text.parse::<NamePattern>().is_ok_and(|pattern| pattern.is_name()) => Some(text.clone()),
        _ => {
            // Silently without it, a policy might hold elsewhere than where it was meant to.
            document.problem(node.place, format!("metadata.{key} must be the name of an object"));
            None
        }
    }
}

/// Where a policy holds, as the reader of its section says.
///
/// An empty or match-all scope is refused for a policy that acts: "zero means all" has wiped whole fleets (I10). A policy
/// without a scope is read, but [`Scope::Unstated`] never acts.
pub(super) fn scope(scope: &mut Reader<'_>, acts: bool) -> Scope {
    let workloads = names(scope, "workloads").unwrap_or_default();
    let kinds = kinds(scope);
    let namespaces = names(scope, "namespaces");
    // A list that couldn't be read is among the problems already, and isn't called empty too.
    let is_unreadable = namespaces.is_none() && scope.node("namespaces").is_some();
    let namespaces = namespaces.unwrap_or_default();
    if namespaces.is_empty() && !is_unreadable && (acts || !workloads.is_empty()) {
        let key = scope.path_of("namespaces");
        let message = format!("{key} must name at least one namespace: an empty scope would match everything");
        scope.problem(scope.place(), message);
    }
    if namespaces.is_empty() { Scope::Unstated } else { Scope::Only { namespaces, workloads, kinds } }
}

/// The same for a policy that belongs to a namespace, where its section names none.
pub(super) fn scope_within(scope: &mut Reader<'_>, namespace: &str) -> Scope {
    Scope::Only {
        namespaces: [namespace.to_owned()].into(),
        workloads: names(scope, "workloads").unwrap_or_default(),
        kinds: kinds(scope),
    }
}

fn kinds(scope: &mut Reader<'_>) -> BTreeSet<WorkloadKind> {
    set_of::<WorkloadKindName>(scope, "kinds").into_iter().map(|name| name.0).collect()
}

/// Names, each written out: what acts is named, and what could match no name is a slip.
fn names(scope: &mut Reader<'_>, key: &'static str) -> Option<BTreeSet<String>> {
    let names: BTreeSet<String> = scope.texts(key)?.into_iter().collect();
    for name in &names {
        match name.parse::<NamePattern>() {
            Ok(pattern) if pattern.is_name() => {}
            Ok(_) => scope.reject(key, format_args!("{name:?} is a pattern; name each one, patterns match too much")),
            Err(error) => scope.reject(key, error),
        }
    }
    Some(names)
}

/// A list of values, each of which can be parsed; what can't is a problem.
pub(super) fn set_of<T: FromStr + Ord>(reader: &mut Reader<'_>, key: &'static str) -> BTreeSet<T>
where
    T::Err: Display,
{
    let mut values = BTreeSet::new();
    for text in reader.texts(key).unwrap_or_default() {
        match text.parse() {
            Ok(value) => {
                values.insert(value);
            }
            Err(error) => reader.reject(key, error),
        }
    }
    values
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct WorkloadKindName(WorkloadKind);

impl FromStr for WorkloadKindName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = WorkloadKind::ALL.into_iter().find(|kind| kind.name() == text);
        known.map(Self).ok_or_else(|| {
            let names = WorkloadKind::ALL.map(WorkloadKind::name).join(", ");
            format!("unknown kind {text:?}; known are: {names}")
        })
    }
}
