//! A list of threshold rules: `{name, condition: {metric, operator, threshold, window}, action: {type, replicas}}`, as a ConfigMap with the
//! key `policies.yaml`, as the file that a Pod mounts of it, or as a document with the key `policies`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use homeostat_core::{Comparison, IncidentType, ThresholdRule};
use homeostat_settings::{Node, Place, Reader, Value, parse_documents};

use super::PolicyFormat;
use crate::action::Actions;
use crate::policy::{Policy, PolicyAction, Scope, read};
use crate::step::{ActionName, Args};

/// The key of the list.
pub(super) const LIST_KEY: &str = "policies";

/// The ConfigMap's key.
const FILE_KEY: &str = "policies.yaml";

/// More replicas than any one workload has; a slip of the keyboard.
const REPLICAS: RangeInclusive<u32> = 1..=10_000;

/// What the format calls an action, and what it is called here. A Pod that is deleted takes capacity away until its successor
/// is ready; a rollout restart replaces the same Pods one by one.
const ACTIONS: [(&str, &str); 2] = [("restart-pod", "rollout-restart"), ("scale-deployment", "scale")];

/// What rises when a metric of such a name does. By the name alone, for the format says nothing of what a metric measures.
const TYPES: [(&str, IncidentType); 7] = [
    ("throttl", IncidentType::CpuThrottling),
    ("cpu", IncidentType::CpuSpike),
    ("mem", IncidentType::MemoryLeak),
    ("error", IncidentType::ErrorBurst),
    ("latency", IncidentType::Latency),
    ("duration", IncidentType::Latency),
    ("restart", IncidentType::CrashLoop),
];

/// Documents with such a list.
pub(super) struct HealingPolicies;

impl PolicyFormat for HealingPolicies {
    fn keys(&self) -> &'static [&'static str] {
        &["data", LIST_KEY]
    }

    fn read(&self, document: &mut Reader<'_>, actions: &Actions) -> Vec<(Place, Policy)> {
        if !document.has("data") {
            return read_list(document, &Scope::Unstated, actions);
        }
        document.parsed_by("apiVersion", |text| (text == "v1").then_some(()).ok_or("a ConfigMap has apiVersion v1"));
        document.parsed_by("kind", |text| (text == "ConfigMap").then_some(()).ok_or("must be ConfigMap"));
        let scope = scope_of(document);
        // Keys beside it are somebody else's.
        let text = document.node("data").and_then(|data| match &data.value {
            Value::Map(entries) => entries.iter().find(|(key, _, _)| key == FILE_KEY).map(|(_, _, node)| node),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::List(_) => {
                None
            }
        });
        let Some(Value::Text(text)) = text.map(|node| &node.value) else {
            document.reject("data", format_args!("must have the key {FILE_KEY} with the list of policies as its text"));
            return Vec::new();
        };
        let place = document.place_of("data");
        let policies = read_text(document, text, &scope, actions);
        // Places are of the text within, which are no lines of this file.
        policies.into_iter().map(|(_, policy)| (place, policy)).collect()
    }

    #[cfg(test)]
    fn example(&self) -> &'static str {
        "policies:\n- name: hot\n  condition: {metric: cpu, operator: '>', threshold: 0.8, window: 5m}\n  action: {type: restart-pod}"
    }
}

/// A ConfigMap is for the workloads of its own namespace. One that names none only proposes.
fn scope_of(document: &mut Reader<'_>) -> Scope {
    match read::metadata_name(document, "namespace") {
        Some(namespace) => {
            Scope::Only { namespaces: [namespace].into(), workloads: BTreeSet::new(), kinds: BTreeSet::new() }
        }
        None => Scope::Unstated,
    }
}

fn read_text(document: &mut Reader<'_>, text: &str, scope: &Scope, actions: &Actions) -> Vec<(Place, Policy)> {
    let file = format!("{} (in data.{FILE_KEY})", document.file());
    let mut policies = Vec::new();
    match parse_documents(&file, text) {
        Ok(documents) => {
            for node in &documents {
                let with_key = Value::Map(vec![(LIST_KEY.to_owned(), node.place, node.clone())]);
                let list = Node { place: node.place, value: with_key };
                let node = if matches!(node.value, Value::List(_)) { &list } else { node };
                let mut reader = Reader::new(&file, "", node, document.problems());
                policies.extend(read_list(&mut reader, scope, actions));
                reader.finish();
            }
        }
        Err(problem) => document.problems().push(problem),
    }
    policies
}

