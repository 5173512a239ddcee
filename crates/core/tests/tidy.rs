//! The architecture's rules, held over the text of the whole workspace.
//!
//! It lives in `core` because that compiles in seconds. `ARCHITECTURE.md` names these tests beside the invariants they
//! hold; `architecture_names_tests_that_exist` holds that page to it.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/pages.rs"]
mod pages;
#[path = "tidy/text.rs"]
mod text;

use text::{code, without_strings, without_tests};

/// Each crate and the crates it may depend on (`[dependencies]`; tests may use more).
const EDGES: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("settings", &["core"]),
    ("ingest", &["core"]),
    ("detect", &["core", "settings"]),
    ("incidents", &["core", "detect"]),
    ("simulate", &["core"]),
    ("evaluate", &["core", "detect", "incidents", "simulate", "remediate"]),
    ("remediate", &["core", "settings"]),
    ("journal", &["core", "remediate"]),
    ("http", &[]),
    ("execute", &["core", "remediate", "journal", "http"]),
    ("announce", &["core", "settings", "http"]),
    (
        "engine",
        &[
            "core",
            "settings",
            "ingest",
            "detect",
            "incidents",
            "simulate",
            "evaluate",
            "remediate",
            "journal",
            "execute",
            "announce",
        ],
    ),
];

/// Crates that are synchronous and deterministic: time and randomness come in as arguments.
const PURE: &[&str] = &["core", "settings", "detect", "incidents", "simulate", "evaluate", "remediate"];

/// What a pure crate's code may not say, and what to use instead.
const BANNED_IN_PURE: &[(&str, &str)] = &[
    ("SystemTime", "pass `now: Timestamp`"),
    ("Instant::now", "pass `now: Timestamp`"),
    ("thread_rng", "pass a `Seed`"),
    ("rand::rng()", "pass a `Seed`"),
    ("from_os_rng", "pass a `Seed`"),
    ("from_entropy", "pass a `Seed`"),
    ("async fn", "keep the core synchronous"),
    ("tokio::", "keep the core synchronous"),
    ("std::net", "fetch in `ingest`, send in `announce`"),
];

/// What no code outside tests may say anywhere.
const BANNED_EVERYWHERE: &[(&str, &str)] = &[
    ("println!", "return text and let the engine's `outcome::print` write it, or use `tracing`"),
    ("eprintln!", "use `tracing`"),
    ("todo!", "do it, or refuse it as a value"),
    ("unimplemented!", "do it, or refuse it as a value"),
    ("#[ignore", "a test runs or says why not"),
    ("thread::sleep", "wait for a condition, not for time"),
];

/// Files of a pure crate that may touch the file system, and why.
const FILES_ALLOWED: &[&str] = &["crates/detect/src/bundle", "crates/settings/src/environment.rs"];

/// Longest a source file may be, tests left out. The aim is 150; a table of data or one tightly knit noun may be longer.
const FILE_LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

fn files_below(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                files_below(&path, ending, found);
            }
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// A crate's source files with their path from the root.
fn sources(member: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files_below(&root().join("crates").join(member).join("src"), ".rs", &mut found);
    found.sort();
    let texts = found.into_iter().map(|path| {
        let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("readable"))
    });
    texts.collect()
}

/// Test files: their names say so, or the module above declares them under `#[cfg(test)]`.
fn is_test_file(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/") || only_tests_compile(name)
}

fn only_tests_compile(name: &str) -> bool {
    let Some((folder, file)) = name.rsplit_once('/') else { return false };
    let module = format!("mod {};", file.trim_end_matches(".rs"));
    let above = [format!("{folder}.rs"), format!("{folder}/lib.rs"), format!("{folder}/main.rs")];
    let declared = above.iter().filter_map(|above| fs::read_to_string(root().join(above)).ok());
    declared.into_iter().any(|text| text.contains(&module) && !without_tests(&text).contains(&module))
}

#[test]
fn crates_depend_only_on_the_crates_they_may() {
    let known: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let crates: Vec<String> = fs::read_dir(root().join("crates"))
        .expect("crates")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    for member in &crates {
        let allowed =
            known.get(member.as_str()).unwrap_or_else(|| panic!("the crate {member} has no edges in this test"));
        let manifest = fs::read_to_string(root().join("crates").join(member).join("Cargo.toml")).expect("a manifest");
        let dependencies =
            manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap_or_default();
        for line in dependencies.lines() {
            if let Some(other) = line.strip_prefix("homeostat-").and_then(|rest| rest.split(['.', ' ', '=']).next()) {
                assert!(allowed.contains(&other), "{member} may not depend on {other}; see DESIGN in ARCHITECTURE.md");
            }
        }
    }
}

