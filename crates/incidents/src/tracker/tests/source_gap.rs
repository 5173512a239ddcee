//! What is measured beside a gap of the source.

use super::*;

const NAN: f64 = f64::NAN;
/// The memory isn't there, and the traffic is too small by what wasn't scraped.
const PARTIAL: [f64; 4] = [0.0, NAN, 0.0, -9.0];

fn all(deviations: [f64; 4], score: f64) -> Vec<Given> {
    ["cart", "web", "db"].map(|name| given(name, score, deviations)).to_vec()
}

fn whole(n: usize) -> Play {
    let mut play = Play::new();
    assert!(play.steps(n, &all(CALM, 0.1)).is_empty());
    play
}

#[test]
fn what_is_too_small_where_all_lose_data_at_once_is_no_fault_of_theirs() {
    let mut play = whole(30);
    assert!(play.steps(5, &all(PARTIAL, 1.5)).is_empty());
    assert_eq!(play.tracker.source_lost_at(), Some(play.now() - STEP * 4));
    // Ten minutes without a row, and the rates come up again.
    play.minute += 10;
    assert!(play.steps(3, &all([0.0, 0.0, 0.0, -9.0], 1.5)).is_empty());
    // Back at a usual level, and far above the rows before.
    assert!(play.steps(2, &all([0.0, 0.0, 0.0, 3.9], 1.5)).is_empty());
    assert!(play.steps(30, &all(CALM, 0.1)).is_empty());
    // Traffic that falls with no gap near is a fault as ever: of one at once, of the others when they can't be vanishing with it.
    assert_eq!(play.steps(3, &all([0.0, 0.0, 0.0, -9.0], 1.5)).len(), 1);
    assert_eq!(play.steps(5, &all([0.0, 0.0, 0.0, -9.0], 1.5)).len(), 2);
}

#[test]
fn what_fails_beside_a_gap_and_what_lasts_longer_is_found() {
    let mut play = whole(30);
    let opened = play.steps(3, &all([9.0, NAN, 0.0, -9.0], 1.5));
    assert_eq!(opened.len(), 3, "slow is no matter of fewer samples: {:?}", names(&opened));
    let mut play = whole(30);
    let opened = play.steps(14, &all(PARTIAL, 1.5));
    assert_eq!(opened.len(), 3, "five minutes later there is no rate over the gap any more: {:?}", names(&opened));
}

#[test]
fn who_loses_data_alone_or_from_time_to_time_excuses_nothing() {
    let mut play = whole(30);
    let rows = [given("cart", 1.5, PARTIAL), given("web", 0.1, CALM), given("db", 0.1, CALM)];
    assert_eq!(names(&play.steps(3, &rows)), [("opened", "cart".into())]);
    // Ratios without requests.
    let mut play = Play::new();
    for _ in 0..20 {
        play.steps(3, &all(CALM, 0.1));
        play.step(&all([NAN, 0.0, 0.0, 0.0], 0.1));
    }
    assert_eq!(play.tracker.source_lost_at(), None);
    assert_eq!(play.steps(8, &all([NAN, 0.0, 0.0, -9.0], 1.5)).len(), 3);
}
