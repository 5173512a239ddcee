//! In which unit a constant moves, once it has moved: what was never anything but 0 gives no unit for the first failed request.
//!
//! It replaces values within that unit by the constant. Only features of which nobody has said what matters (signal `other`, no
//! `deviation_min`) are looked at: of errors, restarts and lost replicas one is already one.

use serde::{Deserialize, Serialize};

/// A constant that is left for so many rows at most, and had again, has moved by a unit. What stays away longer is a new level.
const BLIP_ROWS_MAX: u8 = 5;

/// The constants among a subject's features.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConstantUnits {
    constants: Vec<Constant>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Constant {
    feature_idx: u32,
    value: f64,
    /// How far away it is now, at most, and for how many rows.
    away: f64,
    away_rows: u8,
    /// The smallest blip so far.
    smallest: Option<f64>,
    /// The unit: the smaller one of the first two blips, and any smaller one since. Once is an event, twice is how it moves.
    unit: Option<f64>,
}

impl ConstantUnits {
    /// Of features by position, each with the value that it always had.
    pub(crate) fn new(constants: impl Iterator<Item = (usize, f64)>) -> Self {
        let constant = |(idx, value): (usize, f64)| {
            let feature_idx = u32::try_from(idx).ok()?;
            Some(Constant { feature_idx, value, away: 0.0, away_rows: 0, smallest: None, unit: None })
        };
        Self { constants: constants.filter_map(constant).collect() }
    }

    /// Takes the next row, `(n_features)`: values within a known unit become the constant.
    pub(crate) fn take(&mut self, row: &mut [f64]) {
        for constant in &mut self.constants {
            let cell = usize::try_from(constant.feature_idx).ok().and_then(|idx| row.get_mut(idx));
            if let Some(cell) = cell.filter(|cell| cell.is_finite()) {
                constant.take(*cell);
                if constant.unit.is_some_and(|unit| (*cell - constant.value).abs() <= unit) {
                    *cell = constant.value;
                }
            }
        }
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.constants.capacity() * size_of::<Constant>()
    }

    /// Whether it fits rows of so many features.
    pub(crate) fn is_consistent(&self, n_features: usize) -> bool {
        self.constants.iter().all(|constant| (constant.feature_idx as usize) < n_features && constant.value.is_finite())
    }
}

impl Constant {
    fn take(&mut self, value: f64) {
        let distance = (value - self.value).abs();
        if distance > 0.0 {
            self.away = self.away.max(distance);
            self.away_rows = self.away_rows.saturating_add(1);
            return;
        }
        if (1..=BLIP_ROWS_MAX).contains(&self.away_rows) {
            let smallest = self.smallest.map_or(self.away, |smallest| smallest.min(self.away));
            self.unit = self.smallest.is_some().then_some(smallest);
            self.smallest = Some(smallest);
        }
        (self.away, self.away_rows) = (0.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a feature that was always 0 looks like to the detectors.
    fn seen(values: &[f64]) -> Vec<f64> {
        let mut units = ConstantUnits::new([(1, 0.0)].into_iter());
        let row = |value: &f64| {
            let mut row = [7.0, *value];
            units.take(&mut row);
            assert_eq!(row[0], 7.0, "only constants are looked at");
            row[1]
        };
        values.iter().map(row).collect()
    }

    #[test]
    fn what_was_twice_is_how_it_moves_and_what_is_further_is_not() {
        assert_eq!(seen(&[0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 2.0]), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn the_smaller_one_of_two_is_the_unit() {
        assert_eq!(seen(&[30.0, 50.0, 0.0, 2.0, 0.0, 2.0, 30.0]), [30.0, 50.0, 0.0, 2.0, 0.0, 0.0, 30.0]);
        assert_eq!(seen(&[2.0, 0.0, 3.0, 0.0, 1.0, 0.0, 2.0, 0.0])[6], 2.0, "and a smaller one since");
    }

    #[test]
    fn a_level_that_stays_is_no_unit() {
        assert_eq!(seen(&[1.0, 0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.0, 1.0]).last(), Some(&1.0));
        assert_eq!(seen(&[1.0, 0.0, f64::NAN, 1.0, f64::NAN, 0.0, 1.0]).last(), Some(&0.0), "a gap is neither");
    }
}
