//! The histories that models are trained on, one subject at a time: held in memory, or in a file where there are too many.

use std::borrow::Cow;

use anyhow::Context;
use homeostat_core::{Grid, Subject, Window};
use homeostat_ingest::History;

/// Histories of several subjects over the same rows, in the order of subjects.
pub(crate) trait Histories: Send + Sync {
    /// How many.
    fn len(&self) -> usize;

    /// Whose.
    fn subject(&self, idx: usize) -> &Subject;

    /// The rows; `None` where there is no history.
    fn grid(&self) -> Option<Grid>;

    /// Features of each.
    fn n_features(&self) -> usize;

    /// The history itself.
    fn window(&self, idx: usize) -> anyhow::Result<Cow<'_, Window>>;
}

impl Histories for &[Window] {
    fn len(&self) -> usize {
        <[Window]>::len(self)
    }

    fn subject(&self, idx: usize) -> &Subject {
        self[idx].subject()
    }

    fn grid(&self) -> Option<Grid> {
        self.first().map(|window| *window.grid())
    }

    fn n_features(&self) -> usize {
        self.first().map_or(0, |window| window.schema().n_features())
    }

    fn window(&self, idx: usize) -> anyhow::Result<Cow<'_, Window>> {
        Ok(Cow::Borrowed(&self[idx]))
    }
}

impl Histories for Vec<Window> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn subject(&self, idx: usize) -> &Subject {
        self[idx].subject()
    }

    fn grid(&self) -> Option<Grid> {
        Histories::grid(&self.as_slice())
    }

    fn n_features(&self) -> usize {
        Histories::n_features(&self.as_slice())
    }

    fn window(&self, idx: usize) -> anyhow::Result<Cow<'_, Window>> {
        Ok(Cow::Borrowed(&self[idx]))
    }
}

/// Histories in a file.
pub(crate) struct InFile {
    history: History,
    /// Positions in the file, in the order of subjects.
    order: Vec<usize>,
    /// Rows at the end that nothing is trained on.
    n_held_back: usize,
}

/// A history keeps at least this share of its rows with data when some are held back: of a workload that is a few hours old all rows are
/// needed.
const KEPT_SHARE_MIN: f64 = 0.75;

impl InFile {
    /// All that the history has.
    pub(crate) fn new(history: History) -> Self {
        let mut order: Vec<usize> = (0..history.subjects().len()).collect();
        order.sort_by(|a, b| history.subjects()[*a].cmp(&history.subjects()[*b]));
        Self { history, order, n_held_back: 0 }
    }

    /// The same without its last rows, but for subjects of whom too little would be left.
    #[must_use]
    pub(crate) fn holding_back(self, n_rows: usize) -> Self {
        Self { n_held_back: n_rows, ..self }
    }
}

impl Histories for InFile {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn subject(&self, idx: usize) -> &Subject {
        &self.history.subjects()[self.order[idx]]
    }

    fn grid(&self) -> Option<Grid> {
        (!self.order.is_empty()).then(|| *self.history.grid())
    }

    fn n_features(&self) -> usize {
        self.history.schema().n_features()
    }

    fn window(&self, idx: usize) -> anyhow::Result<Cow<'_, Window>> {
        let window = self.history.window(self.order[idx])?;
        let window = window.with_context(|| format!("{} has no history", self.subject(idx)))?;
        Ok(Cow::Owned(without_last(window, self.n_held_back)))
    }
}

/// The window without its last rows, if most of what it knows is in the others.
fn without_last(window: Window, n_rows: usize) -> Window {
    let n_present = window.n_present();
    let kept = window.slice_steps(0, window.grid().n_steps().saturating_sub(n_rows));
    match kept {
        Some(kept) if kept.n_present() as f64 >= KEPT_SHARE_MIN * n_present as f64 => kept,
        Some(_) | None => window,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use homeostat_core::{Direction, Feature, Schema, Signal, Timestamp};
    use ndarray::Array2;

    use super::*;

    #[test]
    fn the_last_rows_are_held_back_where_enough_is_left() {
        let feature =
            Feature { name: "cpu".into(), signal: Signal::Cpu, direction: Direction::Both, deviation_min: 0.0 };
        let schema = Arc::new(Schema::new(vec![feature]).expect("a schema"));
        let window = |n_rows_known: usize| {
            let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 720).expect("a grid");
            let value = |(row, _): (usize, usize)| if row < 720 - n_rows_known { f64::NAN } else { 1.0 };
            let values = Array2::from_shape_fn((720, 1), value);
            Window::new(Subject::deployment("shop", "cart"), grid, Arc::clone(&schema), values).expect("a window")
        };
        let n_steps = |n_rows_known| without_last(window(n_rows_known), 120).grid().n_steps();
        assert_eq!((n_steps(720), n_steps(480)), (600, 600));
        assert_eq!((n_steps(479), n_steps(60)), (720, 720), "a new workload's few rows are all there is");
    }
}
