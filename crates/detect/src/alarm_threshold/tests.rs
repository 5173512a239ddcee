use super::*;
use homeostat_core::Seed;
use rand::Rng;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: usize = 1440;
const PRIOR: InitialThreshold = InitialThreshold { threshold_nats: 10.0, excess_nats: 2.0 };

fn alarm_threshold(budget: &str) -> AlarmThreshold {
    AlarmThreshold::new(PRIOR, &budget.parse().expect("a budget"), MINUTE, Hysteresis::default())
}

/// Takes the rows and gives the alarms a day: runs of rows in which the gate is open, pauses of 10 minutes joined.
fn alarms_per_day(alarm_threshold: &mut AlarmThreshold, rows: impl Iterator<Item = f64>) -> f64 {
    let (mut n_rows, mut n_alarms, mut calm_rows) = (0_usize, 0_usize, 10);
    for nats in rows {
        alarm_threshold.push(Some(nats));
        n_rows += 1;
        if alarm_threshold.gate.opens(&alarm_threshold.hysteresis) {
            n_alarms += usize::from(calm_rows >= 10);
            calm_rows = 0;
        } else {
            calm_rows += 1;
        }
    }
    n_alarms as f64 * DAY as f64 / n_rows as f64
}

/// Episodes of three rows whose height is exponential with a mean of `scale` nats; in between, nothing.
fn noise(seed: u64, n_days: usize, per_day: f64, scale: impl Fn(usize) -> f64) -> impl Iterator<Item = f64> {
    let mut rng = Seed::new(seed).rng();
    let (mut left, mut height) = (0, 0.0);
    (0..n_days * DAY).map(move |row| {
        if left == 0 && rng.random::<f64>() < per_day / DAY as f64 {
            left = 3;
            height = -(1.0 - rng.random::<f64>()).ln() * scale(row);
        }
        if left > 0 {
            left -= 1;
            height
        } else {
            0.0
        }
    })
}

#[test]
fn noise_that_grows_threefold_stays_within_two_budgets() {
    let mut held = alarm_threshold("1 per 1d");
    // 150 a day with a mean of 2 nats reach 10 nats once a day; then they grow to 6 nats over 30 days.
    let drifting = noise(1, 120, 150.0, |row| 2.0 * (1.0 + 2.0 * (row as f64 / (30 * DAY) as f64).min(1.0)));
    let realised = alarms_per_day(&mut held, drifting);
    // Up to three budgets are let pass until it rises.
    assert!((0.5..=2.0).contains(&realised), "{realised} a day, now {}", held.threshold_nats());
    let fixed = noise(1, 120, 150.0, |row| 2.0 * (1.0 + 2.0 * (row as f64 / (30 * DAY) as f64).min(1.0)));
    let without = fixed.collect::<Vec<_>>().chunks(3).filter(|rows| rows.iter().any(|nats| *nats >= 10.0)).count();
    assert!(without as f64 / 120.0 > 5.0, "the drift would have broken the budget: {without}");
}

#[test]
fn noise_that_fades_brings_the_threshold_down_and_no_further_than_half() {
    let mut held = alarm_threshold("1 per 1d");
    alarms_per_day(&mut held, noise(2, 100, 150.0, |_| 0.5));
    assert!((held.threshold_nats() / PRIOR.threshold_nats - SHIFT_LOG_MIN.exp()).abs() < 1e-9);
}

#[test]
fn a_true_incident_each_day_is_not_muted() {
    let mut held = alarm_threshold("1 per 1d");
    let mut caught = 0;
    for _ in 0..60 {
        for minute in 0..DAY {
            held.push(Some(if (600..620).contains(&minute) { 60.0 } else { 0.5 }));
            caught += usize::from(minute == 605 && held.gate.opens(&held.hysteresis));
        }
    }
    assert_eq!(caught, 60);
    assert!(held.threshold_nats() <= PRIOR.threshold_nats, "{}", held.threshold_nats());
}

#[test]
fn an_ongoing_incident_is_not_learned_for_six_hours() {
    let mut held = alarm_threshold("1 per 1d");
    for row in 0..7 * DAY + 6 * 60 {
        held.push(Some(if row < 7 * DAY { 0.5 } else { 60.0 }));
    }
    let moved = held.threshold_nats() / PRIOR.threshold_nats;
    assert!(moved < 1.1, "{moved}");
}

