//! Settings: any text is expanded and parsed, or refused with problems that name a line of it.
//!
//! The program's own config reader is no library; its keys are in `config/tests/any.rs`.

#![no_main]

use homeostat_settings::{expand_from, parse_documents};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let n_given = n_lines(text);
    match expand_from("f", text, |name| (name.len() % 2 == 0).then(|| format!("<{name}>"))) {
        Ok(expanded) => {
            if let Err(problem) = parse_documents("f", &expanded) {
                assert!(problem.place.line <= n_lines(&expanded), "{problem}");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| (1..=n_given).contains(&problem.place.line)));
        }
    }
});

/// As YAML counts them: a lone carriage return ends a line, too. One more, for what is missing at the end.
fn n_lines(text: &str) -> u64 {
    text.replace("\r\n", "\n").replace('\r', "\n").lines().count() as u64 + 1
}
