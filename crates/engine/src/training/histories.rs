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
}

impl InFile {
    /// All that the history has.
    pub(crate) fn new(history: History) -> Self {
        let mut order: Vec<usize> = (0..history.subjects().len()).collect();
        order.sort_by(|a, b| history.subjects()[*a].cmp(&history.subjects()[*b]));
        Self { history, order }
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
        window.map(Cow::Owned).with_context(|| format!("{} has no history", self.subject(idx)))
    }
}
