//! Whatever a config says, reading it ends, with a config within its limits or with problems that name their place.

use proptest::prelude::*;

use crate::config::load;

const EXAMPLE: &str = include_str!("../../../../../deploy/homeostat.example.yaml");
/// The file that the example names; it is never mutilated here.
const POLICIES: &str = include_str!("../../../../../deploy/policies.example.yaml");

/// What stands where a value should, or in its way.
const ODD: [&str; 16] = [
    "",
    "null",
    "-1",
    "1e999",
    ".nan",
    "99999999999999999999",
    "''",
    "[]",
    "{}",
    "[[[[[[[[",
    "&a [*a, *a]",
    "!!binary x",
    "\u{0}",
    "\"\\ud800\"",
    "0x7fffffffffffffff",
    "~",
];

/// A text with some of its lines removed, doubled, indented otherwise, cut, or with another value.
fn mutilated(text: &str, changes: &[(proptest::sample::Index, u8, usize)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (at, how, which) in changes.iter().filter(|_| !text.is_empty()) {
        if lines.is_empty() {
            break;
        }
        let at = at.index(lines.len());
        match how % 6 {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => lines[at].insert_str(0, &" ".repeat(which % 7)),
            3 => lines[at] = lines[at].chars().take(which % 30).collect(),
            4 => lines[at] = lines[at].trim_start().to_owned(),
            _ => {
                let key = lines[at].split_once(':').map_or("", |(key, _)| key).to_owned();
                lines[at] = format!("{key}: {}", ODD[which % ODD.len()]);
            }
        }
    }
    lines.join("\n")
}

fn changes() -> impl Strategy<Value = Vec<(proptest::sample::Index, u8, usize)>> {
    proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), any::<usize>()), 1..5)
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, text)?;
    std::fs::write(dir.path().join("policies.example.yaml"), POLICIES)?;
    match load(&path) {
        Ok(loaded) => {
            let step_s = loaded.config.step.as_secs();
            prop_assert!((1..=3600).contains(&step_s), "a step of {step_s} s");
            prop_assert!(loaded.config.queries.n_queries() > 0);
            prop_assert!(loaded.config.listen_address.ip().is_loopback());
        }
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            let n_lines = text.lines().count() as u64 + 1;
            for problem in problems.iter().filter(|problem| problem.file == path.display().to_string()) {
                prop_assert!((1..=n_lines).contains(&problem.place.line), "{problem} in {n_lines} lines");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_mutilated_config_is_read_or_refused_with_a_place(changes in changes()) {
        check(&mutilated(EXAMPLE, &changes))?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|[:\\-\\[\\]{}&*!|>'\"#%@\n ]){0,120}") {
        check(&text)?;
    }
}

#[test]
fn a_text_nested_too_deep_is_refused() {
    for open in ["[", "{a: ", "- "] {
        assert!(check(&open.repeat(20_000)).is_ok());
    }
}
