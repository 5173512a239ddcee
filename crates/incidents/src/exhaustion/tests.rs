use std::time::Duration;

use homeostat_core::{Seed, Timestamp};

use super::*;
use crate::testing::noise;

const MINUTE: i64 = 60;
const WINDOW: Duration = Duration::from_secs(2 * 3_600);

/// Follows `n` minutes of a course in MiB against a limit of 1 000, with this much noise.
fn followed(n: i64, noise_mib: f64, course: impl Fn(i64) -> f64) -> Exhaustion {
    let noise = noise(n as usize, 1, Seed::new(2));
    let mut memory = Exhaustion::rising_to(1_000.0, WINDOW).expect("a resource");
    for minute in 0..n {
        memory.observe(Timestamp::from_secs(minute * MINUTE), course(minute) + noise_mib * noise[[minute as usize, 0]]);
    }
    memory
}

#[test]
fn a_leak_is_timed_within_its_interval() {
    // 2 MiB a minute from 300: full at minute 350; at minute 150 it has 200 minutes left.
    let memory = followed(151, 5.0, |minute| 300.0 + 2.0 * minute as f64);
    let Outlook::Filling(left) = memory.outlook() else { panic!("{:?}", memory.outlook()) };
    assert!((left.seconds / 12_000.0 - 1.0).abs() < 0.1, "{left:?}");
    assert!(left.seconds_min < 12_000.0 && 12_000.0 < left.seconds_max, "{left:?}");
    assert!(left.seconds_min <= left.seconds && left.seconds <= left.seconds_max);
    let score = memory.score(Duration::from_secs(4 * 3_600)).value();
    assert!((1.0..1.4).contains(&score), "{score}");
}

#[test]
fn a_disk_that_empties_is_timed_too() {
    let mut disk = Exhaustion::falling_to(0.0, Duration::from_secs(6 * 3_600)).expect("a resource");
    for minute in 0..400 {
        disk.observe(Timestamp::from_secs(minute * MINUTE), 1_000.0 - minute as f64);
    }
    let Outlook::Filling(left) = disk.outlook() else { panic!("{:?}", disk.outlook()) };
    assert!((left.seconds / 36_000.0 - 1.0).abs() < 0.05, "{left:?}");
}

#[test]
fn noise_and_a_standstill_are_steady() {
    assert_eq!(followed(300, 20.0, |_| 500.0).outlook(), Outlook::Steady);
    assert_eq!(followed(300, 0.0, |_| 500.0).outlook(), Outlook::Steady);
    assert_eq!(followed(300, 5.0, |minute| 900.0 - minute as f64).outlook(), Outlook::Steady);
}

#[test]
fn a_step_is_no_trend_wherever_it_is_in_the_window() {
    for at in (130..300).step_by(7) {
        let memory = followed(300, 2.0, |minute| if minute < at { 300.0 } else { 700.0 });
        assert_eq!(memory.outlook(), Outlook::Steady, "a step at minute {at}");
    }
}

#[test]
fn a_sawtooth_is_steady_at_any_moment_once_it_has_come_down() {
    // A heap that fills by 400 MiB in `period` minutes and is collected, longer than the window or far shorter.
    for period in [7, 20, 55, 90, 180, 360] {
        let course = |minute: i64| 300.0 + 400.0 * ((minute % period) as f64 / period as f64);
        let noise = noise(2_000, 1, Seed::new(2));
        let mut memory = Exhaustion::rising_to(1_000.0, WINDOW).expect("a resource");
        for minute in 0..2_000_i64 {
            let value = course(minute) + 3.0 * noise[[minute as usize, 0]];
            let outlook = memory.observe(Timestamp::from_secs(minute * MINUTE), value);
            if minute > 2 * period {
                assert!(matches!(outlook, Outlook::Steady | Outlook::NotReady), "{period}, {minute}: {outlook:?}");
            }
        }
    }
}

