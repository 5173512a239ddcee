//! Whatever a config says, reading it ends, with a config within its limits or with problems that name their place.

#[path = "../../../../settings/tests/support/mutilated.rs"]
mod mutilated;

use proptest::prelude::*;

use self::mutilated::{changes, mutilated};
use crate::config::load;

const EXAMPLE: &str = include_str!("../../../../../deploy/homeostat.example.yaml");
/// The file that the example names; it is never mutilated here.
const POLICIES: &str = include_str!("../../../../../deploy/policies.example.yaml");

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
