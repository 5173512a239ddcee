//! What decisions and verification look at: every row, judged.

use homeostat_core::{Direction, Feature, Grid, Seed};
use homeostat_detect::{DetectorSpec, Ensemble, EnsembleSpec};

use super::*;

const STEP: Duration = Duration::from_secs(60);
const TRAINED_ROWS: usize = 600;

fn moment(row: usize) -> Timestamp {
    Timestamp::from_secs(60 * row as i64)
}

/// Latency and traffic of the cart from row `from` of all time: noise, and from row `slow_from` on 20 more latency.
fn window(from: usize, n_rows: usize, slow_from: usize) -> Window {
    let feature =
        |signal: Signal| Feature { name: signal.name().into(), signal, direction: Direction::Up, deviation_min: 0.0 };
    let schema = homeostat_core::Schema::new(vec![feature(Signal::Latency), feature(Signal::Traffic)]).unwrap();
    let noise = |row: usize, column: usize| {
        let drawn = |nth: u64| Seed::new(nth).fork(&format!("{row}/{column}")).value() as f64 / u64::MAX as f64;
        (0..12).map(drawn).sum::<f64>() - 6.0
    };
    let values = ndarray::Array2::from_shape_fn((n_rows, 2), |(row, column)| {
        let is_slow = column == 0 && from + row >= slow_from;
        [5.0, 100.0][column] + noise(from + row, column) + if is_slow { 20.0 } else { 0.0 }
    });
    let grid = Grid::new(moment(from), STEP, n_rows).unwrap();
    Window::new(Subject::deployment("shop", "cart"), grid, Arc::new(schema), values).unwrap()
}

fn cycle() -> Cycle {
    let detectors = ["residual", "dbscan"].into_iter().filter_map(DetectorSpec::by_name).collect();
    let spec = EnsembleSpec { detectors, ..EnsembleSpec::default() };
    let ensemble = Ensemble::train(&spec, &window(0, TRAINED_ROWS, usize::MAX), Seed::new(7)).unwrap();
    let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    let monitor = Monitor::new(BTreeMap::from([(Subject::deployment("shop", "cart"), ensemble)]), tracker);
    let journal = Arc::new(Journal::in_memory().unwrap());
    let driver = Driver::new(Arc::new(NoExecutor::default()), journal, Vec::new(), SafetyLimits::default());
    Cycle::new(Arc::new(Mutex::new(monitor)), driver, Mode::Observe, ClusterContext::default())
}

#[test]
fn the_driver_gets_every_row_since_the_incident_opened_also_those_that_came_at_once() {
    let mut cycle = cycle();
    let slow_from = TRAINED_ROWS + 30;
    cycle.observe(moment(slow_from - 1), &[window(TRAINED_ROWS, 30, slow_from)], &[]);
    assert!(cycle.signals().is_empty(), "nobody decides about it");
    // Two rows open the incident; then Prometheus was away for a while, and four rows come at once.
    cycle.observe(moment(slow_from + 1), &[window(TRAINED_ROWS, 32, slow_from)], &[]);
    let tick = cycle.observe(moment(slow_from + 5), &[window(TRAINED_ROWS, 36, slow_from)], &[]);
    assert_eq!(tick.open.len(), 1);
    let signals = &cycle.signals()[&Subject::deployment("shop", "cart")];
    let newest: Vec<Timestamp> = signals.scores.iter().rev().take(4).map(|row| row.at).collect();
    assert_eq!(newest, [5, 4, 3, 2].map(|row| moment(slow_from + row)));
    assert!(signals.scores.iter().all(|row| !row.is_calm), "{:?}", signals.scores);
    for signal in [Signal::Latency, Signal::Traffic] {
        let of_signal = signals.observations.iter().filter(|seen| seen.signal == signal);
        assert_eq!(of_signal.clone().count(), signals.scores.len());
        let far = |seen: &&Observation| !seen.normal && seen.deviation.is_some_and(|deviation| deviation > 4.0);
        assert_eq!(of_signal.filter(far).count() == signals.scores.len(), signal == Signal::Latency, "{signal:?}");
    }
    assert!(signals.traffic.is_some_and(|traffic| (90.0..110.0).contains(&traffic)));
}