#[test]
fn pure_crates_take_time_and_chance_as_arguments() {
    let mut wrong = Vec::new();
    for member in PURE {
        for (name, text) in sources(member).iter().filter(|(name, _)| !is_test_file(name)) {
            let code = code(text);
            for (word, instead) in BANNED_IN_PURE {
                if code.contains(word) {
                    wrong.push(format!("{name}: {word}: {instead}"));
                }
            }
            if code.contains("std::fs") && !FILES_ALLOWED.iter().any(|allowed| name.starts_with(allowed)) {
                wrong.push(format!("{name}: std::fs: pass bytes; only bundles touch files"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_code_says_what_is_banned_everywhere() {
    let mut wrong = Vec::new();
    for (member, _) in EDGES {
        for (name, text) in sources(member).iter().filter(|(name, _)| !is_test_file(name)) {
            let code = code(text);
            for (word, instead) in BANNED_EVERYWHERE {
                if code.contains(word) {
                    wrong.push(format!("{name}: {word}: {instead}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Variants of errors that show what caused them in their own message, and hand it on as their source as well.
fn sources_told_twice(text: &str) -> Vec<String> {
    let code = code(text);
    let variants = code.split("#[error(").skip(1).map(|after| after.split("\n}").next().unwrap_or(after));
    variants
        .filter_map(|variant| variant.split_once(")]\n"))
        .filter(|(_, body)| ["#[source]", "#[from]", " source: "].iter().any(|mark| body.contains(mark)))
        .filter(|(message, _)| message.contains("{0") || message.contains("{source"))
        .map(|(message, _)| message.to_owned())
        .collect()
}

#[test]
fn no_error_says_its_source_twice() {
    assert_eq!(sources_told_twice("enum E {\n#[error(\"a: {0}\")]\nA(#[from] B),\n}").len(), 1);
    assert_eq!(
        sources_told_twice("enum E {\n#[error(\"a\")]\nA(#[from] B),\n#[error(\"{0}\")]\nC(String),\n}").len(),
        0
    );
    for (member, _) in EDGES {
        for (name, text) in sources(member) {
            let twice = sources_told_twice(&text);
            assert!(twice.is_empty(), "{name}: the chain is printed whole, so leave the source out of {twice:?}");
        }
    }
}

#[test]
fn only_detectors_see_no_label_and_only_evaluate_reads_truths() {
    let readers: Vec<String> = ["ingest", "detect", "incidents", "remediate", "journal", "execute", "announce"]
        .iter()
        .flat_map(|member| sources(member))
        .filter(|(name, text)| !is_test_file(name) && code(text).contains("FaultTruth"))
        .map(|(name, _)| name)
        .collect();
    assert!(readers.is_empty(), "labels are for `evaluate` and the demo's scorecard: {readers:?}");
}

#[test]
fn every_file_says_what_it_is_for_and_is_short_enough() {
    let mut wrong = Vec::new();
    for (member, _) in EDGES {
        for (name, text) in sources(member).iter().filter(|(name, _)| !is_test_file(name)) {
            if !text.starts_with("//!") {
                wrong.push(format!("{name}: begins without `//!`: say what the file is for"));
            }
            let lines = without_tests(text).lines().count();
            if lines > FILE_LINES_MAX {
                wrong.push(format!("{name}: {lines} lines: one noun a file, at most {FILE_LINES_MAX}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    let mut all = Vec::new();
    for (member, _) in EDGES {
        let files: Vec<_> = sources(member).into_iter().filter(|(name, _)| !is_test_file(name)).collect();
        let files: Vec<_> = files.into_iter().map(|(name, text)| (name, without_strings(&code(&text)))).collect();
        let arrows = circles::Crate::of(&files).arrows();
        all.extend(circles::circles(&arrows).iter().map(|circle| circles::told(circle, &arrows)));
    }
    println!("figure house.file_circles {} circles", all.len());
    let advice = "give what both need a file of its own";
    assert!(all.is_empty(), "files that take names from each other; {advice}:\n{}", all.join("\n"));
}

#[test]
fn versions_are_pinned_exactly() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let dependencies = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("workspace dependencies");
    for line in
        dependencies.lines().filter(|line| line.contains('=') && !line.starts_with('#') && !line.contains("path ="))
    {
        assert!(line.contains("\"="), "pin it exactly, as \"=1.2.3\": {line}");
    }
}
