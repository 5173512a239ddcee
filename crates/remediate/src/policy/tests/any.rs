//! Whatever a policy file says, reading it ends, with policies within their limits or with problems that name their place.

use proptest::prelude::*;

use crate::policy::{ATTEMPTS_WINDOW_MIN, MAX_ATTEMPTS_MAX, load_policies};
use crate::test_actions::actions;

const EXAMPLE: &str = include_str!("../../../../../deploy/policies.example.yaml");

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
    match load_policies(text, "p.yaml", &actions()) {
        Ok(policies) => {
            for policy in policies {
                prop_assert!((1..=MAX_ATTEMPTS_MAX).contains(&policy.max_attempts), "{policy:?}");
                prop_assert!(policy.attempts_window >= ATTEMPTS_WINDOW_MIN, "{policy:?}");
            }
        }
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            let n_lines = text.lines().count() as u64 + 1;
            for problem in problems {
                prop_assert!((1..=n_lines).contains(&problem.place.line), "{problem} in {n_lines} lines");
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_mutilated_policy_is_read_within_its_limits_or_refused_with_a_place(changes in changes()) {
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
        assert!(load_policies(&open.repeat(20_000), "p.yaml", &actions()).is_err(), "{open}");
    }
}
