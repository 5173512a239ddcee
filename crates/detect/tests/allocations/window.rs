//! A window to allocate for.

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, Schema, Signal, Subject, Timestamp, Window};
use ndarray::Array2;

/// A window from the epoch on, whose values are `value(row, column)`.
pub(crate) fn window(step: Duration, shape: (usize, usize), value: impl Fn((usize, usize)) -> f64) -> Window {
    let feature = |idx: usize| Feature {
        name: format!("f{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    let schema = Arc::new(Schema::new((0..shape.1).map(feature).collect()).expect("a schema"));
    let grid = Grid::new(Timestamp::from_secs(0), step, shape.0).expect("a grid");
    let values = Array2::from_shape_fn(shape, value);
    Window::new(Subject::deployment("shop", "cart"), grid, schema, values).expect("a window")
}
