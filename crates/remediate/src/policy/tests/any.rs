//! Whatever a policy file says, reading it ends, with policies within their limits or with problems that name their place.

#[path = "../../../../settings/tests/support/mutilated.rs"]
mod mutilated;

use proptest::prelude::*;

use self::mutilated::{changes, mutilated};
use crate::policy::{ATTEMPTS_WINDOW_MIN, MAX_ATTEMPTS_MAX, load_policies};
use crate::test_actions::actions;

const EXAMPLE: &str = include_str!("../../../../../deploy/policies.example.yaml");

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