#[test]
fn a_lasting_new_normal_is_accepted_within_two_days() {
    let mut held = alarm_threshold("1 per 1d");
    for _ in 0..48 * 60 {
        held.push(Some(60.0));
    }
    assert!(held.threshold_nats() > 60.0, "{}", held.threshold_nats());
    assert!(!held.gate.opens(&held.hysteresis));
    // And the regime before is forgotten: the threshold is down again in two months.
    for _ in 0..60 * DAY {
        held.push(Some(0.5));
    }
    assert!(held.threshold_nats() < PRIOR.threshold_nats);
}

#[test]
fn what_the_detectors_have_taken_for_usual_blinds_nobody() {
    let mut held = alarm_threshold("1 per 7d");
    let mut push = |days: usize, nats: f64| {
        for _ in 0..days * DAY {
            held.push(Some(nats));
        }
        held.threshold_nats()
    };
    let before = push(14, 0.5);
    // A new level calls for a day, and then the forecast follows; something of it stays.
    assert!(push(1, 200.0) > 2.0 * before);
    let after = push(2, 4.0);
    assert!((after / before - 1.0).abs() < 0.1, "{before} before, {after} after");
    // The next one is news.
    for _ in 0..5 {
        held.push(Some(60.0));
    }
    assert!(held.gate.opens(&held.hysteresis));
}

#[test]
fn what_stays_far_out_for_good_stays_accepted() {
    let mut held = alarm_threshold("1 per 7d");
    for _ in 0..14 * DAY {
        held.push(Some(0.5));
    }
    let mut alarms = 0;
    for row in 0..10 * DAY {
        held.push(Some(if row % 7 == 0 { 200.0 } else { 90.0 }));
        alarms += usize::from(row > 3 * DAY && held.gate.opens(&held.hysteresis));
    }
    assert_eq!(alarms, 0);
}

#[test]
fn rows_without_a_score_move_nothing() {
    let mut held = alarm_threshold("1 per 7d");
    for _ in 0..DAY {
        held.push(None);
    }
    assert_eq!(held.threshold_nats(), PRIOR.threshold_nats);
}

#[test]
fn a_restart_forgets_alarms_and_keeps_the_prior_and_what_rows_look_like() {
    let mut held = alarm_threshold("1 per 1d");
    let fresh = held.clone();
    alarms_per_day(&mut held, noise(3, 5, 150.0, |_| 6.0));
    assert_ne!(held, fresh);
    let restarted = held.restarted();
    assert_eq!(restarted.recent, held.recent);
    assert_eq!(AlarmThreshold { recent: fresh.recent.clone(), ..restarted }, fresh);
}

#[test]
fn what_is_stored_keeps_to_the_budget_that_it_was_trained_for() {
    let mut held = alarm_threshold("1 per 1d");
    let trained = held.clone();
    held.hold_to(&"1 per 60d".parse().expect("a budget"));
    assert!(held.threshold_nats() > trained.threshold_nats());
    assert_eq!(held.as_trained(), trained);
    assert_eq!(trained.as_trained(), trained);
}

#[test]
fn a_subject_whose_usual_rows_have_become_wilder_gets_a_threshold_beyond_them() {
    let mut held = alarm_threshold("1 per 1d");
    // Each row alarms at the old threshold, and none stands out among the others.
    for row in 0..14 * DAY {
        held.push(Some(12.0 + (row % 7) as f64));
    }
    assert!(held.threshold_nats() > 18.0, "{}", held.threshold_nats());
}

#[test]
fn half_a_day_of_outage_does_not_hide_a_lesser_one_the_day_after() {
    let mut held = alarm_threshold("1 per 1d");
    let usual = |held: &mut AlarmThreshold, n_rows: usize| {
        (0..n_rows).for_each(|_| {
            held.push(Some(0.5));
        })
    };
    usual(&mut held, 7 * DAY);
    (0..DAY / 2).for_each(|_| {
        held.push(Some(200.0));
    });
    usual(&mut held, DAY);
    (0..5).for_each(|_| {
        held.push(Some(25.0));
    });
    assert!(held.gate.opens(&held.hysteresis), "{}", held.threshold_nats());
}

