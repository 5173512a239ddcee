//! Measurements of one subject on one grid.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::grid::Grid;
use crate::schema::Schema;
use crate::subject::Subject;

/// `values` of shape `(n_steps, n_features)` and which of them are there.
///
/// A gap is a gap: where a measurement is absent the value is NaN and [`Window::is_present`] is false. Every
/// present value is finite; ±Inf and NaN count as absent (the decoder counts what it drops).
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use homeostat_core::{Direction, Feature, Grid, Schema, Signal, Subject, Timestamp, Window};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let feature = |name: &str, signal| Feature { name: name.into(), signal, direction: Direction::Both, deviation_min: 0.0 };
/// let schema = Schema::new(vec![feature("cpu", Signal::Cpu), feature("requests", Signal::Traffic)])?;
/// let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 3)?;
/// // One row a step, one column a feature.
/// let values = ndarray::array![[0.2, 25.0], [f64::NAN, 26.0], [0.3, f64::INFINITY]];
/// let window = Window::new(Subject::deployment("shop", "cart"), grid, Arc::new(schema), values)?;
///
/// assert_eq!(window.n_present(), 4);
/// assert!(!window.is_present(1, 0) && !window.is_present(2, 1), "NaN and infinity are gaps");
/// assert_eq!(window.last_row()[0], 0.3);
/// assert_eq!(window.slice_steps(1, 3).map(|tail| tail.grid().start()), Some(Timestamp::from_secs(60)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Window {
    subject: Subject,
    grid: Grid,
    schema: Arc<Schema>,
    values: Array2<f64>,
}

/// Why an array is no window.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use homeostat_core::{Grid, Schema, Subject, Timestamp, Window, WindowError};
///
/// let schema: Schema = serde_json::from_str(r#"[{"name":"cpu","signal":"cpu"}]"#)?;
/// let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 3)?;
/// let one_row = ndarray::array![[0.2]];
/// let refused = Window::new(Subject::deployment("shop", "cart"), grid, Arc::new(schema), one_row);
/// assert_eq!(refused.err(), Some(WindowError::Shape { found: (1, 1), wanted: (3, 1) }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The array's shape isn't `(n_steps, n_features)`.
    #[error("values have shape {found:?}, the grid and schema say {wanted:?}")]
    Shape {
        /// Shape of the array.
        found: (usize, usize),
        /// `(n_steps, n_features)`.
        wanted: (usize, usize),
    },
}

impl Window {
    /// Wraps an array; every value that isn't finite becomes a gap.
    pub fn new(
        subject: Subject,
        grid: Grid,
        schema: Arc<Schema>,
        mut values: Array2<f64>,
    ) -> Result<Self, WindowError> {
        let wanted = (grid.n_steps(), schema.n_features());
        if values.dim() != wanted {
            return Err(WindowError::Shape { found: values.dim(), wanted });
        }
        values.mapv_inplace(|value| if value.is_finite() { value } else { f64::NAN });
        Ok(Self { subject, grid, schema, values })
    }

    /// What the window is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The moments of the rows.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The features, shared between the windows of a subject.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// All values, `(n_steps, n_features)`; gaps are NaN.
    pub fn values(&self) -> ArrayView2<'_, f64> {
        self.values.view()
    }

    /// One moment's values, `(n_features)`; gaps are NaN.
    pub fn row(&self, step_idx: usize) -> ArrayView1<'_, f64> {
        self.values.row(step_idx)
    }

    /// The latest moment's values.
    pub fn last_row(&self) -> ArrayView1<'_, f64> {
        self.values.row(self.grid.n_steps() - 1)
    }

    /// Whether a measurement is there.
    pub fn is_present(&self, step_idx: usize, feature_idx: usize) -> bool {
        !self.values[[step_idx, feature_idx]].is_nan()
    }

    /// Which measurements are there, `(n_steps, n_features)`.
    pub fn present(&self) -> Array2<bool> {
        self.values.mapv(|value| !value.is_nan())
    }

    /// Number of measurements that are there.
    pub fn n_present(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// The rows `from..to` as a window of their own; `None` if there is no such row.
    pub fn slice_steps(&self, from: usize, to: usize) -> Option<Window> {
        if from >= to || to > self.grid.n_steps() {
            return None;
        }
        let grid = Grid::new(self.grid.at(from), self.grid.step(), to - from).ok()?;
        let values = self.values.slice(ndarray::s![from..to, ..]).to_owned();
        Some(Window { subject: self.subject.clone(), grid, schema: Arc::clone(&self.schema), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Feature, Signal, Timestamp};
    use std::time::Duration;

    fn window(values: Array2<f64>) -> Result<Window, WindowError> {
        let feature = |name: &str| Feature {
            name: name.into(),
            signal: Signal::Other,
            direction: Direction::Both,
            deviation_min: 0.0,
        };
        let schema = Arc::new(Schema::new(vec![feature("a"), feature("b")]).expect("a schema"));
        let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 3).expect("a grid");
        Window::new(Subject::deployment("shop", "cart"), grid, schema, values)
    }

    #[test]
    fn what_is_not_finite_is_a_gap() {
        let values = ndarray::array![[1.0, f64::INFINITY], [f64::NAN, 2.0], [f64::NEG_INFINITY, 3.0]];
        let window = window(values).expect("a window");
        assert_eq!(window.n_present(), 3);
        assert!(!window.is_present(0, 1) && window.values()[[0, 1]].is_nan());
    }

    #[test]
    fn another_shape_is_refused() {
        assert!(matches!(window(Array2::zeros((2, 2))), Err(WindowError::Shape { .. })));
    }

    #[test]
    fn a_slice_keeps_its_moments() {
        let window = window(Array2::zeros((3, 2))).expect("a window");
        let tail = window.slice_steps(1, 3).expect("two rows");
        assert_eq!(tail.grid().start(), Timestamp::from_secs(60));
        assert_eq!(tail.grid().end(), window.grid().end());
        assert!(window.slice_steps(2, 2).is_none() && window.slice_steps(0, 4).is_none());
    }
}
