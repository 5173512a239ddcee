//! The last rows of one subject, scaled and detrended: what every detector scores.

use homeostat_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Rows kept. The longest look-back is 20 rows for a residual and 20 for the autoencoder on top of it; 64 leaves room and
/// keeps eight features in 24 KiB.
pub const TRAIL_ROWS_MAX: usize = 64;

/// What is kept of each row. All but [`Channel::Raw`] are in training deviations, clipped at ±200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// As measured.
    Raw,
    /// Distance from the training mean.
    Level,
    /// Distance from the previous row.
    Residual1,
    /// Distance from the mean of the previous 3 rows.
    Residual3,
    /// Distance from the mean of the previous 5 rows.
    Residual5,
    /// Distance from the mean of the previous 20 rows.
    Residual20,
}

/// All channels, in storage order.
pub const CHANNELS: [Channel; 6] =
    [Channel::Raw, Channel::Level, Channel::Residual1, Channel::Residual3, Channel::Residual5, Channel::Residual20];

impl Channel {
    /// Rows looked back at, for a residual.
    pub const fn look_back(self) -> Option<usize> {
        match self {
            Self::Raw | Self::Level => None,
            Self::Residual1 => Some(1),
            Self::Residual3 => Some(3),
            Self::Residual5 => Some(5),
            Self::Residual20 => Some(20),
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Raw => 0,
            Self::Level => 1,
            Self::Residual1 => 2,
            Self::Residual3 => 3,
            Self::Residual5 => 4,
            Self::Residual20 => 5,
        }
    }
}

/// A ring of the last [`TRAIL_ROWS_MAX`] rows of one subject. Consecutive rows are one step apart; a step without data
/// is a row of holes. A hole is NaN in every channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "SavedTrail", into = "SavedTrail")]
pub struct Trail {
    n_features: usize,
    /// `[slot][channel][feature]`.
    cells: Vec<f64>,
    stamps: [Timestamp; TRAIL_ROWS_MAX],
    /// Rows ever pushed; the newest is in slot `(n_pushed - 1) % TRAIL_ROWS_MAX`.
    n_pushed: u64,
}

impl Trail {
    /// An empty trail.
    pub fn new(n_features: usize) -> Self {
        Self {
            n_features,
            cells: vec![f64::NAN; TRAIL_ROWS_MAX * CHANNELS.len() * n_features],
            stamps: [Timestamp::default(); TRAIL_ROWS_MAX],
            n_pushed: 0,
        }
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<f64>()
    }

    /// Number of features of a row.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Rows that can be looked at: at most [`TRAIL_ROWS_MAX`].
    pub fn n_rows(&self) -> usize {
        usize::try_from(self.n_pushed).unwrap_or(usize::MAX).min(TRAIL_ROWS_MAX)
    }

    /// Rows ever pushed.
    pub fn n_pushed(&self) -> u64 {
        self.n_pushed
    }

    /// The newest row's moment.
    pub fn newest_at(&self) -> Option<Timestamp> {
        self.slot(0).map(|slot| self.stamps[slot])
    }

    /// One channel of the row `back` rows before the newest (0 is the newest), `(n_features)`; `None` where the trail
    /// doesn't reach that far.
    pub fn row(&self, back: usize, channel: Channel) -> Option<&[f64]> {
        let slot = self.slot(back)?;
        let from = (slot * CHANNELS.len() + channel.index()) * self.n_features;
        Some(&self.cells[from..from + self.n_features])
    }

    /// Appends a row of holes for the moment and returns its cells, `[channel][feature]`, to be filled.
    pub(crate) fn push(&mut self, at: Timestamp) -> &mut [f64] {
        let slot = (self.n_pushed % TRAIL_ROWS_MAX as u64) as usize;
        self.n_pushed += 1;
        self.stamps[slot] = at;
        let width = CHANNELS.len() * self.n_features;
        let cells = &mut self.cells[slot * width..(slot + 1) * width];
        cells.fill(f64::NAN);
        cells
    }

    fn slot(&self, back: usize) -> Option<usize> {
        if back >= self.n_rows() {
            return None;
        }
        Some(((self.n_pushed - 1 - back as u64) % TRAIL_ROWS_MAX as u64) as usize)
    }
}

/// A trail as it is saved: the same fields, with a length that has to be checked.
#[derive(Serialize, Deserialize)]
struct SavedTrail {
    n_features: usize,
    cells: Vec<f64>,
    stamps: Vec<Timestamp>,
    n_pushed: u64,
}

impl From<Trail> for SavedTrail {
    fn from(trail: Trail) -> Self {
        let Trail { n_features, cells, stamps, n_pushed } = trail;
        Self { n_features, cells, stamps: stamps.to_vec(), n_pushed }
    }
}

impl TryFrom<SavedTrail> for Trail {
    type Error = &'static str;
    fn try_from(saved: SavedTrail) -> Result<Self, Self::Error> {
        let SavedTrail { n_features, cells, stamps, n_pushed } = saved;
        if Some(cells.len()) != n_features.checked_mul(TRAIL_ROWS_MAX * CHANNELS.len()) {
            return Err("a saved trail has another number of cells than its features need");
        }
        let stamps =
            stamps.try_into().map_err(|_| "a saved trail has another number of rows than this version keeps")?;
        Ok(Self { n_features, cells, stamps, n_pushed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_row_is_zero_back_and_old_rows_fall_off() {
        let mut trail = Trail::new(2);
        assert!(trail.row(0, Channel::Raw).is_none());
        for step in 0..100_i64 {
            trail.push(Timestamp::from_secs(step))[0] = step as f64;
        }
        assert_eq!(trail.newest_at(), Some(Timestamp::from_secs(99)));
        assert_eq!(trail.row(63, Channel::Raw).map(|row| row[0]), Some(36.0));
        assert!(trail.row(64, Channel::Raw).is_none());
    }
}