proptest::proptest! {
    #[test]
    fn the_threshold_stays_within_its_bounds_and_the_same_after_save_and_load(
        rows in proptest::collection::vec(proptest::option::of(0.0..1e12_f64), 0..600), days in 1_u32..60,
    ) {
        let mut held = alarm_threshold(&format!("1 per {days}d"));
        for (idx, nats) in rows.iter().enumerate() {
            if idx == rows.len() / 2 {
                let bytes = postcard::to_allocvec(&held).expect("plain data");
                let loaded: AlarmThreshold = postcard::from_bytes(&bytes).expect("what was saved");
                proptest::prop_assert_eq!(&loaded, &held);
                held = loaded;
            }
            held.push(*nats);
            // A row beyond the last bin counts as if it were in it: 1 340 nats, 3.7 times at one in sixty days.
            let highest = 1_340.0 * RECENT_TIMES * 60.0_f64.powf(-RECENT_POWER) * SHIFT_LOG_MAX.exp();
            let lowest = PRIOR.threshold_nats * SHIFT_LOG_MIN.exp();
            proptest::prop_assert!((lowest * (1.0 - 1e-9)..=highest).contains(&held.threshold_nats()));
        }
    }

    #[test]
    fn a_higher_peak_never_counts_more(low in 10.0..1e6_f64, more in 0.0..1e6_f64) {
        let held = alarm_threshold("1 per 1d");
        let falseness = |peak_nats| held.falseness(&Alarm { peak_nats, ..Alarm::default() }, 10.0, true);
        proptest::prop_assert!(falseness(low + more) <= falseness(low));
        proptest::prop_assert!((0.0..=3.0).contains(&falseness(low)));
    }
}

#[test]
fn a_tighter_budget_moves_the_threshold_out_and_back_again() {
    let trained = alarm_threshold("1 per 1d");
    let mut held = trained.clone();
    held.hold_to(&"10 per 1d".parse().expect("a budget"));
    assert_eq!(held, trained, "what it was trained for is tighter");
    held.hold_to(&"1 per 60d".parse().expect("a budget"));
    let by_log = PRIOR.threshold_nats + PRIOR.excess_nats * 60.0_f64.ln();
    assert!(held.threshold_nats() > by_log && held.threshold_nats() < 1.3 * by_log, "{}", held.threshold_nats());
    let at_once = held.threshold_nats();
    held.hold_to(&"1 per 7d".parse().expect("a budget"));
    held.hold_to(&"1 per 60d".parse().expect("a budget"));
    assert!((held.threshold_nats() - at_once).abs() < 1e-9, "by which way it came doesn't matter");
    held.hold_to(&"1 per 1d".parse().expect("a budget"));
    assert!((held.threshold_nats() - trained.threshold_nats()).abs() < 1e-9);
}

/// Alarms a day of so many quiet subjects together, each trained for its own budget on two weeks and held to this one for two months.
fn fleet_alarms_per_day(n_subjects: u64, own: &str, held_to: &FalseAlarmBudget) -> f64 {
    let own: FalseAlarmBudget = own.parse().expect("a budget");
    (0..n_subjects)
        .map(|subject| {
            // 150 episodes a day, and subjects differ.
            let scale = 1.0 + subject as f64 / n_subjects as f64;
            let history: Vec<Option<f64>> = noise(1_000 + subject, 14, 150.0, |_| scale).map(Some).collect();
            let initial = crate::initial_threshold(&history, 0, MINUTE, &own, &Hysteresis::default());
            let mut held = AlarmThreshold::new(initial, &own, MINUTE, Hysteresis::default());
            held.hold_to(held_to);
            alarms_per_day(&mut held, noise(5_000 + subject, 60, 150.0, |_| scale))
        })
        .sum()
}

#[test]
fn many_quiet_subjects_together_keep_within_the_budget_of_all() {
    let of_all: FalseAlarmBudget = "1 per 1d".parse().expect("a budget");
    let together = fleet_alarms_per_day(40, "1 per 2d", &of_all.shared_by(40));
    assert!((0.1..=1.0).contains(&together), "{together} a day of all together");
    let each_for_itself = fleet_alarms_per_day(40, "1 per 2d", &"1 per 2d".parse().expect("a budget"));
    assert!(each_for_itself > 4.0, "without it there would be {each_for_itself} a day");
}
