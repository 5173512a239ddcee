use super::*;
use homeostat_core::{Direction, Feature, Grid, Schema, Signal, Subject};
use std::sync::Arc;

fn window(values: &[f64], direction: Direction, deviation_min: f64) -> Window {
    let feature = Feature { name: "x".into(), signal: Signal::Other, direction, deviation_min };
    let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), values.len()).expect("a grid");
    let values = Array2::from_shape_vec((values.len(), 1), values.to_vec()).expect("one column");
    Window::new(
        Subject::deployment("shop", "cart"),
        grid,
        Arc::new(Schema::new(vec![feature]).expect("a schema")),
        values,
    )
    .expect("a window")
}

#[test]
fn a_gap_stays_a_gap_in_every_channel() {
    let window = window(&[1.0, 2.0, f64::NAN, 4.0], Direction::Both, 0.0);
    let extracted = ExtractedFeatures::new(&window, &Scaler::fit(&window));
    for channel in CHANNELS {
        assert!(extracted.channel(channel)[[2, 0]].is_nan(), "{channel:?}");
    }
    assert!(!extracted.channel(Channel::Level)[[3, 0]].is_nan());
}

#[test]
fn the_dead_zone_and_the_direction_hold() {
    let window = window(&[1.0, 1.0, 1.0, 1.4, 3.0, 0.0], Direction::Up, 0.5);
    let extracted = ExtractedFeatures::new(&window, &Scaler::fit(&window));
    let residual1 = extracted.channel(Channel::Residual1);
    assert_eq!(residual1[[3, 0]], 0.0, "0.4 is within the dead zone");
    assert!(residual1[[4, 0]] > 0.0);
    assert_eq!(residual1[[5, 0]], 0.0, "down doesn't matter");
}

#[test]
fn steps_left_out_are_rows_of_gaps_and_old_rows_are_ignored() {
    let window = window(&[1.0, 2.0, 3.0], Direction::Both, 0.0);
    let mut extractor = FeatureExtractor::new(Scaler::fit(&window), Duration::from_secs(60));
    assert_eq!(extractor.push(Timestamp::from_secs(60), [1.0].into_iter()), Pushed::Appended { gaps: 0 });
    assert_eq!(extractor.push(Timestamp::from_secs(240), [2.0].into_iter()), Pushed::Appended { gaps: 2 });
    assert_eq!(extractor.row_buffer().n_rows(), 4);
    assert!(extractor.row_buffer().row(1, Channel::Raw).expect("a row")[0].is_nan());
    assert_eq!(extractor.push(Timestamp::from_secs(240), [9.0].into_iter()), Pushed::AlreadySeen);
}

#[test]
fn a_feature_that_never_moved_is_far_at_once_and_finite() {
    let window = window(&[0.0; 50], Direction::Up, 0.5);
    let mut extractor = FeatureExtractor::new(Scaler::fit(&window), Duration::from_secs(60));
    for step in 0..30 {
        extractor.push(Timestamp::from_secs(60 * step), [0.0].into_iter());
    }
    extractor.push(Timestamp::from_secs(60 * 30), [1.0].into_iter());
    assert_eq!(extractor.row_buffer().row(0, Channel::Level).expect("a row")[0], crate::scaler::CLIP);
}

proptest::proptest! {
    /// Bit for bit: bundles and scores hang on it.
    #[test]
    fn means_taken_side_by_side_are_those_of_each_feature_alone(
        rows in proptest::collection::vec(proptest::array::uniform6(proptest::option::weighted(0.8, -1e6_f64..1e6)), 1..60),
        n_features in 1_usize..=6,
    ) {
        let columns: Vec<Vec<f64>> =
            (0..n_features).map(|idx| rows.iter().map(|row| row[idx].unwrap_or(f64::NAN)).collect()).collect();
        let mut row_buffer = RowBuffer::new(n_features);
        for (row_idx, row) in rows.iter().enumerate() {
            let mut new = row_buffer.push(Timestamp::from_secs(60 * row_idx as i64));
            let cells = new.cells(Channel::Raw);
            (0..n_features).for_each(|idx| cells[idx] = row[idx].unwrap_or(f64::NAN));
            for (idx, column) in columns.iter().enumerate() {
                let means = Means::before(&row_buffer, idx / LANES * LANES);
                for look_back in LOOK_BACKS {
                    let value = column[row_idx];
                    let wanted = crate::scaler::residual(&column[..row_idx], value, look_back).map(f64::to_bits);
                    let found = value - means.of(look_back, idx % LANES);
                    proptest::prop_assert_eq!((!found.is_nan()).then_some(found.to_bits()), wanted);
                }
            }
        }
    }

    #[test]
    fn no_input_makes_a_channel_infinite(values in proptest::collection::vec(proptest::num::f64::ANY, 2..80)) {
        let window = window(&values, Direction::Both, 0.0);
        let extracted = ExtractedFeatures::new(&window, &Scaler::fit(&window));
        for channel in CHANNELS {
            for value in extracted.channel(channel) {
                proptest::prop_assert!(value.is_nan() || value.is_finite());
            }
        }
    }
}
