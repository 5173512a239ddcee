use std::collections::BTreeSet;

use super::*;

#[test]
fn every_code_is_one_guardrails_own_and_made_of_words() {
    let mut seen = BTreeSet::new();
    for code in GUARDRAILS.iter().flat_map(|guardrail| guardrail.codes()) {
        assert!(seen.insert(code), "{code} belongs to two guardrails");
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}");
    }
}

/// What it costs to add one, counted on the fake: a file, and here its `mod` line and its line in the list.
#[test]
fn a_guardrail_is_one_file_and_one_line_of_registration() {
    let registered = include_str!("../guardrails.rs").lines().filter(|line| line.contains("fake"));
    assert_eq!(registered.collect::<Vec<_>>(), ["mod fake;", "    &fake::Fake,"]);
    let elsewhere = [include_str!("../lib.rs"), include_str!("../decide.rs"), include_str!("../objection.rs")];
    assert!(elsewhere.iter().all(|text| !text.contains("fake")));
}
