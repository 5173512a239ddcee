//! The moments of a window's rows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// `n_steps` moments, `step` apart, the first at `start`; `start` is a multiple of `step`.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::{Grid, Timestamp};
///
/// let minute = Duration::from_secs(60);
/// let grid = Grid::ending_at(Timestamp::from_secs(605), minute, 5)?;
/// assert_eq!((grid.start(), grid.end()), (Timestamp::from_secs(360), Timestamp::from_secs(600)));
/// assert_eq!(grid.index_of(Timestamp::from_secs(420)), Some(1));
/// assert_eq!(grid.index_of(Timestamp::from_secs(421)), None);
/// # Ok::<(), homeostat_core::GridError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    start: Timestamp,
    step_ms: i64,
    n_steps: usize,
}

/// Why three numbers are no grid.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::{Grid, GridError, Timestamp};
///
/// let minute = Duration::from_secs(60);
/// let start = Timestamp::from_secs(30);
/// assert_eq!(Grid::new(start, minute, 5), Err(GridError::Unaligned { start }));
/// assert_eq!(Grid::ending_at(start, minute, 0), Err(GridError::NoSteps));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// The step is below a millisecond.
    #[error("the step must be at least 1ms")]
    StepTooShort,
    /// There is no step.
    #[error("a grid needs at least one step")]
    NoSteps,
    /// The start isn't a multiple of the step: two grids could then interleave.
    #[error("the start {start} isn't a multiple of the step")]
    Unaligned {
        /// The start that was given.
        start: Timestamp,
    },
}

impl Grid {
    /// A grid of `n_steps` moments from `start`.
    pub fn new(start: Timestamp, step: Duration, n_steps: usize) -> Result<Self, GridError> {
        let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        if step_ms < 1 {
            return Err(GridError::StepTooShort);
        }
        if n_steps == 0 {
            return Err(GridError::NoSteps);
        }
        if start.align_down(step) != start {
            return Err(GridError::Unaligned { start });
        }
        Ok(Self { start, step_ms, n_steps })
    }

    /// The grid of `n_steps` moments that ends at the last multiple of `step` not after `end`.
    pub fn ending_at(end: Timestamp, step: Duration, n_steps: usize) -> Result<Self, GridError> {
        let last = end.align_down(step);
        let back = step.saturating_mul(u32::try_from(n_steps.saturating_sub(1)).unwrap_or(u32::MAX));
        Self::new(last - back, step, n_steps)
    }

    /// The first moment.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The last moment.
    pub fn end(&self) -> Timestamp {
        self.at(self.n_steps - 1)
    }

    /// Time between two moments.
    pub fn step(&self) -> Duration {
        Duration::from_millis(self.step_ms.unsigned_abs())
    }

    /// Number of moments, at least 1.
    pub fn n_steps(&self) -> usize {
        self.n_steps
    }

    /// The moment of row `step_idx`; rows past the end continue the grid.
    pub fn at(&self, step_idx: usize) -> Timestamp {
        let steps = i64::try_from(step_idx).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.start.as_millis().saturating_add(self.step_ms.saturating_mul(steps)))
    }

    /// The row at exactly this moment, if the moment is on the grid.
    pub fn index_of(&self, at: Timestamp) -> Option<usize> {
        let offset = at.as_millis().checked_sub(self.start.as_millis())?;
        if offset < 0 || offset % self.step_ms != 0 {
            return None;
        }
        usize::try_from(offset / self.step_ms).ok().filter(|idx| *idx < self.n_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_where_it_says_and_finds_its_rows() {
        let grid = Grid::ending_at(Timestamp::from_secs(125), Duration::from_secs(60), 3).expect("a grid");
        assert_eq!((grid.start(), grid.end()), (Timestamp::from_secs(0), Timestamp::from_secs(120)));
        assert_eq!(grid.index_of(Timestamp::from_secs(60)), Some(1));
        assert_eq!(grid.index_of(Timestamp::from_secs(61)), None);
        assert_eq!(grid.index_of(Timestamp::from_secs(180)), None);
    }

    #[test]
    fn unaligned_or_empty_is_refused() {
        let step = Duration::from_secs(60);
        assert!(matches!(Grid::new(Timestamp::from_secs(5), step, 3), Err(GridError::Unaligned { .. })));
        assert_eq!(Grid::new(Timestamp::from_secs(0), step, 0), Err(GridError::NoSteps));
        assert_eq!(Grid::new(Timestamp::from_secs(0), Duration::ZERO, 1), Err(GridError::StepTooShort));
    }
}
