//! Scoring a row with DBSCAN's novelty detector allocates nothing, once it has scored one.

use std::time::Duration;

use homeostat_core::{Scoring, Seed};
use homeostat_detect::{Dbscan, DbscanSpec, Detector, ExtractedFeatures, FeatureExtractor, Scaler};

use crate::counting::counted;
use crate::window::window;

const STEP: Duration = Duration::from_secs(60);

#[test]
fn a_row_is_scored_without_an_allocation_with_and_without_gaps() {
    let window = window(STEP, (500, 5), |(row, column)| ((row * (7 + column)) as f64).sin());
    let grid = *window.grid();
    let scaler = Scaler::fit(&window);
    let extracted = ExtractedFeatures::new(&window, &scaler);
    let mut dbscan = Dbscan::train(&DbscanSpec::default(), &extracted, Seed::new(1)).expect("a model");
    let mut extractor = FeatureExtractor::new(scaler, STEP);
    for step_idx in 0..64 {
        extractor.push(grid.at(step_idx), window.row(step_idx).iter().copied());
    }
    dbscan.score(extractor.row_buffer()).expect("warm");
    let n_allocations = counted(|| {
        assert!(matches!(dbscan.score(extractor.row_buffer()), Ok(Scoring::Scored(_))));
    });
    assert_eq!(n_allocations, 0);
    extractor.push(grid.at(64), [f64::NAN, 0.0, 1.0, 0.5, 1e300].into_iter());
    let n_allocations = counted(|| {
        assert!(matches!(dbscan.score(extractor.row_buffer()), Ok(Scoring::Scored(_))));
    });
    assert_eq!(n_allocations, 0);
}
