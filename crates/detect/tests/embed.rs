//! The example in the README runs, and says what the README says: calm before the fault, latency after it.

#![allow(clippy::expect_used, reason = "a test program")]

use std::process::Command;

/// The example as cargo built it, beside this test's own directory.
fn example() -> std::path::PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    let profile = own.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    profile.join("examples").join(format!("embed{}", std::env::consts::EXE_SUFFIX))
}

#[test]
fn the_example_finds_the_slow_requests_and_nothing_else() {
    let output = Command::new(example()).output().expect("cargo builds examples with the tests");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    let [before, _, _, after, latency, requests] = lines.as_slice() else { panic!("six lines, not {text}") };
    assert!(before.starts_with("1970-01-03T00:49:00Z: ") && before.ends_with(", as usual"), "{text}");
    assert!(after.starts_with("1970-01-03T00:59:00Z: ") && after.ends_with(", unusual"), "{text}");
    let deviations = |line: &str| -> f64 {
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    assert!(latency.trim_start().starts_with("latency_s") && deviations(latency) > 5.0, "{text}");
    assert!(requests.trim_start().starts_with("requests") && deviations(requests).abs() < 5.0, "{text}");
}