#[test]
fn a_leak_under_garbage_collection_shows_in_the_peaks() {
    // Teeth of 200 MiB every 20 minutes on a floor that rises by 1 MiB a minute.
    let memory = followed(301, 2.0, |minute| 300.0 + minute as f64 + 10.0 * (minute % 20) as f64);
    let Outlook::Filling(left) = memory.outlook() else { panic!("{:?}", memory.outlook()) };
    // Peaks of about 490 + minute: 210 minutes left.
    assert!((left.seconds / 12_600.0 - 1.0).abs() < 0.25, "{left:?}");
}

#[test]
fn a_process_that_is_killed_at_the_limit_and_leaks_again_is_no_sawtooth() {
    let memory = followed(400, 2.0, |minute| 300.0 + 680.0 * ((minute % 200) as f64 / 200.0));
    assert!(matches!(memory.outlook(), Outlook::Filling(_)), "{:?}", memory.outlook());
}

#[test]
fn the_limit_reached_is_exhausted_and_below_it_again_is_not() {
    let mut memory = followed(100, 0.0, |_| 500.0);
    assert_eq!(memory.observe(Timestamp::from_secs(100 * MINUTE), 1_000.0), Outlook::Exhausted);
    assert_eq!(memory.score(WINDOW).value(), SCORE_MAX);
    assert_ne!(memory.observe(Timestamp::from_secs(101 * MINUTE), 500.0), Outlook::Exhausted);
}

#[test]
fn gaps_old_rows_and_restarts_are_defined() {
    let mut memory = followed(151, 5.0, |minute| 300.0 + 2.0 * minute as f64);
    let before = memory.clone();
    memory.observe(Timestamp::from_secs(151 * MINUTE), f64::NAN);
    memory.observe(Timestamp::from_secs(150 * MINUTE), 0.0);
    assert_eq!(memory, before);
    memory.observe(Timestamp::from_secs(300 * MINUTE), 300.0);
    assert_eq!(memory.outlook(), Outlook::NotReady, "half a window of silence");
    assert!(Exhaustion::rising_to(f64::NAN, WINDOW).is_err() && Exhaustion::rising_to(1.0, Duration::ZERO).is_err());
}

#[test]
fn extreme_values_give_a_defined_outlook() {
    for scale in [1e300, f64::MAX, 1e-310, -1e300] {
        let mut memory = Exhaustion::rising_to(1_000.0, WINDOW).expect("a resource");
        for minute in 0..300 {
            let sign = if minute % 3 == 0 { -1.0 } else { 1.0 };
            memory.observe(Timestamp::from_secs(minute * MINUTE), sign * scale);
            assert!(memory.score(WINDOW).value().is_finite());
        }
    }
}

#[test]
fn it_is_small_and_the_same_after_save_and_load() {
    let mut memory = followed(5_000, 30.0, |minute| 300.0 + 10.0 * (minute % 37) as f64);
    assert!(memory.memory_bytes() <= 2_048, "{}", memory.memory_bytes());
    let bytes = postcard::to_allocvec(&memory).expect("plain data");
    let mut again: Exhaustion = postcard::from_bytes(&bytes).expect("the same");
    for minute in 5_000..5_200 {
        let at = Timestamp::from_secs(minute * MINUTE);
        assert_eq!(memory.observe(at, 400.0 + minute as f64), again.observe(at, 400.0 + minute as f64));
    }
    assert_eq!(memory, again);
}

proptest::proptest! {
    #[test]
    fn no_course_panics_and_the_interval_is_in_order(
        values in proptest::collection::vec(proptest::num::f64::ANY, 1..400), step_s in 1_i64..4_000,
    ) {
        let mut memory = Exhaustion::rising_to(1.0, WINDOW).expect("a resource");
        for (idx, value) in values.iter().enumerate() {
            if let Outlook::Filling(left) = memory.observe(Timestamp::from_secs(idx as i64 * step_s), *value) {
                proptest::prop_assert!(left.seconds_min <= left.seconds && left.seconds <= left.seconds_max);
            }
        }
    }
}
