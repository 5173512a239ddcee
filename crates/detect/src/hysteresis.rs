//! When a run of scores opens an incident, and when it may close: the same rule for the tracker and for the threshold.

use serde::{Deserialize, Serialize};

/// How many alarming rows open an incident and how many calm ones may close it.
///
/// A row alarms when its score is at least 1.0. An incident opens when `open_rows` of the last `of_rows` rows alarm, or
/// at once when a row's score reaches `at_once`. It may close after `close_rows` rows in a row whose score is below `close_below`.
///
/// ```
/// use homeostat_detect::Hysteresis;
///
/// let patient = Hysteresis { open_rows: 5, of_rows: 6, ..Hysteresis::default() };
/// assert_eq!(patient.objection(), None);
/// assert!(Hysteresis { open_rows: 9, ..patient }.objection().is_some(), "more than there are rows");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hysteresis {
    /// Alarming rows that open an incident.
    pub open_rows: u32,
    /// Among so many latest rows; at most 64.
    pub of_rows: u32,
    /// A score that opens an incident in a single row.
    pub at_once: f64,
    /// Calm rows, without any other in between, after which an incident may close.
    pub close_rows: u32,
    /// A row is calm when its score is below this; at most 1.
    pub close_below: f64,
}

impl Default for Hysteresis {
    /// 2 of 3 rows, so that one odd scrape is no incident; at once at four times the threshold; closed after 5 rows below
    /// half the threshold.
    fn default() -> Self {
        Self { open_rows: 2, of_rows: 3, at_once: 4.0, close_rows: 5, close_below: 0.5 }
    }
}

impl Hysteresis {
    /// What is wrong with the numbers, if anything.
    pub fn objection(&self) -> Option<&'static str> {
        if self.of_rows < 1 || self.of_rows > ROWS_MAX || self.open_rows < 1 || self.open_rows > self.of_rows {
            Some("open_rows must be between 1 and of_rows, and of_rows between 1 and 64")
        } else if !(self.at_once >= 1.0 && self.at_once.is_finite()) {
            Some("at_once must be 1 or more: it is a multiple of the alarm threshold")
        } else if self.close_rows < 1 {
            Some("close_rows must be at least 1")
        } else if !(self.close_below > 0.0 && self.close_below <= 1.0) {
            Some("close_below must be above 0 and at most 1")
        } else {
            None
        }
    }

    /// Whether a row of this score is calm: such rows close incidents.
    pub fn is_calm(&self, score: f64) -> bool {
        score < self.close_below
    }

    /// The highest threshold at which the newest of these scores would open an incident: with a threshold of `b`, scores
    /// are divided by `b`, so that the incident opens exactly when this value is at least `b`. `recent` ends with the newest.
    pub(crate) fn opening_level(&self, recent: &[f64]) -> f64 {
        let Some(newest) = recent.last() else {
            return 0.0;
        };
        let n_rows = recent.len().min(self.of_rows as usize).min(ROWS_MAX as usize);
        // Not on the heap: training asks seven times for every row of a history.
        let mut latest = [0.0; ROWS_MAX as usize];
        let latest = &mut latest[..n_rows];
        latest.copy_from_slice(&recent[recent.len() - n_rows..]);
        latest.sort_unstable_by(|a, b| b.total_cmp(a));
        let sustained = latest.get(self.open_rows as usize - 1).copied().unwrap_or(0.0);
        sustained.max(newest / self.at_once)
    }
}

/// The gate's memory is one bit a row, in one word.
const ROWS_MAX: u32 = 64;

/// The state of the rule for one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Which of the latest rows alarmed; the newest is the lowest bit.
    alarming: u64,
    /// Whether the newest row was high enough on its own.
    at_once: bool,
    calm_rows: u32,
}

impl Gate {
    /// Takes the next row's score; `None` is a row without one. It is neither alarming nor calm.
    pub fn push(&mut self, rule: &Hysteresis, score: Option<f64>) {
        let alarms = score.is_some_and(|score| score >= 1.0);
        self.alarming = self.alarming << 1 | u64::from(alarms);
        self.at_once = score.is_some_and(|score| score >= rule.at_once);
        let calm = score.is_some_and(|score| rule.is_calm(score));
        self.calm_rows = if calm { self.calm_rows.saturating_add(1) } else { 0 };
    }

    /// Whether an incident opens.
    pub fn opens(&self, rule: &Hysteresis) -> bool {
        self.at_once || self.n_alarming(rule) >= rule.open_rows
    }

    /// Whether there is at least one alarming row among those that count.
    pub fn is_suspicious(&self, rule: &Hysteresis) -> bool {
        self.n_alarming(rule) > 0
    }

    /// Whether it has been calm for long enough.
    pub fn is_calm(&self, rule: &Hysteresis) -> bool {
        self.calm_rows >= rule.close_rows
    }

    fn n_alarming(&self, rule: &Hysteresis) -> u32 {
        let mask = u64::MAX >> (ROWS_MAX - rule.of_rows.clamp(1, ROWS_MAX));
        (self.alarming & mask).count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(scores: &[f64]) -> Gate {
        let mut gate = Gate::default();
        scores.iter().for_each(|score| gate.push(&Hysteresis::default(), (!score.is_nan()).then_some(*score)));
        gate
    }

    #[test]
    fn two_of_three_open_and_one_odd_row_does_not() {
        let rule = Hysteresis::default();
        assert!(!gate(&[0.1, 1.0, 0.2]).opens(&rule));
        assert!(gate(&[1.0, 0.2, 1.0]).opens(&rule));
        assert!(!gate(&[1.0, 0.2, 0.2, 1.0]).opens(&rule));
        assert!(gate(&[0.1, 4.0]).opens(&rule), "far above the threshold one row is enough");
    }

    #[test]
    fn a_row_without_a_score_is_not_calm() {
        let rule = Hysteresis::default();
        assert!(gate(&[1.0, 0.1, 0.1, 0.1, 0.1, 0.1]).is_calm(&rule));
        assert!(!gate(&[1.0, 0.1, 0.1, f64::NAN, 0.1, 0.1]).is_calm(&rule));
    }

    #[test]
    fn numbers_that_mean_nothing_are_objected_to() {
        assert_eq!(Hysteresis::default().objection(), None);
        assert!(Hysteresis { open_rows: 4, ..Hysteresis::default() }.objection().is_some());
        assert!(Hysteresis { of_rows: 65, ..Hysteresis::default() }.objection().is_some());
        assert!(Hysteresis { at_once: f64::NAN, ..Hysteresis::default() }.objection().is_some());
        assert!(Hysteresis { close_below: 0.0, ..Hysteresis::default() }.objection().is_some());
    }

    proptest::proptest! {
        #[test]
        fn the_opening_level_and_the_gate_agree(scores in proptest::collection::vec(0.0..10.0_f64, 1..30), threshold in 0.1..5.0_f64) {
            let rule = Hysteresis::default();
            let scaled: Vec<f64> = scores.iter().map(|score| score / threshold).collect();
            // Just at the threshold the two divide in another order; a hair's breadth is left out.
            let level = rule.opening_level(&scores);
            proptest::prop_assume!((level / threshold - 1.0).abs() > 1e-9);
            proptest::prop_assert_eq!(gate(&scaled).opens(&rule), level >= threshold);
        }
    }
}