fn read_list(reader: &mut Reader<'_>, scope: &Scope, actions: &Actions) -> Vec<(Place, Policy)> {
    let policies = reader.sections(LIST_KEY, |policy| read_policy(policy, scope, actions));
    policies.into_iter().flatten().collect()
}

fn read_policy(reader: &mut Reader<'_>, scope: &Scope, actions: &Actions) -> Option<(Place, Policy)> {
    let name = reader.text("name");
    reader.require_such_as("name", name.as_ref(), "high-cpu");
    let rule = reader.section("condition", read_condition);
    reader.require_such_as("condition", rule.as_ref(), "{metric: cpu, operator: '>', threshold: 0.8, window: 5m}");
    let action = reader.section("action", |action| read_action(action, actions));
    reader.require_such_as("action", action.as_ref(), "{type: restart-pod}");
    let (name, rule, action) = (name?, rule.flatten()?, action.flatten()?);
    let policy = Policy {
        rule: Some(rule.clone()),
        auto_execute: true,
        action: Some(action),
        scope: scope.clone(),
        // What a person wrote down holds or doesn't: there is no confidence to weigh.
        outcomes_min: 0,
        ..Policy::new(name, type_of(&rule))
    };
    Some((reader.place(), policy))
}

fn read_condition(reader: &mut Reader<'_>) -> Option<ThresholdRule> {
    let metric = reader.text("metric");
    reader.require_such_as("metric", metric.as_ref(), "cpu");
    let comparison = reader.parsed::<Comparison>("operator");
    reader.require_such_as("operator", comparison, "'>'");
    let threshold = reader.number("threshold", f64::MIN..=f64::MAX);
    reader.require_such_as("threshold", threshold, "0.8");
    let window = reader.duration_in("window", read::RULE_WINDOW);
    reader.require_such_as("window", window, "5m");
    Some(ThresholdRule { metric: metric?, comparison: comparison?, threshold: threshold?, window: window? })
}

fn read_action(reader: &mut Reader<'_>, actions: &Actions) -> Option<PolicyAction> {
    let name = reader.parsed_by("type", |text| {
        let known = ACTIONS.iter().find(|(theirs, _)| *theirs == text);
        let (_, ours) = known.ok_or_else(|| {
            let known = ACTIONS.map(|(theirs, _)| theirs).join(", ");
            format!("unknown action {text:?}; this format has: {known}")
        })?;
        let name = ActionName::new(ours);
        actions.get(&name).map(|action| action.spec().name.clone()).ok_or(format!("this build has no action {ours}"))
    });
    reader.require_such_as("type", name.as_ref(), "restart-pod");
    let replicas = reader.count("replicas", REPLICAS);
    let name = name?;
    let args = match (name.as_str(), replicas) {
        ("scale", Some(replicas)) => scale_args(reader, replicas, actions),
        ("scale", None) => {
            reader.require_such_as("replicas", replicas, "5");
            return None;
        }
        (_, Some(_)) => {
            reader.reject("replicas", "is for scale-deployment only");
            return None;
        }
        (_, None) => Args::default(),
    };
    Some(PolicyAction::new(name, args))
}

/// So many replicas and no more, as the action itself reads it.
fn scale_args(reader: &mut Reader<'_>, replicas: u32, actions: &Actions) -> Args {
    let place = reader.place_of("replicas");
    let count = |key: &str| (key.to_owned(), place, Node { place, value: Value::Integer(i64::from(replicas)) });
    let with = Node { place, value: Value::Map(vec![count("to"), count("max")]) };
    let (file, path) = (reader.file(), reader.path_of("replicas"));
    let mut with = Reader::new(file, &path, &with, reader.problems());
    actions.get(&ActionName::new("scale")).map_or_else(Args::default, |action| action.args(&mut with))
}

fn type_of(rule: &ThresholdRule) -> IncidentType {
    let rises = match rule.comparison {
        Comparison::Above | Comparison::AtLeast => true,
        Comparison::Below | Comparison::AtMost => false,
    };
    let metric = rule.metric.to_ascii_lowercase();
    let known = TYPES.iter().find(|(part, _)| rises && metric.contains(part));
    known.map_or(IncidentType::Unknown, |(_, incident_type)| *incident_type)
}
