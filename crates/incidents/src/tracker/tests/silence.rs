//! Silence, gaps and late data: what they make of an incident, and what they don't.

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// A row as the play makes it, taken `lag` late.
fn step_late(play: &mut Play, row: Given, lag: Duration) -> Vec<IncidentChange> {
    play.minute += 1;
    let (at, schema, cart) = (play.now(), schema(), subject(row.name));
    let assessed = assessed(at, &row);
    let row = SubjectRow { subject: &cart, schema: &schema, step: STEP, row: &assessed, limits: &play.limits };
    let mut changes = play.tracker.step_late(at, lag, [row], &play.context);
    changes.extend(play.tracker.pass_time(at + lag));
    changes
}

#[test]
fn what_stays_silent_expires_once_and_is_not_called_resolved() {
    let mut play = Play::new();
    play.steps(2, &[given("preview", 1.5, SLOW)]);
    let last = play.now();
    assert_eq!(names(&play.tracker.pass_time(last + Duration::from_secs(301))), [("stale", "preview".into())]);
    assert!(play.tracker.pass_time(last + HOUR).is_empty(), "an hour after it went stale, not before");
    let changes = play.tracker.pass_time(last + HOUR + Duration::from_secs(302));
    assert_eq!(names(&changes), [("expired", "preview".into())]);
    assert_eq!(changes[0].incident().state, IncidentState::Expired);
    assert!(play.open().is_empty() && play.tracker.pass_time(last + 2 * HOUR).is_empty());
    // The workload comes back, and its fault with it.
    play.minute += 180;
    let again = play.steps(2, &[given("preview", 1.5, SLOW)]);
    assert_eq!(names(&again), [("opened", "preview".into())]);
}

#[test]
fn data_that_lags_by_about_the_staleness_time_does_not_alternate() {
    for lag_secs in [230, 290, 299, 300, 301, 310, 600] {
        let mut play = Play::new();
        play.steps(2, &[given("cart", 1.5, SLOW)]);
        let mut found = Vec::new();
        for row in 0..60 {
            // It wobbles, as the time between a scrape and a cycle does.
            let lag = Duration::from_secs(lag_secs + row % 7);
            found.extend(step_late(&mut play, given("cart", 0.9, SLOW), lag));
        }
        assert!(found.len() <= 1, "{lag_secs}: {:?}", names(&found));
        let is_late = lag_secs > 300;
        assert!(!is_late || names(&found) == [("stale", "cart".into())], "{lag_secs}: {:?}", names(&found));
    }
}

#[test]
fn data_in_time_again_makes_it_open_again() {
    let mut play = Play::new();
    play.steps(2, &[given("cart", 1.5, SLOW)]);
    assert_eq!(names(&step_late(&mut play, given("cart", 1.5, SLOW), 2 * HOUR)), [("stale", "cart".into())]);
    let back = step_late(&mut play, given("cart", 0.9, SLOW), Duration::from_secs(60));
    assert_eq!(names(&back), [("updated", "cart".into())]);
    assert_eq!(play.open()[0].state, IncidentState::Open);
}

#[test]
fn rows_that_were_seen_before_a_restart_change_nothing() {
    let mut play = Play::new();
    play.steps(10, &[given("cart", 0.1, CALM)]);
    let before = play.minute;
    play.steps(3, &[given("cart", 1.5, SLOW)]);
    let (json, open) = (play.tracker.save().expect("plain data"), play.open()[0].clone());
    let mut restarted = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    restarted.restore(&json).expect("what was saved");
    let now = play.minute;
    play.tracker = restarted;
    // Models of an hour ago see that hour again, in which all was well until just now.
    play.minute = before - 60;
    let again = play.steps(60, &[given("cart", 0.1, CALM)]);
    assert!(again.is_empty(), "{:?}", names(&again));
    assert_eq!(play.minute, before);
    assert!(play.steps((now - before) as usize, &[given("cart", 1.5, SLOW)]).is_empty());
    assert_eq!(play.open(), [&open]);
    // And a checkpoint of a version that didn't know yet what was seen.
    let mut old: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    for watch in old.as_object_mut().expect("watches").values_mut() {
        watch.as_object_mut().expect("a watch").remove("seen_at");
        watch["open"].as_object_mut().expect("an incident").remove("peaks");
    }
    play.tracker.restore(&old.to_string()).expect("an older form");
    play.minute = before - 60;
    assert!(play.steps(60, &[given("cart", 0.1, CALM)]).is_empty());
}

#[test]
fn another_subjects_old_rows_do_not_put_an_incident_back() {
    let mut play = Play::new();
    play.steps(3, &[given("cart", 1.5, SLOW)]);
    let open = play.open()[0].clone();
    play.context.calendar.events = vec![PlannedEvent {
        name: "long ago".into(),
        start: Timestamp::from_secs(0),
        end: play.now() - HOUR,
        namespaces: vec![],
        workloads: vec![],
    }];
    play.minute -= 300;
    assert!(play.steps(60, &[given("newcomer", 0.1, CALM)]).is_empty());
    assert_eq!(play.open(), [&open]);
}

#[test]
fn after_a_gap_confidence_is_unknown_until_the_rows_are_whole_again() {
    let outcomes: Vec<LabelledOutcome> = (0..100)
        .map(|idx| LabelledOutcome {
            incident_type: IncidentType::Latency,
            score_peak: Score::new(f64::from(idx) / 10.0).expect("a score"),
            correct: true,
        })
        .collect();
    let play = || {
        let mut play = Play::new();
        play.tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::fit(&outcomes));
        play.steps(30, &[given("cart", 0.1, CALM)]);
        play
    };
    let mut whole = play();
    let opened = whole.steps(2, &[given("cart", 1.5, SLOW)]);
    assert!(opened[0].incident().confidence.lower.value() > 0.6);

    let mut gap = play();
    gap.steps(7, &[Given { score: None, ..given("cart", 0.0, [f64::NAN; 4]) }]);
    let opened = gap.steps(2, &[given("cart", 1.5, SLOW)]);
    assert_eq!(names(&opened), [("opened", "cart".into())]);
    assert_eq!(opened[0].incident().confidence, homeostat_core::Calibrated::UNKNOWN);
    let later = gap.steps(30, &[given("cart", 1.5, SLOW)]);
    let confidence = later.last().map(|change| change.incident().confidence.lower.value());
    assert!(confidence.is_some_and(|lower| lower > 0.6), "{confidence:?}");
}

#[test]
fn who_is_gone_for_a_day_is_forgotten() {
    let mut play = Play::new();
    for hour in 0..200 {
        let names = ["a", "b", "c", "d"];
        play.minute += 60;
        // Every hour another preview, which lives for an hour.
        let name = names[hour % names.len()];
        let subject = Subject::deployment(format!("preview-{hour}"), name);
        let (at, schema) = (play.now(), schema());
        let assessed = assessed(at, &given(name, 0.1, CALM));
        let row = SubjectRow { subject: &subject, schema: &schema, step: STEP, row: &assessed, limits: &play.limits };
        play.tracker.step(at, [row], &play.context);
    }
    let kept: BTreeMap<Subject, serde_json::Value> =
        serde_json::from_str(&play.tracker.save().expect("plain data")).expect("JSON");
    assert!((24..=26).contains(&kept.len()), "{}", kept.len());
    // An incident isn't.
    play.minute += 1;
    play.steps(2, &[given("cart", 1.5, SLOW)]);
    let last = play.now();
    play.tracker.pass_time(last + Duration::from_secs(400));
    assert_eq!(play.open().len(), 1);
}
