//! What a subject's rows were like lately, as data: which features are usually there, which of them usually move, and for how
//! long they have stood still. It isn't saved: the rows that a start looks back at teach it anew.

use std::time::Duration;

use homeostat_core::Timestamp;
use homeostat_detect::FeatureState;

/// A feature that was there in so many rows in a row is usually there: as far as residuals look back. Ratios without requests come
/// and go by themselves, and say nothing of the source.
const PRESENT_ROWS_MIN: u32 = 20;
/// Moves that must have been seen before standing still says something: two hours of minutes, which a start looks back at.
const MOVES_MIN: u32 = 120;
/// Share of the rows in which a feature must have moved. With four of five, standing still for [`STILL_ROWS`] rows by chance happens
/// to nobody. It leaves out limits, replicas and what is recorded more rarely than it is looked at.
const MOVES_SHARE_MIN: f64 = 0.8;
/// Rows without any move after which a feature is frozen, and the time that they must take: half an hour of minutes, but with steps of
/// seconds no less than three of the usual intervals of scrapes and rules.
const STILL_ROWS: u32 = 30;
const STILL_TIME: Duration = Duration::from_secs(900);
/// Rows that are counted, about: from then on the older half counts for half. Two days of minutes.
const ROWS_MAX: u32 = 2_880;

/// What is remembered of one feature.
#[derive(Clone, Copy, Debug, Default)]
struct Feature {
    /// The newest measurement's bits.
    value: Option<u64>,
    /// Whether the newest row has it.
    is_present: bool,
    /// Rows without a gap before the newest one.
    present_rows: u32,
    /// Whether it went missing although it is usually there.
    is_lost: bool,
    still_rows: u32,
    n_rows: u32,
    n_moves: u32,
}

/// What the newest row says of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DataEdge {
    /// It lacks what is usually there.
    pub(super) is_loss: bool,
    /// It has again what was missing.
    pub(super) is_return: bool,
}

/// The rows of one subject.
#[derive(Clone, Debug, Default)]
pub(super) struct RowMemory {
    features: Vec<Feature>,
    at: Option<Timestamp>,
    edge: DataEdge,
    /// The newest row in which a feature moved that usually does.
    moved_at: Option<Timestamp>,
    step: Duration,
}

impl RowMemory {
    /// Takes the next row.
    pub(super) fn push(&mut self, at: Timestamp, step: Duration, states: &[FeatureState]) {
        if self.features.len() != states.len() {
            *self = Self { features: vec![Feature::default(); states.len()], ..Self::default() };
        }
        let has_missed_rows = self.at.is_some_and(|before| at.since(before) > step);
        (self.at, self.step, self.edge) = (Some(at), step, DataEdge { is_loss: false, is_return: has_missed_rows });
        let mut has_moved = false;
        for (feature, state) in self.features.iter_mut().zip(states) {
            if has_missed_rows {
                feature.present_rows = 0;
            }
            let Some(value) = state.value else {
                self.edge.is_loss |= feature.present_rows >= PRESENT_ROWS_MIN;
                feature.is_lost |= feature.present_rows >= PRESENT_ROWS_MIN;
                (feature.present_rows, feature.is_present) = (0, false);
                continue;
            };
            self.edge.is_return |= std::mem::take(&mut feature.is_lost);
            feature.present_rows = feature.present_rows.saturating_add(1);
            has_moved |= feature.take(value) && feature.usually_moves();
        }
        if has_moved {
            self.moved_at = Some(at);
        }
    }

    /// What the newest row says of the data.
    pub(super) fn edge(&self) -> DataEdge {
        self.edge
    }

    /// The newest row in which a feature moved that usually does.
    pub(super) fn moved_at(&self) -> Option<Timestamp> {
        self.moved_at
    }

    /// Whether every feature that usually moves has stood still for too long: since when. Where one of them rests at zero it may be that nothing
    /// happens: without requests, the others stand still as well.
    pub(super) fn frozen_since(&self) -> Option<Timestamp> {
        let moving = || self.features.iter().filter(|feature| feature.is_present && feature.usually_moves());
        if moving().any(Feature::is_zero) {
            return None;
        }
        let still_rows = moving().map(|feature| feature.still_rows).min()?;
        let still = self.step.saturating_mul(still_rows);
        let is_frozen = still_rows >= STILL_ROWS && still >= STILL_TIME;
        self.at.filter(|_| is_frozen).map(|at| at - still)
    }
}

