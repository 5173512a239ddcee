//! Services live by the clock on the wall: office hours over the change of clocks in spring and in autumn.

use homeostat_core::LocalTime;

use super::*;

const STEP_MINUTES: i64 = 5;
const DAY_ROWS: usize = 288;
const TRAIN_DAYS: usize = 14;
const SCORED_DAYS: usize = 8;

/// Clocks in Berlin over 2026.
fn berlin() -> LocalTime {
    let at = |text: &str| text.parse::<Timestamp>().expect("a moment");
    let (winter, summer) = (3_600, 7_200);
    let changes = [
        ("2025-10-26T01:00:00Z", winter),
        ("2026-03-29T01:00:00Z", summer),
        ("2026-10-25T01:00:00Z", winter),
        ("2027-03-28T01:00:00Z", summer),
    ];
    LocalTime::new(changes.map(|(text, offset_s)| (at(text), offset_s))).expect("a table")
}

/// Traffic of so many days, ten times as much from eight to six o'clock in Berlin; with what `fault` makes of a local time.
fn office(start: &str, n_days: usize, seed: u64, fault: impl Fn(Timestamp) -> f64) -> Window {
    let schema = Arc::new(Schema::new(vec![feature("traffic", Signal::Traffic)]).expect("a schema"));
    let step = Duration::from_secs(60 * STEP_MINUTES as u64);
    let grid = Grid::new(start.parse().expect("a moment"), step, n_days * DAY_ROWS).expect("a grid");
    let (mut rng, clocks) = (Seed::new(seed).rng(), berlin());
    let values = Array2::from_shape_fn((grid.n_steps(), 1), |(row, _)| {
        let local = clocks.local(grid.at(row));
        let hour = local.as_millis().rem_euclid(86_400_000) / 3_600_000;
        let usual = if (8..18).contains(&hour) { 100.0 } else { 10.0 };
        let bell: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        usual * (1.0 + 0.04 * bell) * fault(local)
    });
    Window::new(Subject::deployment("shop", "cart"), grid, schema, values).expect("a window")
}

pub(super) fn opens(rows: &[AssessedRow]) -> bool {
    let rule = crate::hysteresis::Hysteresis::default();
    [Assessment::score, Assessment::lasting_score].iter().any(|of| {
        let mut gate = crate::hysteresis::Gate::default();
        rows.iter().any(|row| {
            gate.push(&rule, of(&row.assessment).map(homeostat_core::Score::value));
            gate.opens(&rule)
        })
    })
}

/// Two weeks of history.
fn trained_on(history: &str, local_time: LocalTime) -> Ensemble {
    // The network takes most of the time, and knows no hours.
    let names = ["residual", "forest", "forecast", "pca", "envelope"];
    let detectors = names.into_iter().filter_map(DetectorSpec::by_name).collect();
    let spec = EnsembleSpec { detectors, local_time, ..EnsembleSpec::default() };
    Ensemble::train(&spec, &office(history, TRAIN_DAYS, 1, |_| 1.0), Seed::new(3)).expect("enough history")
}

/// Whether an incident opens in the eight days from here on.
fn opens_after(ensemble: &Ensemble, scored: &str, fault: impl Fn(Timestamp) -> f64) -> bool {
    let rows = ensemble.clone().assess_rows(&office(scored, SCORED_DAYS, 2, fault)).expect("the same features");
    opens(&rows)
}

/// Days since the epoch.
pub(super) fn day(at: &str) -> i64 {
    at.parse::<Timestamp>().expect("a moment").as_millis() / 86_400_000
}

#[test]
fn office_hours_call_nobody_when_clocks_change_and_a_fault_is_found() {
    // The change comes three days after the history.
    let spring = ("2026-03-12T00:00:00Z", "2026-03-26T00:00:00Z");
    let autumn = ("2026-10-08T00:00:00Z", "2026-10-22T00:00:00Z");
    for (history, scored) in [spring, autumn] {
        let ensemble = trained_on(history, berlin());
        assert!(!opens_after(&ensemble, scored, |_| 1.0), "{scored}: nothing happened");
        // An hour of traffic two and a half times as high, three days after the change.
        let hour = 24 * (day(scored) + 6) + 10;
        let surge = |local: Timestamp| if local.as_millis() / 3_600_000 == hour { 2.5 } else { 1.0 };
        assert!(opens_after(&ensemble, scored, surge), "{scored}: a surge");
        let in_utc = trained_on(history, LocalTime::default());
        assert!(opens_after(&in_utc, scored, |_| 1.0), "{scored}: UTC knows no other hours");
    }
}

#[test]
fn without_a_time_zone_a_change_of_clocks_is_seen_on_its_first_day() {
    for (history, scored, offset_s) in [
        ("2026-03-12T00:00:00Z", "2026-03-26T00:00:00Z", 3_600),
        ("2026-10-08T00:00:00Z", "2026-10-22T00:00:00Z", -3_600),
    ] {
        let mut in_utc = trained_on(history, LocalTime::default());
        // The change comes on the fourth day.
        let rows = in_utc.assess_rows(&office(scored, SCORED_DAYS, 2, |_| 1.0)).expect("the same features");
        assert!(!opens(&rows[..3 * DAY_ROWS]) && opens(&rows[3 * DAY_ROWS..4 * DAY_ROWS]), "{scored}: the day itself");
        assert!(!opens(&rows[4 * DAY_ROWS..]), "{scored}: from the next day on");
        let at = rows[4 * DAY_ROWS].assessment.at;
        let local = in_utc.local_time().local(at);
        assert_eq!(local.as_millis() - at.as_millis(), 1_000 * offset_s);
        let restored = Ensemble::restore(&in_utc.save().expect("saved"), &LoadOptions::default()).expect("restored");
        assert_eq!(restored.local_time(), in_utc.local_time());
    }
}

#[test]
fn a_change_within_the_history_leaves_the_hours_as_sharp_as_none() {
    let (history, scored) = ("2026-03-20T00:00:00Z", "2026-04-03T00:00:00Z");
    let ensemble = trained_on(history, berlin());
    assert!(!opens_after(&ensemble, scored, |_| 1.0));
    // The night's traffic held all morning, which only those see who know the hour.
    let first_hour = 24 * (day(scored) + 2);
    let held =
        |local: Timestamp| if (8..11).contains(&(local.as_millis() / 3_600_000 - first_hour)) { 0.1 } else { 1.0 };
    assert!(opens_after(&ensemble, scored, held));
}

#[test]
fn local_time_is_stored_with_the_models() {
    let (history, scored) = ("2026-03-12T00:00:00Z", "2026-03-26T00:00:00Z");
    let mut ensemble = trained_on(history, berlin());
    let saved = ensemble.save().expect("saved");
    let mut restored = Ensemble::restore(&saved, &LoadOptions::default()).expect("restored");
    assert_eq!(restored.local_time(), ensemble.local_time());
    let scored = office(scored, SCORED_DAYS, 2, |_| 1.0);
    let rows = ensemble.assess_rows(&scored).expect("the same features");
    assert_eq!(restored.assess_rows(&scored).expect("the same features"), rows);
    let utc = trained_on(history, LocalTime::default());
    let restored = Ensemble::restore(&utc.save().expect("saved"), &LoadOptions::default()).expect("restored");
    assert!(restored.local_time().is_plain_utc());
}
