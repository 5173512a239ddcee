//! Pages that name tests and decisions name those that exist, and all of them.

use std::collections::BTreeSet;
use std::fs;

use crate::text::without_tests;
use crate::{EDGES, files_below, is_test_file, root, sources};

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of all functions, those of tests among them.
fn functions() -> BTreeSet<String> {
    let mut texts = Vec::new();
    for dir in ["crates", "tests", "benches"] {
        files_below(&root().join(dir), ".rs", &mut texts);
    }
    let mut functions = BTreeSet::new();
    for path in texts {
        for line in fs::read_to_string(path).expect("readable").lines() {
            let line = line.trim_start();
            if let Some(rest) = line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn ")) {
                functions.extend(rest.split(['(', '<']).next().map(str::to_owned));
            }
        }
    }
    functions
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn unknown<'a>(names: impl Iterator<Item = &'a str>, functions: &BTreeSet<String>) -> Vec<String> {
    names.filter(|name| !functions.contains(name.rsplit("::").next().unwrap_or(name))).map(str::to_owned).collect()
}

#[test]
fn architecture_names_tests_that_exist() {
    let (page, functions) = (page("ARCHITECTURE.md"), functions());
    let held: Vec<&str> =
        page.split("*Held by*").skip(1).flat_map(|held| quoted(held.split('.').next().unwrap_or_default())).collect();
    let wrong = unknown(held.iter().copied(), &functions);
    assert!(wrong.is_empty(), "ARCHITECTURE.md names tests that don't exist: {wrong:?}");
    assert!(held.len() >= 10, "ARCHITECTURE.md names only {} tests", held.len());
}

#[test]
fn safety_names_tests_that_exist() {
    let (page, functions) = (page("docs/safety.md"), functions());
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| I"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    let wanted: Vec<String> = (1..=36).map(|number| format!("I{number}")).collect();
    assert_eq!(numbers, wanted, "docs/safety.md has each invariant once, in order");
    for row in &rows {
        let (number, state, tests) = (row[1], row[3], row[4]);
        let wrong = unknown(quoted(tests), &functions);
        assert!(wrong.is_empty(), "docs/safety.md, {number}: no such tests: {wrong:?}");
        let n_tests = quoted(tests).count();
        match state.split(':').next() {
            Some("held" | "partly") => assert!(n_tests > 0, "docs/safety.md, {number}: {state}, but no test is named"),
            Some("open") => assert_eq!(n_tests, 0, "docs/safety.md, {number} is open and names tests"),
            other => panic!("docs/safety.md, {number}: unknown state {other:?}; use one of held, partly, open"),
        }
    }
}

/// The numbers of invariants that a text cites, such as "I5" and "I9–I11".
fn cited(text: &str) -> BTreeSet<u32> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let number = |word: &str| word.strip_prefix('I').and_then(|rest| rest.parse::<u32>().ok());
    let mut cited = BTreeSet::new();
    let mut from = None;
    // Each word with the character after it.
    for piece in text.split_inclusive(|character| !is_word(character)) {
        let found = number(piece.trim_end_matches(|character| !is_word(character)));
        cited.extend(found.map(|to| from.unwrap_or(to)..=to).into_iter().flatten());
        from = found.filter(|_| piece.ends_with('–'));
    }
    cited
}

/// A small checker beside the page: what is held is held somewhere in the code, which says so, and by a test, which says so.
#[test]
fn every_invariant_has_a_code_place_and_a_test_that_cites_it() {
    assert_eq!(cited("(I5, I9–I11) and I300x, not BI7, I 8 or I"), BTreeSet::from([5, 9, 10, 11]));
    let all = EDGES.iter().flat_map(|(member, _)| sources(member));
    let code: BTreeSet<u32> =
        all.filter(|(name, _)| !is_test_file(name)).flat_map(|(_, text)| cited(&without_tests(&text))).collect();
    let mut files = Vec::new();
    for dir in ["crates", "tests"] {
        files_below(&root().join(dir), ".rs", &mut files);
    }
    let texts: Vec<String> = files.iter().map(|path| fs::read_to_string(path).expect("readable")).collect();
    let page = page("docs/safety.md");
    let mut wrong = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| I")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (name, state, tests) = (cells[1], cells[3], cells[4]);
        if state.starts_with("open") {
            continue;
        }
        let number: u32 = name[1..].parse().expect("a number");
        if !code.contains(&number) {
            wrong.push(format!("{name}: no code outside tests cites it: name it in a comment where it is held"));
        }
        let is_cited = |test: &str| {
            let defined = format!("fn {}(", test.rsplit("::").next().unwrap_or(test));
            texts.iter().any(|text| text.contains(&defined) && cited(text).contains(&number))
        };
        if !quoted(tests).any(is_cited) {
            wrong.push(format!("{name}: no file with one of its tests cites it: name it in a comment above the test"));
        }
    }
    assert!(wrong.is_empty(), "docs/safety.md:\n{}", wrong.join("\n"));
}

#[test]
fn decisions_are_all_listed() {
    let index = page("docs/decisions/README.md");
    let mut files = Vec::new();
    files_below(&root().join("docs/decisions"), ".md", &mut files);
    let names = files.iter().filter_map(|path| path.file_name()?.to_str()).filter(|name| *name != "README.md");
    let mut missing: Vec<&str> = names.filter(|name| !index.contains(&format!("({name})"))).collect();
    missing.sort_unstable();
    assert!(missing.is_empty(), "add a line for each to docs/decisions/README.md: {missing:?}");
    for line in index.lines().filter(|line| line.starts_with("| [")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let file = line.split(['(', ')']).nth(1).expect("a link");
        assert!(
            root().join("docs/decisions").join(file).exists(),
            "docs/decisions/README.md lists {file}, which isn't there"
        );
        assert!(cells[3].len() == "2026-01-31".len() && !cells[4].is_empty(), "date and status are missing: {line}");
    }
}
