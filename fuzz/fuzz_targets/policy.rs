//! Policies: any text is read into policies within their limits, or refused with problems that name a line of it.

#![no_main]

use homeostat_remediate::{ATTEMPTS_WINDOW_MIN, MAX_ATTEMPTS_MAX, load_policies};
use libfuzzer_sys::fuzz_target;

/// Keys before the input's text, so that most inputs are about values.
const FRAME: &str = "remediation_policy:\n  incident_type: oom-killed\n  auto_execute: true\n  confidence_threshold: 0.92\n  max_attempts: 2\n  cooldown_after_action: 10m\n  verification_window: 5m\n  rollback_if_failed: false\n";

fuzz_target!(|text: &str| {
    check(text);
    check(&format!("{FRAME}  {text}"));
});

fn check(text: &str) {
    match load_policies(text, "p.yaml", &homeostat_execute::actions()) {
        Ok(policies) => {
            for policy in policies {
                assert!((1..=MAX_ATTEMPTS_MAX).contains(&policy.max_attempts));
                assert!(policy.attempts_window >= ATTEMPTS_WINDOW_MIN);
            }
        }
        Err(problems) => assert!(!problems.is_empty()),
    }
}
