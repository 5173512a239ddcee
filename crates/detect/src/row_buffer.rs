//! The last rows of one subject, scaled and detrended: what every detector scores.

use homeostat_core::{LocalTime, Timestamp};
use serde::{Deserialize, Serialize};

use crate::look_ahead::look_ahead;

/// Rows kept of what is looked back at. The longest look-back is 20 rows for a residual and 20 for the autoencoder on top of
/// it; a network of the user's own may see all 64. A feature takes 1.5 KiB.
pub const BUFFER_ROWS_MAX: usize = 64;

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

    /// Rows kept of it: of what detectors read of the newest row only, no more than that one.
    pub const fn rows_max(self) -> usize {
        match self {
            Self::Raw | Self::Residual3 | Self::Residual20 => BUFFER_ROWS_MAX,
            Self::Level | Self::Residual1 | Self::Residual5 => 1,
        }
    }

    /// Rows of the channels stored before it.
    const fn first_row(self) -> usize {
        let (mut idx, mut rows) = (0, 0);
        while idx < self.index() {
            rows += CHANNELS[idx].rows_max();
            idx += 1;
        }
        rows
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

/// Rows that most detectors read at most, the newest included: the mean of twenty as measured, and ten of what was made of them.
const RAW_ROWS_READ: usize = 21;
const ROWS_READ: usize = 10;

/// Rows of all channels together.
pub(crate) const CHANNEL_ROWS: usize = {
    let last = CHANNELS[CHANNELS.len() - 1];
    last.first_row() + last.rows_max()
};

/// A ring of the last [`BUFFER_ROWS_MAX`] rows of one subject, and the newest of some channels
/// ([`Channel::rows_max`]). Consecutive rows are one step apart; a step without data
/// is a row of gaps. A gap is NaN in every channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "SavedRowBuffer", into = "SavedRowBuffer")]
pub struct RowBuffer {
    n_features: usize,
    /// `[channel][slot][feature]`, with as many slots as the channel keeps rows.
    cells: Vec<f64>,
    stamps: [Timestamp; BUFFER_ROWS_MAX],
    /// Rows ever pushed; the newest is in slot `(n_pushed - 1) % BUFFER_ROWS_MAX`.
    n_pushed: u64,
    /// What its days and hours go by. It is stored with the ensemble, once.
    local_time: LocalTime,
}

impl RowBuffer {
    /// An empty row buffer.
    pub fn new(n_features: usize) -> Self {
        Self {
            n_features,
            cells: vec![f64::NAN; CHANNEL_ROWS * n_features],
            stamps: [Timestamp::default(); BUFFER_ROWS_MAX],
            n_pushed: 0,
            local_time: LocalTime::default(),
        }
    }

    /// The same rows, whose days and hours go by this local time instead of UTC.
    #[must_use]
    pub fn in_local_time(self, local_time: LocalTime) -> Self {
        Self { local_time, ..self }
    }

    /// From now on its rows are of this local time.
    pub(crate) fn set_local_time(&mut self, local_time: LocalTime) {
        self.local_time = local_time;
    }

    /// What its days and hours go by.
    pub fn local_time(&self) -> &LocalTime {
        &self.local_time
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<f64>()
    }

    /// Number of features of a row.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Rows that can be looked at: at most [`BUFFER_ROWS_MAX`].
    pub fn n_rows(&self) -> usize {
        usize::try_from(self.n_pushed).unwrap_or(usize::MAX).min(BUFFER_ROWS_MAX)
    }

    /// Rows ever pushed.
    pub fn n_pushed(&self) -> u64 {
        self.n_pushed
    }

    /// The newest row's moment.
    pub fn newest_at(&self) -> Option<Timestamp> {
        let newest = self.n_pushed.checked_sub(1)?;
        self.stamps.get((newest % BUFFER_ROWS_MAX as u64) as usize).copied()
    }

    /// One channel of the row `back` rows before the newest (0 is the newest), `(n_features)`; `None` where the channel
    /// doesn't reach that far back.
    pub fn row(&self, back: usize, channel: Channel) -> Option<&[f64]> {
        if back >= self.n_rows().min(channel.rows_max()) {
            return None;
        }
        let from = self.first_cell(self.n_pushed - 1 - back as u64, channel);
        self.cells.get(from..from + self.n_features)
    }

    /// Asks for the memory of the next row, and of the rows before that are read with it.
    pub(crate) fn look_ahead(&self) {
        for channel in CHANNELS {
            let n_rows = if channel == Channel::Raw { RAW_ROWS_READ } else { ROWS_READ };
            for back in 0..n_rows.min(channel.rows_max()) as u64 {
                let from = self.first_cell(self.n_pushed.wrapping_sub(back), channel);
                look_ahead(self.cells.get(from..from + self.n_features).unwrap_or(&[]));
            }
        }
    }

    /// Appends a row of gaps for the moment, to be filled.
    pub(crate) fn push(&mut self, at: Timestamp) -> NewRow<'_> {
        let row_idx = self.n_pushed;
        self.n_pushed += 1;
        self.stamps[(row_idx % BUFFER_ROWS_MAX as u64) as usize] = at;
        for channel in CHANNELS {
            let from = self.first_cell(row_idx, channel);
            self.cells[from..from + self.n_features].fill(f64::NAN);
        }
        NewRow { row_idx, row_buffer: self }
    }

    /// Where a row of a channel begins, counted from the first row ever pushed.
    fn first_cell(&self, row_idx: u64, channel: Channel) -> usize {
        (channel.first_row() + (row_idx % channel.rows_max() as u64) as usize) * self.n_features
    }
}

