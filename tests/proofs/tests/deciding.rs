//! Deciding with a long history, and in a storm; `deciding` has the figures.
#![allow(clippy::unwrap_used, reason = "a test program")]

use homeostat_proofs::deciding::{decide_often, rules, storm};

#[test]
fn a_long_history_is_gone_by_and_holds_nothing_up() {
    for rego in [None, Some(rules())] {
        let decided = decide_often(2_000, 20, rego).unwrap();
        assert_eq!((decided.n_actions, decided.n_executed), (2_000, 20));
    }
}

/// I18.
#[test]
fn many_incidents_at_once_are_one_call_and_no_request() {
    let storm = storm(300, 3).unwrap();
    assert_eq!((storm.n_calls, storm.n_requests), (1, 0));
    // One decision each, the call, and the storm: nothing is written again while nothing changes.
    assert_eq!(storm.n_rows, 302);
}
