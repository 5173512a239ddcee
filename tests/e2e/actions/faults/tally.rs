//! Counting what must not be: what was done twice, what was forgotten, and what was done to something else.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use homeostat_remediate::{Inverse, ObjectKind, ObjectRef, PastAction, Stage};
use homeostat_tests::audit::AuditEvent;

use super::life::Outcome;

/// Why an action ends without anybody being called: there was nothing left to be done.
const QUIET: [&str; 2] = ["the incident isn't open any more", "the signals that opened the incident are normal again"];

/// What was counted over many lives.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) n_lives: usize,
    double: Vec<String>,
    forgotten: Vec<String>,
    out_of_scope: Vec<String>,
}

impl Tally {
    pub(super) fn add(&mut self, outcome: &Outcome) -> Result<()> {
        self.n_lives += 1;
        let changes: Vec<String> = outcome.changes.iter().map(told).collect();
        let stages: Vec<String> =
            outcome.actions.iter().map(|action| format!("{} ({:?})", action.stage, action.why)).collect();
        let told = |what: &str| {
            format!(
                "{}: {what}\n  changes {changes:?}\n  ends {stages:?}\n  calls {:?}\n  log {}",
                outcome.told,
                outcome.calls,
                if std::env::var_os("HOMEOSTAT_TESTS_KEEP").is_some() { outcome.log.as_str() } else { "…" }
            )
        };
        let double: Vec<String> = double(outcome).iter().map(|what| told(what)).collect();
        let forgotten: Vec<String> = forgotten(outcome).iter().map(|what| told(what)).collect();
        let mut elsewhere = Vec::new();
        for change in &outcome.changes {
            let mut is_planned = false;
            for action in &outcome.actions {
                is_planned |= is_of_plan(change, action)?;
            }
            if !is_planned {
                elsewhere.push(told(&format!("no plan names {}", self::told(change))));
            }
        }
        // At once: all of them take hours.
        for what in double.iter().chain(&forgotten).chain(&elsewhere) {
            println!("{what}");
        }
        self.double.extend(double);
        self.forgotten.extend(forgotten);
        self.out_of_scope.extend(elsewhere);
        Ok(())
    }

    /// Prints the figures; an error tells every life that went wrong.
    pub(super) fn conclude(&self, name: &str) -> Result<()> {
        println!("figure faults.{name}.lives {} count", self.n_lives);
        let kinds = [("double", &self.double), ("forgotten", &self.forgotten), ("out_of_scope", &self.out_of_scope)];
        for (kind, found) in kinds {
            println!("figure faults.{name}.{kind} {} count", found.len());
        }
        let found: Vec<String> =
            kinds.iter().flat_map(|(kind, found)| found.iter().map(move |what| format!("{kind}: {what}"))).collect();
        ensure!(found.is_empty(), "{}", found.join("\n"));
        Ok(())
    }
}

fn told(change: &AuditEvent) -> String {
    let slash = if change.subresource.is_empty() { "" } else { "/" };
    format!("{} {}{slash}{} {}", change.verb, change.resource, change.subresource, change.name)
}

/// Each change is there once, and once more where it was taken or given back.
fn double(outcome: &Outcome) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for change in &outcome.changes {
        *counts.entry(told(change)).or_default() += 1;
    }
    let is_back = |action: &PastAction| {
        let is_lent = matches!(action.plan.inverse, Inverse::Temporary { .. });
        is_lent || matches!(action.stage, Stage::Undoing | Stage::Settling | Stage::Undone | Stage::Stuck)
    };
    let n_back = usize::from(outcome.actions.iter().any(|action| is_back(action)));
    let allowed = |change: &str| if change.starts_with("patch ") { 1 + n_back } else { 1 };
    let mut found: Vec<String> = counts
        .iter()
        .filter(|(change, n)| **n > allowed(change))
        .map(|(change, n)| format!("{change} {n} times"))
        .collect();
    if outcome.actions.len() > 1 {
        found.push(format!("{} actions for one attempt", outcome.actions.len()));
    }
    found
}

/// What was neither done nor taken back nor told, and what was told otherwise than it was.
fn forgotten(outcome: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    if outcome.actions.is_empty() && outcome.calls.is_empty() {
        found.push("nothing was done and nobody was called".to_owned());
    }
    if outcome.actions.is_empty() && !outcome.changes.is_empty() {
        found.push("it was done without a plan".to_owned());
    }
    found.extend(outcome.lent.iter().map(|plan| format!("what {plan} lent isn't given back")));
    for action in &outcome.actions {
        let n_writes = outcome.changes.iter().filter(|change| is_main_write(change, action)).count();
        let is_quiet = match action.stage {
            Stage::Recovered => true,
            Stage::NotApplied => action.why.as_deref().is_some_and(|why| QUIET.contains(&why)),
            Stage::NotRecovered
            | Stage::Unknown
            | Stage::Overridden
            | Stage::Undone
            | Stage::Stuck
            | Stage::Planned
            | Stage::Applying
            | Stage::Verifying
            | Stage::UndoDue
            | Stage::Undoing
            | Stage::Settling => false,
        };
        if !is_quiet && outcome.calls.is_empty() {
            found.push("nobody was called".to_owned());
        }
        let is_true = match action.stage {
            Stage::NotApplied => n_writes == 0,
            Stage::Recovered | Stage::NotRecovered | Stage::Overridden => n_writes >= 1,
            Stage::Undone => n_writes == 2,
            Stage::Unknown | Stage::Stuck => true,
            Stage::Planned | Stage::Applying | Stage::Verifying | Stage::UndoDue | Stage::Undoing | Stage::Settling => {
                found.push("it never ended".to_owned());
                true
            }
        };
        if !is_true {
            found.push(format!("it ended as {}, and was written {n_writes} times", action.stage));
        }
    }
    found
}

/// Kind and name of what the plan's own write changes.
fn main_object(action: &PastAction) -> Result<(ObjectKind, String)> {
    let subject = &action.plan.target.subject;
    match ObjectRef::in_step(&action.plan.step)? {
        Some(object) => Ok((object.kind, object.name)),
        None => match ObjectKind::of(subject.kind) {
            Some(kind) => Ok((kind, subject.name.clone())),
            None => anyhow::bail!("{subject} is no object"),
        },
    }
}

fn is_main_write(change: &AuditEvent, action: &PastAction) -> bool {
    let is_object = |(kind, name): (ObjectKind, String)| {
        let (group, _, plural) = kind.resource();
        let group = if change.subresource == "eviction" { "" } else { group };
        change.resource == plural && change.group == group && change.name == name
    };
    main_object(action).is_ok_and(is_object)
}

/// Whether the plan names what was changed.
fn is_of_plan(change: &AuditEvent, action: &PastAction) -> Result<bool> {
    let subject = &action.plan.target.subject;
    let (kind, _) = main_object(action)?;
    let in_place = change.namespace == subject.namespace || !kind.is_namespaced();
    if is_main_write(change, action) && in_place {
        return Ok(true);
    }
    let step = serde_json::to_string(&action.plan.step.args)?;
    Ok(match action.plan.step.action.as_str() {
        // A drain names its pods.
        "drain" => change.subresource == "eviction" && step.contains(&format!("\"{}\"", change.name)),
        "quarantine" => {
            change.resource == "networkpolicies" && change.verb == "create" && change.namespace == subject.namespace
        }
        _ => false,
    })
}
