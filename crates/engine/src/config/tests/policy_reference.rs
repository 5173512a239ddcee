//! The part of `docs/reference/config.md` about policy files: every key that the reader asks for.

use std::collections::BTreeSet;
use std::fmt::Write;

use homeostat_remediate::{Policy, load_policies, read_policies};
use homeostat_settings::{Findings, Key, parse_documents};

use super::policy_keys::KEYS;
use super::reference::{kind_text, paths_in, whole};

const EXAMPLE: &str = include_str!("../../../../../deploy/policies.example.yaml");

/// A policy's own keys, of the form with one policy a document.
fn keys_read() -> Vec<Key> {
    let mut findings = Findings::new();
    read_policies(&whole(EXAMPLE), "policies.example.yaml", &homeostat_execute::actions(), &mut findings);
    assert_eq!(findings.to_vec(), [], "the example is right, also with the lines that are commented out");
    let own = findings.keys().iter().filter_map(|key| {
        let path = key.path.strip_prefix("remediation_policy.")?;
        Some(Key { path: path.to_owned(), kind: key.kind.clone() })
    });
    own.collect()
}

#[test]
fn every_key_of_a_policy_is_described_and_in_the_example() {
    let read: BTreeSet<String> = keys_read().into_iter().map(|key| key.path).collect();
    let known: BTreeSet<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(
        read, known,
        "describe them in crates/engine/src/config/tests/policy_keys.rs, then run \
         `BLESS=1 cargo test -p homeostat config::tests::reference`"
    );
    let documents = parse_documents("example", &whole(EXAMPLE)).expect("YAML, also with the commented lines");
    let mut written = BTreeSet::new();
    documents.iter().for_each(|document| paths_in(document, "", &mut written));
    let missing: Vec<_> = read.iter().filter(|path| !written.contains(&format!("remediation_policy.{path}"))).collect();
    assert!(
        missing.is_empty(),
        "add to deploy/policies.example.yaml, commented out where it isn't needed: {missing:?}"
    );
}

#[test]
fn a_default_of_a_policy_that_is_written_out_changes_nothing() {
    let policy = |more: &str| -> Policy {
        let text = format!(
            "remediation_policy:\n  incident_type: oom-killed\n  auto_execute: false\n  confidence_threshold: 0.9\n{more}"
        );
        let policies = load_policies(&text, "p.yaml", &homeostat_execute::actions());
        policies.unwrap_or_else(|problems| panic!("{more}: {problems:?}")).remove(0)
    };
    let mut n_checked = 0;
    for key in KEYS {
        let Some(default) = key.default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else { continue };
        assert_eq!(policy(&format!("  {}: {default}\n", key.path)), policy(""), "{}: {default}", key.path);
        n_checked += 1;
    }
    assert!(n_checked >= 8, "only {n_checked} defaults are checked");
}

/// For the page that `reference` writes.
pub(super) fn section() -> String {
    let mut text = "\n## Policy files\n\n\
         A file that `policies` names has YAML documents, each with one `remediation_policy` or a list `remediation_policies`; these are\n\
         the keys of one policy. `deploy/policies.example.yaml` has them all; `homeostat check policy FILE` shows every problem of a\n\
         file at once, and says in sentences what each policy would do. Policies may also be custom resources, or a list of threshold rules:\n\
         [the guide](../guides/policies.md) has every format.\n\n\
         | key | type | default | meaning |\n| --- | --- | --- | --- |\n"
        .to_owned();
    let read = keys_read();
    for described in KEYS {
        let Some(key) = read.iter().find(|key| key.path == described.path) else { continue };
        let kind = described.kind.map_or_else(|| kind_text(&key.kind), str::to_owned);
        let _ = writeln!(text, "| `{}` | {kind} | {} | {} |", key.path, described.default, described.text);
    }
    text
}
