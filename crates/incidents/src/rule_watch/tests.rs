use std::sync::Arc;

use homeostat_core::{Comparison, Direction, Feature, Grid, Schema};
use proptest::prelude::*;

use super::*;

const STEP: Duration = Duration::from_secs(60);

fn at(minute: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + 60 * minute)
}

fn rule() -> WatchedRule {
    let window = Duration::from_secs(300);
    let rule = ThresholdRule { metric: "cpu".into(), comparison: Comparison::Above, threshold: 0.8, window };
    WatchedRule { policy: "hot".into(), rule, incident_type: IncidentType::CpuSpike }
}

fn cart() -> Subject {
    Subject::deployment("shop", "cart")
}

/// A window of one row.
fn row(minute: i64, value: f64) -> Window {
    let feature = Feature { name: "cpu".into(), signal: Signal::Cpu, direction: Direction::Both, deviation_min: 0.0 };
    let schema = Arc::new(Schema::new(vec![feature]).unwrap());
    let grid = Grid::new(at(minute), STEP, 1).unwrap();
    Window::new(cart(), grid, schema, ndarray::array![[value]]).unwrap()
}

struct Watching {
    watch: RuleWatch,
    told: Vec<(i64, &'static str)>,
}

impl Watching {
    fn new() -> Self {
        let mut watch = RuleWatch::default();
        assert!(watch.set_rules(vec![rule()], at(0)).is_empty());
        Self { watch, told: Vec::new() }
    }

    /// Sees these values, a minute each, from this minute on; `NaN` is a gap.
    fn see(&mut self, from: i64, values: &[f64]) -> &mut Self {
        for (minute, value) in (from..).zip(values) {
            let windows = [row(minute, *value)];
            let changes = self.watch.observe(at(minute), &windows, |_, _| true, &TrackerTimes::default());
            self.told.extend(changes.iter().map(|change| (minute, change.name())));
        }
        self
    }
}

#[test]
fn what_holds_through_the_window_opens_and_what_holds_nowhere_in_it_resolves() {
    let mut watching = Watching::new();
    watching.see(0, &[0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]);
    assert_eq!(watching.told, [(5, "opened")], "{:?}", watching.told);
    let incident = watching.watch.open_incidents().next().unwrap().clone();
    assert_eq!(incident.opened_by_rule_of(), Some("hot"));
    assert_eq!((incident.incident_type, incident.evidence[0].feature.as_str()), (IncidentType::CpuSpike, "cpu > 0.8"));
    assert_eq!(incident.confidence, Calibrated::UNKNOWN);
    watching.see(7, &[0.5, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5]);
    assert_eq!(watching.told[1..], [(13, "resolved")]);
    assert_eq!(watching.watch.open_incidents().count(), 0);
}

#[test]
fn a_value_at_the_threshold_or_a_short_peak_opens_nothing() {
    let mut watching = Watching::new();
    watching.see(0, &[0.8; 20]).see(20, &[0.9, 0.9, 0.9, 0.5, 0.9, 0.9, 0.9, 0.5]);
    assert_eq!(watching.told, []);
}

#[test]
fn a_gap_opens_and_resolves_nothing_and_silence_is_stale() {
    let gap = f64::NAN;
    let mut watching = Watching::new();
    watching.see(0, &[0.9, 0.9, gap, gap, 0.9]);
    assert_eq!(watching.told, [], "two of five rows are missing");
    watching.see(5, &[0.9; 4]);
    assert_eq!(watching.told, [(8, "opened")]);
    watching.see(9, &[gap; 80]);
    assert_eq!(watching.told[1..], [(13, "stale"), (73, "expired")]);
}

#[test]
fn what_comes_back_from_silence_goes_on() {
    let mut watching = Watching::new();
    watching.see(0, &[0.9; 5]).see(5, &[f64::NAN; 10]).see(15, &[0.9]);
    let names: Vec<&str> = watching.told.iter().map(|(_, name)| *name).collect();
    assert_eq!(names, ["opened", "stale", "updated"]);
    assert_eq!(watching.watch.open_incidents().next().map(|open| open.state), Some(IncidentState::Open));
}

#[test]
fn a_restart_takes_up_what_rules_opened_and_gives_back_the_others() {
    let mut watching = Watching::new();
    watching.see(0, &[0.9; 5]);
    let ours = watching.watch.open_incidents().next().unwrap().clone();
    let others = Incident { annotations: Vec::new(), ..ours.clone() };
    let mut after = Watching::new();
    assert_eq!(after.watch.take_up(vec![ours.clone(), others.clone()]), [others]);
    after.see(6, &[0.9; 10]);
    assert_eq!(after.told, [], "it isn't opened again");
    assert_eq!(after.watch.open_incidents().next().map(|open| &open.id), Some(&ours.id));
}

#[test]
fn a_rule_that_is_gone_ends_its_incident_without_calling_it_recovered() {
    let mut watching = Watching::new();
    watching.see(0, &[0.9; 5]);
    let ended = watching.watch.set_rules(Vec::new(), at(6));
    assert_eq!(ended.iter().map(IncidentChange::name).collect::<Vec<_>>(), ["expired"]);
    let mut watching = Watching::new();
    watching.see(0, &[0.9; 5]);
    let changes = watching.watch.observe(at(6), &[], |_, _| false, &TrackerTimes::default());
    assert_eq!(changes.iter().map(IncidentChange::name).collect::<Vec<_>>(), ["expired"]);
}

proptest! {
    /// Whatever is measured, an incident opens only after a window in which every row that is there holds.
    #[test]
    fn nothing_opens_without_a_window_that_holds(values in prop::collection::vec(prop_oneof![Just(0.9), Just(0.5), Just(f64::NAN)], 0..60)) {
        let mut watching = Watching::new();
        watching.see(0, &values);
        let mut is_open = false;
        for (minute, name) in &watching.told {
            let end = usize::try_from(*minute).unwrap();
            let window = &values[end.saturating_sub(4)..=end];
            match *name {
                "opened" => {
                    prop_assert!(!is_open && window.iter().all(|value| value.is_nan() || *value > 0.8), "{window:?}");
                    is_open = true;
                }
                "resolved" => {
                    prop_assert!(is_open && window.iter().all(|value| value.is_nan() || *value <= 0.8), "{window:?}");
                    is_open = false;
                }
                "expired" => is_open = false,
                _ => prop_assert!(is_open),
            }
        }
    }
}