impl Feature {
    /// Takes a measurement; whether it differs from the one before.
    fn take(&mut self, value: f64) -> bool {
        let bits = value.to_bits();
        let before = self.value.replace(bits);
        self.is_present = true;
        let Some(before) = before else { return false };
        let has_moved = before != bits;
        self.still_rows = if has_moved { 0 } else { self.still_rows.saturating_add(1) };
        // A long standstill teaches nothing about how the feature usually is.
        if self.still_rows <= STILL_ROWS {
            self.n_rows += 1;
            self.n_moves += u32::from(has_moved);
        }
        if self.n_rows >= ROWS_MAX {
            (self.n_rows, self.n_moves) = (self.n_rows / 2, self.n_moves / 2);
        }
        has_moved
    }

    fn usually_moves(&self) -> bool {
        self.n_moves >= MOVES_MIN && f64::from(self.n_moves) >= MOVES_SHARE_MIN * f64::from(self.n_rows)
    }

    fn is_zero(&self) -> bool {
        self.value.is_some_and(|bits| f64::from_bits(bits) == 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(60);

    fn state(value: f64) -> FeatureState {
        let value = (!value.is_nan()).then_some(value);
        FeatureState { value, expected: value, deviation: Some(0.0), normal: true, usual: false }
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(60 * minute)
    }

    /// `n_rows` rows of a feature that moves and one that never does.
    fn memory(n_rows: i64) -> RowMemory {
        let mut memory = RowMemory::default();
        (0..n_rows).for_each(|minute| memory.push(at(minute), STEP, &[state(minute as f64), state(7.0)]));
        memory
    }

    #[test]
    fn what_usually_moves_and_stands_still_for_half_an_hour_is_frozen() {
        let mut memory = memory(200);
        for minute in 200..229 {
            memory.push(at(minute), STEP, &[state(199.0), state(7.0)]);
            assert_eq!(memory.frozen_since(), None, "{minute}");
        }
        memory.push(at(229), STEP, &[state(199.0), state(7.0)]);
        assert_eq!((memory.frozen_since(), memory.moved_at()), (Some(at(199)), Some(at(199))));
        memory.push(at(230), STEP, &[state(198.0), state(7.0)]);
        assert_eq!((memory.frozen_since(), memory.moved_at()), (None, Some(at(230))));
    }

    #[test]
    fn what_rests_at_zero_or_rarely_moves_is_not_frozen() {
        let mut idle = memory(200);
        (200..400).for_each(|minute| idle.push(at(minute), STEP, &[state(0.0), state(7.0)]));
        assert_eq!(idle.frozen_since(), None, "no traffic at night");
        let mut follows = RowMemory::default();
        (0..200).for_each(|minute| follows.push(at(minute), STEP, &[state(minute as f64), state(0.5 + minute as f64)]));
        (200..400).for_each(|minute| follows.push(at(minute), STEP, &[state(0.0), state(0.5)]));
        assert_eq!(follows.frozen_since(), None, "without traffic the processor idles");
        let mut rare = RowMemory::default();
        (0..2_000).for_each(|minute| rare.push(at(minute), STEP, &[state((minute / 5) as f64)]));
        (2_000..2_100).for_each(|minute| rare.push(at(minute), STEP, &[state(1.0)]));
        assert_eq!(rare.frozen_since(), None, "recorded every five minutes");
        let mut young = memory(60);
        (60..120).for_each(|minute| young.push(at(minute), STEP, &[state(59.0), state(7.0)]));
        assert_eq!(young.frozen_since(), None, "nobody knows yet how it usually is");
    }

    #[test]
    fn losing_what_is_usually_there_and_having_it_again_are_edges() {
        let mut memory = memory(30);
        let nan = f64::NAN;
        memory.push(at(30), STEP, &[state(1.0), state(nan)]);
        assert_eq!(memory.edge(), DataEdge { is_loss: true, is_return: false });
        memory.push(at(31), STEP, &[state(2.0), state(nan)]);
        assert_eq!(memory.edge(), DataEdge::default(), "told once");
        memory.push(at(32), STEP, &[state(3.0), state(7.0)]);
        assert_eq!(memory.edge(), DataEdge { is_loss: false, is_return: true });
        memory.push(at(33), STEP, &[state(4.0), state(nan)]);
        assert_eq!(memory.edge(), DataEdge::default(), "it comes and goes");
        memory.push(at(40), STEP, &[state(5.0), state(nan)]);
        assert!(memory.edge().is_return, "rows were missing");
    }
}
