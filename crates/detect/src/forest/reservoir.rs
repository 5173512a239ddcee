//! The rows a forest is refreshed from: a bounded sample of the recent past.

use homeostat_core::Seed;
use serde::{Deserialize, Serialize};

use super::NAME;
use super::chance::Chance;
use super::isolation::IsolationForest;
use super::keys::Keying;
use crate::detector::{ScoreError, TrainError};

/// A sample of the rows so far in which old rows grow rare.
///
/// While there is room every row is kept. Afterwards a row is taken with a fixed probability, in the place of one drawn
/// evenly (Aggarwal: On biased reservoir sampling in the presence of stream evolution, VLDB 2006): ages are then
/// distributed exponentially, with a mean of `memory_rows`. An even sample of all time would never forget an old regime; the
/// newest rows alone would know one night or one day.
///
/// ```
/// use homeostat_core::Seed;
/// use homeostat_detect::{ForestSpec, IsolationForest, Reservoir};
/// use ndarray::Array2;
///
/// let rows = Array2::from_shape_fn((500, 2), |(row, column)| ((row * 7 + column * 3) % 13) as f64);
/// let mut forest = IsolationForest::fit(rows.view(), &ForestSpec::new(20, 128)?, Seed::new(1))?;
/// let mut reservoir = Reservoir::new(&forest, 256, 1_000, Seed::new(2))?;
/// for row in 0..300_u32 {
///     reservoir.push(&[f64::from(row % 13), f64::from(row % 5)])?;
/// }
/// forest.refresh(&reservoir, 5)?;
/// assert_eq!((forest.n_trees(), reservoir.n_rows()), (20, 256));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Reservoir {
    keying: Keying,
    rows_max: usize,
    memory_rows: usize,
    chance: Chance,
    /// `[row][column]`.
    keys: Vec<u32>,
}

/// A reservoir as read back.
#[derive(Deserialize)]
struct Unchecked {
    keying: Keying,
    rows_max: usize,
    memory_rows: usize,
    chance: Chance,
    keys: Vec<u32>,
}

impl TryFrom<Unchecked> for Reservoir {
    type Error = &'static str;

    fn try_from(unchecked: Unchecked) -> Result<Self, Self::Error> {
        let Unchecked { keying, rows_max, memory_rows, chance, mut keys } = unchecked;
        let n_columns = keying.n_columns();
        let sound = keying.is_sound()
            && (1..=usize::from(u16::MAX)).contains(&n_columns)
            && (1..=Self::ROWS_MAX).contains(&rows_max)
            && rows_max * n_columns <= Self::CELLS_MAX
            && memory_rows >= rows_max
            && keys.len().is_multiple_of(n_columns)
            && keys.len() <= rows_max * n_columns;
        if !sound {
            return Err("a stored reservoir is damaged: train again");
        }
        keys.reserve_exact(rows_max * n_columns - keys.len());
        Ok(Self { keying, rows_max, memory_rows, chance, keys })
    }
}

impl Reservoir {
    /// Most rows that can be asked for: beyond, a refresh sees no more of the past, only more of the same.
    pub const ROWS_MAX: usize = 65_536;

    /// Most values held, rows times columns: 64 MiB.
    pub const CELLS_MAX: usize = 1 << 24;

    /// Rows kept unless asked otherwise: eight samples of 256 rows, so that the trees of a refresh see different rows.
    /// 120 KiB at 15 columns.
    pub const ROWS_DEFAULT: usize = 2_048;

    /// Mean age unless asked otherwise, in rows: two weeks of minutes, so that both weekends and workdays are in it.
    pub const MEMORY_ROWS_DEFAULT: usize = 20_160;

    /// An empty reservoir of at most `rows_max` rows for this forest, their mean age `memory_rows` rows.
    ///
    /// # Errors
    /// `rows_max` is less than a tree is grown from or more than [`Self::ROWS_MAX`], its values more than
    /// [`Self::CELLS_MAX`], or `memory_rows` less than `rows_max`.
    pub fn new(forest: &IsolationForest, rows_max: usize, memory_rows: usize, seed: Seed) -> Result<Self, TrainError> {
        let bad = |why: String| Err(TrainError::BadOption { detector: NAME, why });
        if !(forest.n_sampled()..=Self::ROWS_MAX).contains(&rows_max) {
            let (low, high) = (forest.n_sampled(), Self::ROWS_MAX);
            return bad(format!("a reservoir must have room for {low} to {high} rows, not {rows_max}"));
        }
        if rows_max * forest.n_columns() > Self::CELLS_MAX {
            return bad(format!(
                "a reservoir holds at most {} values: ask for fewer than {rows_max} rows",
                Self::CELLS_MAX
            ));
        }
        if memory_rows < rows_max {
            return bad(format!("a reservoir's memory_rows must be at least its {rows_max} rows, not {memory_rows}"));
        }
        Ok(Self {
            keying: forest.keying.clone(),
            rows_max,
            memory_rows,
            chance: Chance::new(seed.fork("reservoir")),
            keys: Vec::with_capacity(rows_max * forest.n_columns()),
        })
    }

    /// Offers a row of as many values as the forest has columns; NaN is a hole. Whether rows of an ongoing incident should
    /// be offered is the caller's decision. Allocates nothing.
    ///
    /// # Errors
    /// [`ScoreError::Shape`] for another number of values.
    pub fn push(&mut self, row: &[f64]) -> Result<(), ScoreError> {
        let n_columns = self.keying.n_columns();
        if row.len() != n_columns {
            return Err(ScoreError::Shape { found: row.len(), wanted: n_columns });
        }
        let n_rows = self.n_rows();
        let slot = if n_rows < self.rows_max {
            self.keys.resize((n_rows + 1) * n_columns, 0);
            n_rows
        } else if self.chance.below(self.memory_rows) < self.rows_max {
            self.chance.below(self.rows_max)
        } else {
            return Ok(());
        };
        self.keying.fill(row, &mut self.keys[slot * n_columns..(slot + 1) * n_columns]);
        Ok(())
    }

    /// Rows it has now.
    pub fn n_rows(&self) -> usize {
        self.keys.len() / self.keying.n_columns()
    }

    /// Bytes held, the same from the first row to the last.
    pub fn memory_bytes(&self) -> usize {
        self.keying.memory_bytes() + self.keys.capacity() * size_of::<u32>()
    }

    pub(super) fn keying(&self) -> &Keying {
        &self.keying
    }

    /// Keys of a row.
    pub(super) fn row(&self, row: usize) -> &[u32] {
        let n_columns = self.keying.n_columns();
        &self.keys[row * n_columns..(row + 1) * n_columns]
    }
}
