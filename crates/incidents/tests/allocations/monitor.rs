//! A tick in which nothing happens allocates nothing: windows in, votes, fusion, tracker.
//!
//! Without the autoencoder, whose runtime allocates inside a run; its own part is counted in `autoencoder.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::{Seed, Window};
use homeostat_detect::{DetectorSpec, Ensemble, EnsembleSpec, Hysteresis};
use homeostat_incidents::{Calibration, ClusterContext, Monitor, Tracker, TrackerTimes};

use crate::counting::counted;
use crate::window::window;

const STEP: Duration = Duration::from_secs(60);
const N_TRAINED: usize = 600;

#[test]
fn a_quiet_tick_allocates_nothing() {
    let noise = |row: usize, column: usize| {
        Seed::new(row as u64).fork(&column.to_string()).value() as f64 / u64::MAX as f64 - 0.5
    };
    let whole = window(STEP, (N_TRAINED + 200, 4), |(row, column)| {
        10.0 + (row as f64 / 60.0).sin() + (0..4).map(|part| noise(row, 4 * column + part)).sum::<f64>()
    });
    let spec = EnsembleSpec {
        detectors: ["residual", "forest", "dbscan", "forecast"].into_iter().filter_map(DetectorSpec::by_name).collect(),
        ..EnsembleSpec::default()
    };
    let history = whole.slice_steps(0, N_TRAINED).expect("rows");
    let ensemble = Ensemble::train(&spec, &history, Seed::new(1)).expect("enough history");
    assert!(ensemble.missing().is_empty(), "{:?}", ensemble.missing());
    let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    // A limit that is followed, too.
    let limits = BTreeMap::from([(whole.schema().features()[0].name.clone(), 100.0)]);
    let monitor = Monitor::new(BTreeMap::from([(whole.subject().clone(), ensemble)]), tracker);
    let mut monitor = monitor.with_limits(&limits).expect("a limit");
    let context = ClusterContext::default();
    let ticks: Vec<[Window; 1]> =
        (0..200).map(|tick| [whole.slice_steps(N_TRAINED + tick - 59, N_TRAINED + tick + 1).expect("rows")]).collect();
    // Until buffers have grown to their size.
    let (warm_up, counted_ticks) = ticks.split_at(100);
    let mut tick = |windows: &[Window; 1]| {
        let observed = monitor.observe(windows[0].grid().end(), windows, &context);
        assert!(observed.changes.is_empty() && observed.n_scored == 1, "{observed:?}");
    };
    warm_up.iter().for_each(&mut tick);
    let n_allocations = counted(|| counted_ticks.iter().for_each(&mut tick));
    assert_eq!(n_allocations, 0, "in {} ticks", counted_ticks.len());
}
