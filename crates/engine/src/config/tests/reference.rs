//! `docs/reference/config.md` is what the reader reads: every key with its type, bounds, default and meaning.

use std::collections::BTreeSet;
use std::fmt::Write;

use homeostat_core::format_duration;
use homeostat_settings::{Key, Kind, Node, Value, parse_documents};
use serde_json::json;

use super::keys::{Described, KEYS};
use super::*;
use crate::config::load::keys_of;

const EXAMPLE: &str = include_str!("../../../../../deploy/homeostat.example.yaml");

fn deploy() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy"))
}

fn whole_example() -> String {
    whole(EXAMPLE)
}

/// An example with the lines that are commented out: those in which no space, or two and more, follow the `#`.
pub(super) fn whole(example: &str) -> String {
    let lines = example.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with("  ") || !rest.starts_with(' ') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The keys that the reader asks for when every section is there, but for the queries of replicas, which are those of `queries`.
fn keys_read() -> Vec<Key> {
    let (keys, problems) = keys_of(&whole_example(), deploy());
    let unknown: Vec<_> = problems.iter().filter(|problem| problem.message.contains("unknown key")).collect();
    assert!(unknown.is_empty(), "the example has keys that nobody reads: {unknown:?}");
    keys.into_iter().filter(|key| !key.path.starts_with("replicas.queries.")).collect()
}

#[test]
fn every_key_that_is_read_is_described_and_every_description_is_of_a_key_that_is_read() {
    let read: BTreeSet<String> = keys_read().into_iter().map(|key| key.path).collect();
    let known: BTreeSet<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    let missing: Vec<_> = read.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "describe {missing:?} in crates/engine/src/config/tests/keys.rs, then run \
         `BLESS=1 cargo test -p homeostat config::tests::reference`"
    );
    let gone: Vec<_> = known.difference(&read).collect();
    assert!(gone.is_empty(), "described, but nobody reads {gone:?}");
}

#[test]
fn the_example_has_every_key() {
    let text = whole_example();
    let documents = parse_documents("example", &text).expect("YAML, also with the commented lines");
    let mut written = BTreeSet::new();
    paths_in(&documents[0], "", &mut written);
    let missing: Vec<_> = keys_read().into_iter().map(|key| key.path).filter(|path| !written.contains(path)).collect();
    assert!(
        missing.is_empty(),
        "add to deploy/homeostat.example.yaml, commented out where it isn't needed: {missing:?}"
    );
}

pub(super) fn paths_in(node: &Node, at: &str, into: &mut BTreeSet<String>) {
    match &node.value {
        Value::Map(entries) => {
            for (name, _, inner) in entries {
                let chosen = ["queries", "replicas.queries", "channels"].contains(&at);
                let name = if chosen { "<name>" } else { name };
                let path = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
                into.insert(path.clone());
                paths_in(inner, &path, into);
            }
        }
        Value::List(items) => items.iter().for_each(|item| paths_in(item, &format!("{at}[]"), into)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {}
    }
}

#[test]
fn a_default_that_is_written_out_changes_nothing() {
    let literal = |key: &Described| key.default.strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
    let checked: Vec<(&str, String)> = KEYS.iter().filter_map(|key| Some((key.path, literal(key)?))).collect();
    assert!(checked.len() >= 30, "only {} defaults are checked", checked.len());
    for (path, default) in checked {
        let base = base();
        let plain = load_text(&base.to_string()).expect("a config");
        let mut with = base;
        let value: serde_json::Value = serde_json::from_str(&default).unwrap_or_else(|_| {
            let list = default.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            list.map_or_else(|| json!(default), |items| json!(items.split(", ").collect::<Vec<_>>()))
        });
        write_at(&mut with, path, value);
        let with = load_text(&with.to_string()).unwrap_or_else(|problems| panic!("{path}: {default}: {problems:?}"));
        // Every test config has a directory of its own.
        let without_dir = |config: &Config| {
            let text = format!("{config:?}");
            let dir = config.storage.parent().map(|dir| dir.display().to_string()).unwrap_or_default();
            text.replace(&dir, "")
        };
        assert_eq!(without_dir(&with), without_dir(&plain), "{path}: {default} isn't the default");
    }
}

/// A config with something in every list and every section of named things.
fn base() -> serde_json::Value {
    json!({
        "global": {
            "holidays": [{"dates": ["2026-12-25"]}],
            "exclude": [{"from": "2026-11-03T10:00:00Z", "to": "2026-11-03T12:00:00Z"}],
        },
        "datasources": [{"url": "http://127.0.0.1:9090"}],
        "preset": "kubernetes-workload",
        "queries": {"q": {"expr": "x"}},
        "replicas": {"preset": "kubernetes-replicas"},
        "channels": {"pager": {"type": "webhook", "url": "http://127.0.0.1:1/"}},
        "kubernetes": {},
    })
}

fn write_at(root: &mut serde_json::Value, path: &str, value: serde_json::Value) {
    let mut at = root;
    for segment in path.split('.') {
        let segment = match segment {
            "<name>" => at.as_object().and_then(|map| map.keys().next().cloned()).expect("something in it"),
            other => other.trim_end_matches("[]").to_owned(),
        };
        let inner = &mut at[&segment];
        at = if inner.is_array() { &mut inner[0] } else { inner };
    }
    *at = value;
}

#[test]
fn the_reference_page_is_the_readers() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/reference/config.md is out of date: BLESS=1 cargo test -p homeostat config::tests::reference"
    );
}

fn page() -> String {
    let mut page = "# Configuration\n\n\
         Every key of the config file. `deploy/homeostat.example.yaml` has them all; `homeostat check config FILE` shows every\n\
         problem of a file at once. Durations are written as in Prometheus (`30s`, `1h30m`, `14d`). Paths are relative to the\n\
         config's own directory. `${NAME}` and `${NAME:-default}` are replaced from the environment.\n\n\
         This page is generated from the reader (`BLESS=1 cargo test -p homeostat config::tests::reference`).\n\n\
         | key | type | default | meaning |\n| --- | --- | --- | --- |\n"
        .to_owned();
    let read = keys_read();
    for described in KEYS {
        let Some(key) = read.iter().find(|key| key.path == described.path) else { continue };
        let default = if described.default.is_empty() { "–" } else { described.default };
        let kind = described.kind.map_or_else(|| kind_text(&key.kind), str::to_owned);
        let _ = writeln!(page, "| `{}` | {kind} | {default} | {} |", key.path, described.text);
    }
    page + &policy_reference::section()
}

pub(super) fn kind_text(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Number(range) if *range.end() == f64::MAX && *range.start() == 0.0 => "number, at least 0".to_owned(),
        Kind::Number(range) if *range.end() == f64::MAX => "number".to_owned(),
        Kind::Number(range) => format!("number, {} to {}", range.start(), range.end()),
        Kind::Count(range) if *range.end() == u32::MAX => format!("whole number, at least {}", range.start()),
        Kind::Count(range) => format!("whole number, {} to {}", range.start(), range.end()),
        Kind::Duration(None) => "duration".to_owned(),
        Kind::Duration(Some(range)) => {
            format!("duration, {} to {}", format_duration(*range.start()), format_duration(*range.end()))
        }
        Kind::Texts => "list of texts, or one text".to_owned(),
        Kind::Section => "section".to_owned(),
        Kind::Sections => "list of sections".to_owned(),
        Kind::Named => "sections by name".to_owned(),
        Kind::Other => panic!("say what it may be in crates/engine/src/config/tests/keys.rs"),
    }
}
