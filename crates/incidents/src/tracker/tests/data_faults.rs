//! Workloads whose series end, and data that stands still.

use super::*;

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// So many minutes, of each of which these have a calm row.
fn minutes(play: &mut Play, n: usize, names: &[&'static str]) -> Vec<IncidentChange> {
    let rows: Vec<Given> = names.iter().map(|name| given(name, 0.1, CALM)).collect();
    minutes_of(play, n, |_| rows.clone())
}

fn minutes_of(play: &mut Play, n: usize, rows: impl Fn(i64) -> Vec<Given>) -> Vec<IncidentChange> {
    let mut changes = Vec::new();
    for _ in 0..n {
        changes.extend(play.step(&rows(play.minute + 1)));
        let now = play.now();
        changes.extend(play.tracker.pass_time(now));
        changes.extend(play.tracker.judge_data(now, STEP, &play.context));
    }
    changes
}

#[test]
fn who_falls_silent_while_others_are_seen_is_told_once_and_until_it_is_back() {
    let mut play = Play::new();
    assert!(minutes(&mut play, 30, &NAMES).is_empty());
    assert!(minutes(&mut play, 15, &NAMES[1..]).is_empty(), "a roll-out may take a while");
    let told = minutes(&mut play, 120, &NAMES[1..]);
    assert_eq!(names(&told), [("opened", "a".into())]);
    let gone = told[0].incident();
    assert_eq!((gone.incident_type, told[0].notifies()), (IncidentType::WorkloadGone, true));
    assert!(gone.evidence.is_empty() && gone.confidence == homeostat_core::Calibrated::UNKNOWN);
    assert_eq!((play.open().len(), play.tracker.n_gone()), (1, 1));
    let back = minutes(&mut play, 60, &NAMES);
    assert_eq!(names(&back), [("resolved", "a".into())]);
    assert!(play.open().is_empty() && play.tracker.n_gone() == 0);
}

#[test]
fn what_vanishes_together_is_one_incident_and_ends_with_the_last_of_them() {
    let mut play = Play::new();
    minutes(&mut play, 30, &NAMES);
    minutes(&mut play, 2, &NAMES[1..]);
    let told = minutes(&mut play, 60, &NAMES[4..]);
    let calls: Vec<&IncidentChange> = told.iter().filter(|change| change.notifies()).collect();
    assert_eq!((calls.len(), calls[0].incident().subject.name.as_str()), (1, "a"));
    let affected: Vec<&str> = play.open()[0].affected.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!((affected, play.tracker.n_gone()), (vec!["b", "c", "d"], 4));
    // The first is back, and the others are missed still.
    assert!(minutes(&mut play, 10, &["a", "e", "f", "g", "h"]).is_empty());
    assert_eq!((play.open().len(), play.tracker.n_gone()), (1, 3));
    assert_eq!(names(&minutes(&mut play, 10, &NAMES)), [("resolved", "a".into())]);
}

#[test]
fn when_most_are_silent_it_is_the_source_and_who_comes_back_last_is_not_gone() {
    let mut play = Play::new();
    minutes(&mut play, 30, &NAMES);
    assert!(minutes(&mut play, 120, &NAMES[5..]).is_empty(), "five of eight");
    assert!(minutes(&mut play, 120, &[]).is_empty(), "all");
    assert!(minutes(&mut play, 10, &NAMES[4..]).is_empty(), "half are back, the others come soon");
    assert!(minutes(&mut play, 30, &NAMES).is_empty());
    let told = minutes(&mut play, 60, &NAMES[2..]);
    assert_eq!(names(&told), [("opened", "a".into())], "and now two are gone");
}

#[test]
fn one_alone_is_never_gone() {
    let mut play = Play::new();
    minutes(&mut play, 30, &["a"]);
    assert!(minutes(&mut play, 600, &[]).is_empty(), "nobody says that the source answers");
}

#[test]
fn who_is_gone_for_a_day_is_not_waited_for_any_more() {
    let mut play = Play::new();
    minutes(&mut play, 30, &NAMES);
    let told = minutes(&mut play, 3 * 1440, &NAMES[1..]);
    assert_eq!(names(&told), [("opened", "a".into()), ("expired", "a".into())]);
    assert!(play.open().is_empty() && play.tracker.n_gone() == 0);
}

#[test]
fn who_comes_and_goes_is_told_twice_a_week_and_no_more() {
    let mut play = Play::new();
    let mut calls = 0;
    for _ in 0..5 {
        minutes(&mut play, 600, &NAMES);
        calls += minutes(&mut play, 600, &NAMES[1..]).iter().filter(|change| change.notifies()).count();
    }
    assert_eq!(calls, 2, "scaled to zero every night");
}

#[test]
fn who_is_away_as_planned_is_not_told() {
    let mut play = Play::new();
    minutes(&mut play, 30, &NAMES);
    play.context.calendar.events = vec![PlannedEvent {
        name: "maintenance".into(),
        start: play.now(),
        end: play.now() + Duration::from_secs(7_200),
        namespaces: vec![],
        workloads: vec![homeostat_core::NamePattern::exactly("a")],
    }];
    assert!(minutes(&mut play, 120, &NAMES[1..]).is_empty());
    let told = minutes(&mut play, 60, &NAMES[1..]);
    assert_eq!(names(&told), [("opened", "a".into())], "the maintenance is over and it isn't back");
}

/// All calm from the second on, and the first with so many slow rows before it falls silent.
fn ends_slow(play: &mut Play, n_slow: usize) -> Vec<IncidentChange> {
    minutes(play, 30, &NAMES);
    let mut rows: Vec<Given> = NAMES[1..].iter().map(|name| given(name, 0.1, CALM)).collect();
    rows.push(given("a", 1.5, SLOW));
    assert_eq!(names(&minutes_of(play, n_slow, |_| rows.clone())), [("opened", "a".into())]);
    minutes(play, 120, &NAMES[1..])
}

#[test]
fn what_went_silent_within_an_incident_is_told_when_that_expires() {
    let told = ends_slow(&mut Play::new(), 20);
    assert_eq!(names(&told), [("stale", "a".into()), ("expired", "a".into()), ("opened", "a".into())]);
    assert_eq!(told[2].incident().incident_type, IncidentType::WorkloadGone);
}

#[test]
fn what_alarmed_while_the_series_ended_is_called_once_and_gets_its_name() {
    let mut play = Play::new();
    let told = ends_slow(&mut play, 3);
    assert_eq!(names(&told), [("stale", "a".into()), ("updated", "a".into())]);
    assert_eq!(told[1].incident().incident_type, IncidentType::WorkloadGone);
    assert_eq!((play.open()[0].state, play.tracker.n_gone()), (IncidentState::Open, 1));
    assert_eq!(names(&minutes(&mut play, 5, &NAMES)), [("resolved", "a".into())]);
}

/// Rates that run out: nothing stands out but too little traffic.
const FALLING: [f64; 4] = [0.0, 0.0, 0.0, -9.0];

/// Eight calm workloads, of which the first four then lose their traffic for so many rows.
fn falls(play: &mut Play, n: usize) -> Vec<IncidentChange> {
    minutes(play, 30, &NAMES);
    let falling = NAMES[..4].iter().map(|name| given(name, 1.5, FALLING));
    let rows: Vec<Given> = falling.chain(NAMES[4..].iter().map(|name| given(name, 0.1, CALM))).collect();
    minutes_of(play, n, |_| rows.clone())
}

#[test]
fn workloads_that_vanish_together_are_one_call_also_where_their_rates_run_out_first() {
    let mut play = Play::new();
    let mut told = falls(&mut play, 5);
    told.extend(minutes(&mut play, 120, &NAMES[4..]));
    let calls: Vec<&IncidentChange> = told.iter().filter(|change| change.notifies()).collect();
    assert_eq!(calls.len(), 1, "{:?}", names(&told));
    let open = play.open();
    assert_eq!((open.len(), open[0].incident_type), (1, IncidentType::WorkloadGone));
    let affected: Vec<&str> = open[0].affected.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!((affected, play.tracker.n_gone()), (vec!["b", "c", "d"], 4));
    assert_eq!(names(&minutes(&mut play, 10, &NAMES)), [("resolved", "a".into())]);
}

#[test]
fn traffic_that_falls_together_and_goes_on_is_told_of_each_five_minutes_later() {
    let mut play = Play::new();
    let told = falls(&mut play, 5);
    assert_eq!(names(&told), [("opened", "a".into())], "the first is told at once");
    let rows: Vec<Given> = NAMES.iter().map(|name| given(name, 1.5, FALLING)).collect();
    let later = names(&minutes_of(&mut play, 2, |_| rows[..4].to_vec()));
    assert_eq!(later, ["b", "c", "d"].map(|name| ("opened", name.to_owned())));
}

#[test]
fn who_slows_down_or_falls_later_beside_one_that_fell_waits_for_nothing() {
    let mut play = Play::new();
    minutes(&mut play, 30, &NAMES[..2]);
    let rows = |b: f64, of_b: [f64; 4]| [given("a", 1.5, FALLING), given("b", b, of_b)];
    assert_eq!(names(&minutes_of(&mut play, 2, |_| rows(0.1, CALM).to_vec())), [("opened", "a".into())]);
    assert_eq!(names(&minutes_of(&mut play, 2, |_| rows(1.5, SLOW).to_vec())), [("opened", "b".into())]);
    let mut play = Play::new();
    minutes(&mut play, 30, &NAMES[..2]);
    minutes_of(&mut play, 10, |_| rows(0.1, CALM).to_vec());
    assert_eq!(names(&minutes_of(&mut play, 2, |_| rows(1.5, FALLING).to_vec())), [("opened", "b".into())]);
}

#[test]
fn a_restart_tells_nothing_twice_and_who_came_back_meanwhile_is_told() {
    let mut play = Play::new();
    minutes(&mut play, 30, &NAMES);
    minutes(&mut play, 30, &NAMES[2..]);
    let saved = play.tracker.save().expect("JSON");
    let recorded = play.open()[0].clone();
    // Once from its own state, once from the record alone.
    for state in [Some(&saved), None] {
        let mut after = Play::new();
        after.minute = play.minute;
        if let Some(state) = state {
            after.tracker.restore(state).expect("restored");
        }
        let now = after.now();
        assert!(after.tracker.take_up([recorded.clone()], |_| false, now).is_empty());
        assert_eq!(after.open(), [&recorded]);
        assert!(minutes(&mut after, 60, &NAMES[2..]).is_empty(), "told before");
        let back = minutes(&mut after, 5, &NAMES);
        assert_eq!(
            (names(&back), back[0].incident().id.clone()),
            (vec![("resolved", "a".into())], recorded.id.clone())
        );
        after.tracker.restore(&saved).expect("restored");
        after.tracker.take_up([], |id| *id == recorded.id, now);
        assert!(after.open().is_empty(), "over by the record");
    }
}

/// Rows of `a`, whose latency and traffic move or stand still, and of a calm `b`.
fn moving(minute: i64, moves: bool, score: f64) -> Vec<Given> {
    let value = if moves { 1.0 + (minute % 7) as f64 / 10.0 } else { 1.5 };
    vec![given("a", score, [value, 0.0, 0.0, value]), given("b", 0.1, CALM)]
}

#[test]
fn data_that_stands_still_is_told_as_that_and_never_as_a_fault() {
    let mut play = Play::new();
    assert!(minutes_of(&mut play, 200, |minute| moving(minute, true, 0.1)).is_empty());
    let told = minutes_of(&mut play, 60, |minute| moving(minute, false, 0.1));
    assert_eq!(names(&told), [("opened", "a".into())]);
    assert_eq!((told[0].incident().incident_type, told[0].notifies()), (IncidentType::FrozenData, true));
    // What the numbers seem to say by and by isn't what the workload does.
    assert!(minutes_of(&mut play, 120, |minute| moving(minute, false, 1.5)).is_empty());
    let over = minutes_of(&mut play, 30, |minute| moving(minute, true, 0.1));
    assert_eq!(names(&over), [("resolved", "a".into())]);
}

#[test]
fn what_stood_still_and_then_ended_is_gone() {
    let mut play = Play::new();
    minutes_of(&mut play, 200, |minute| [moving(minute, true, 0.1), vec![given("c", 0.1, CALM)]].concat());
    minutes_of(&mut play, 60, |minute| [moving(minute, false, 0.1), vec![given("c", 0.1, CALM)]].concat());
    let told = minutes(&mut play, 60, &["b", "c"]);
    assert_eq!(names(&told), [("expired", "a".into()), ("opened", "a".into())]);
    assert_eq!(told[1].incident().incident_type, IncidentType::WorkloadGone);
}
