//! Which functions the rules call, found out before they are in force. A call of a function that isn't there would be found only when its
//! rule is asked, and a function that calls itself would take the whole process with it: the interpreter finds circles of rules, but
//! not of functions.

use std::collections::{BTreeMap, BTreeSet};

use homeostat_settings::{Place, Problem};
use serde_json::Value;

/// Built-ins that a rule may not call, and why: one call may take all memory, or answers differently each time.
const NOT_ALLOWED: &[(&str, &str)] = &[
    ("numbers.range", "its answer may not fit into memory"),
    ("numbers.range_step", "its answer may not fit into memory"),
    ("bits.lsh", "its answer may not fit into memory"),
    ("rand.intn", "the same facts must give the same decision"),
];

/// One call in a file.
struct Call {
    /// As it is written.
    name: String,
    file: String,
    place: Place,
    /// The function in whose definition it is, if it is in one.
    within: Option<String>,
}

/// What speaks against the calls in these rules, which are in the form that regorus prints.
pub(super) fn objection(modules: &Value) -> Option<Problem> {
    let (mut calls, mut functions) = (Vec::new(), BTreeSet::new());
    for module in modules.as_array().into_iter().flatten() {
        let text = |key: &str| module["source"][key].as_str().unwrap_or_default();
        let (file, contents) = (text("file"), text("contents"));
        for rule in module["ast"]["rules"].as_array().into_iter().flatten() {
            let head = rule.pointer("/Spec/head/Func/refr");
            let within = head.and_then(|head| name_of(head, contents)).map(|(name, _)| last_part(&name).to_owned());
            functions.extend(within.clone());
            collect(rule, contents, &mut |name, place| {
                calls.push(Call { name, file: file.to_owned(), place, within: within.clone() });
            });
        }
    }
    calls.iter().find_map(|call| {
        let message = of_call(call, &functions).or_else(|| of_circle(call, &calls, &functions))?;
        Some(Problem { file: call.file.clone(), place: call.place, message })
    })
}

fn of_call(call: &Call, functions: &BTreeSet<String>) -> Option<String> {
    if let Some((name, why)) = NOT_ALLOWED.iter().find(|(name, _)| call.name == *name) {
        return Some(format!("{name} isn't allowed: {why}"));
    }
    let is_known = functions.contains(last_part(&call.name))
        || regorus::unstable::BUILTINS.contains_key(call.name.as_str())
        // These aren't in the table.
        || ["print", "walk"].contains(&call.name.as_str());
    let unknown = || {
        format!("there is no function {}: what reads a clock, the network or the environment isn't there", call.name)
    };
    (!is_known).then(unknown)
}

/// Functions go by the last part of their names: two packages' functions of one name may be taken for one, and told as a circle.
fn of_circle(call: &Call, calls: &[Call], functions: &BTreeSet<String>) -> Option<String> {
    let within = call.within.as_deref()?;
    let mut callees: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for call in calls {
        if let Some(caller) = call.within.as_deref() {
            callees.entry(caller).or_default().insert(last_part(&call.name));
        }
    }
    let (mut reached, mut to_visit) = (BTreeSet::new(), vec![last_part(&call.name)]);
    while let Some(function) = to_visit.pop() {
        if functions.contains(function) && reached.insert(function) {
            to_visit.extend(callees.get(function).into_iter().flatten());
        }
    }
    let circle =
        || format!("recursion: {within} calls itself, directly or through {}; Rego has no recursion", call.name);
    reached.contains(within).then(circle)
}

/// Calls `found` with every call below.
fn collect(node: &Value, contents: &str, found: &mut impl FnMut(String, Place)) {
    match node {
        Value::Array(nodes) => nodes.iter().for_each(|node| collect(node, contents, found)),
        Value::Object(fields) => {
            if let Some((name, place)) = node.pointer("/Call/fcn").and_then(|function| name_of(function, contents)) {
                found(name, place);
            }
            fields.values().for_each(|node| collect(node, contents, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The text of a name, and where it begins.
fn name_of(reference: &Value, contents: &str) -> Option<(String, Place)> {
    let span = &reference.as_object()?.values().next()?["span"];
    let at = |key: &str| span[key].as_u64().and_then(|at| usize::try_from(at).ok());
    let name = contents.get(at("start")?..at("end")?)?;
    // The place of a name with dots is that of its last dot.
    let line = contents.get(..at("start")?)?.rsplit('\n').next()?;
    let column = u64::try_from(line.chars().count()).ok()?.saturating_add(1);
    Some((name.to_owned(), Place { line: span["line"].as_u64()?, column }))
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