/// The newest row, on its way in.
#[derive(Debug)]
pub(crate) struct NewRow<'a> {
    row_buffer: &'a mut RowBuffer,
    row_idx: u64,
}

impl NewRow<'_> {
    /// All rows, this one the newest.
    pub(crate) fn row_buffer(&self) -> &RowBuffer {
        self.row_buffer
    }

    /// A channel's cells, `(n_features)`.
    pub(crate) fn cells(&mut self, channel: Channel) -> &mut [f64] {
        let from = self.row_buffer.first_cell(self.row_idx, channel);
        let to = from + self.row_buffer.n_features;
        &mut self.row_buffer.cells[from..to]
    }
}

/// A row buffer as it is saved: the same fields, with a length that has to be checked.
#[derive(Serialize, Deserialize)]
struct SavedRowBuffer {
    n_features: usize,
    cells: Vec<f64>,
    stamps: Vec<Timestamp>,
    n_pushed: u64,
}

impl From<RowBuffer> for SavedRowBuffer {
    fn from(row_buffer: RowBuffer) -> Self {
        let RowBuffer { n_features, cells, stamps, n_pushed, local_time: _ } = row_buffer;
        Self { n_features, cells, stamps: stamps.to_vec(), n_pushed }
    }
}

impl TryFrom<SavedRowBuffer> for RowBuffer {
    type Error = &'static str;
    fn try_from(saved: SavedRowBuffer) -> Result<Self, Self::Error> {
        let SavedRowBuffer { n_features, cells, stamps, n_pushed } = saved;
        if Some(cells.len()) != n_features.checked_mul(CHANNEL_ROWS) {
            return Err("a saved row_buffer has another number of cells than its features need");
        }
        let stamps =
            stamps.try_into().map_err(|_| "a saved row_buffer has another number of rows than this version keeps")?;
        Ok(Self { n_features, cells, stamps, n_pushed, local_time: LocalTime::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_row_is_zero_back_and_old_rows_fall_off() {
        let mut row_buffer = RowBuffer::new(2);
        assert!(row_buffer.row(0, Channel::Raw).is_none());
        for step in 0..100_i64 {
            let mut row = row_buffer.push(Timestamp::from_secs(step));
            row.cells(Channel::Raw)[0] = step as f64;
            row.cells(Channel::Level)[1] = -step as f64;
        }
        assert_eq!(row_buffer.newest_at(), Some(Timestamp::from_secs(99)));
        assert_eq!(row_buffer.row(63, Channel::Raw).map(|row| row[0]), Some(36.0));
        assert!(row_buffer.row(64, Channel::Raw).is_none());
        assert_eq!(row_buffer.row(0, Channel::Level).map(|row| row[1]), Some(-99.0));
        assert!(row_buffer.row(1, Channel::Level).is_none(), "detectors read the newest level only");
        assert!(row_buffer.row(0, Channel::Residual20).expect("a row").iter().all(|cell| cell.is_nan()));
    }
}
