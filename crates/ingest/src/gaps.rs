//! Which values of a window reach into a gap. A value made of five minutes of samples is no measurement for as long as one
//! of those minutes wasn't scraped: a rate is then too small by what is missing, and every healthy service seems to have
//! lost traffic.

use std::time::Duration;

use homeostat_core::Grid;
use ndarray::Array2;

use crate::promql::{Look, looks};
use crate::query::QuerySet;

/// How far back the values of each query reach, by column.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    columns: Vec<Vec<Look>>,
}

impl Reach {
    /// Of these queries. One that can't be read looks at its own moment only.
    pub(crate) fn of(queries: &QuerySet) -> Self {
        let newest = Look { offset: Duration::ZERO, window: Duration::ZERO };
        let columns = queries.queries().iter().map(|query| match looks(&query.expr) {
            Ok(looks) if !looks.is_empty() => looks,
            Ok(_) | Err(_) => vec![newest],
        });
        Self { columns: columns.collect() }
    }

    /// The longest stretch that a value looks back over, offsets included.
    pub(crate) fn longest(&self) -> Duration {
        self.columns.iter().flatten().map(|look| look.offset.saturating_add(look.window)).max().unwrap_or_default()
    }

    /// Whether any value is made of more than its own moment.
    pub(crate) fn has_windows(&self) -> bool {
        self.columns.iter().flatten().any(|look| !look.window.is_zero())
    }

    /// Which cells reach into a silent row: `(n_steps, n_features)`, or nothing where no row is silent.
    ///
    /// A silent row is one at whose moment nothing had been scraped for too long. The gap may have ended right after it, up
    /// to a step later, so a window must have left that step behind, too.
    pub(crate) fn of_silent(&self, silent: &[bool], grid: &Grid) -> Option<Array2<bool>> {
        let last_silent = silent.iter().rposition(|is_silent| *is_silent)?;
        let mut reached = Array2::from_elem((grid.n_steps(), self.columns.len()), false);
        for (feature_idx, looks) in self.columns.iter().enumerate() {
            for look in looks {
                let (offset, reach) = (steps(look.offset, grid), steps(look.window, grid));
                let first = silent.iter().position(|is_silent| *is_silent).unwrap_or(last_silent);
                for silent_idx in (first..=last_silent).filter(|idx| silent[*idx]) {
                    let from = silent_idx + offset;
                    // An instant selector repeats its last sample in the silent row and is new in the next.
                    let to = if look.window.is_zero() { from } else { from + reach };
                    for step_idx in from..=to.min(grid.n_steps().saturating_sub(1)) {
                        reached[[step_idx, feature_idx]] = true;
                    }
                }
            }
        }
        Some(reached)
    }

    /// As [`Self::of_silent`], written into one subject's own values: rows after rows without any measurement.
    /// `is_known(step_idx)` says whether all queries were answered there, so that nothing measured means nothing there.
    pub(crate) fn hide_after_own_gaps(
        &self,
        values: &mut Array2<f64>,
        is_known: impl Fn(usize) -> bool,
        grid: &Grid,
    ) -> u64 {
        let mut was_measured = false;
        let mut silent = vec![false; grid.n_steps()];
        for (step_idx, row) in values.rows().into_iter().enumerate() {
            let is_measured = row.iter().any(|value| !value.is_nan());
            silent[step_idx] = was_measured && !is_measured && is_known(step_idx);
            was_measured |= is_measured;
        }
        self.of_silent(&silent, grid).map_or(0, |reached| hide(values, &reached))
    }
}

/// How far back the values of a query of this set look at most: its longest range, with its offset.
///
/// ```
/// use std::time::Duration;
/// use homeostat_ingest::{Query, QuerySet, look_back};
///
/// let requests: Query = serde_json::from_str(r#"{"name":"requests","expr":"rate(requests_total[5m])","signal":"traffic"}"#)?;
/// assert_eq!(look_back(&QuerySet::new(vec![requests])?), Duration::from_secs(300));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn look_back(queries: &QuerySet) -> Duration {
    Reach::of(queries).longest()
}

/// Makes gaps of the cells that reach into one; says how many had a value.
pub(crate) fn hide(values: &mut Array2<f64>, reached: &Array2<bool>) -> u64 {
    let mut n_hidden = 0;
    for (cell, _) in values.iter_mut().zip(reached).filter(|(cell, is_reached)| **is_reached && !cell.is_nan()) {
        *cell = f64::NAN;
        n_hidden += 1;
    }
    n_hidden
}

/// Whole steps that a duration reaches over, rounded up.
fn steps(duration: Duration, grid: &Grid) -> usize {
    let step_ms = grid.step().as_millis().max(1);
    usize::try_from(duration.as_millis().div_ceil(step_ms)).unwrap_or(usize::MAX / 4).min(grid.n_steps())
}

#[cfg(test)]
mod tests {
    use homeostat_core::Timestamp;

    use super::*;
    use crate::query::tests::query;
    use crate::query::{Aggregation, OnMissing, Query};

    fn reach(exprs: &[&str]) -> Reach {
        let of = |(idx, expr): (usize, &&str)| Query {
            expr: (*expr).to_owned(),
            ..query(&format!("q{idx}"), Aggregation::Max, OnMissing::Gap)
        };
        Reach::of(&QuerySet::new(exprs.iter().enumerate().map(of).collect()).expect("queries"))
    }

    fn grid(n_steps: usize) -> Grid {
        Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), n_steps).expect("a grid")
    }

    fn column(reached: &Array2<bool>, idx: usize) -> String {
        reached.column(idx).iter().map(|is_reached| if *is_reached { 'x' } else { '.' }).collect()
    }

    #[test]
    fn a_value_is_a_gap_until_its_window_has_left_the_gap() {
        let reach = reach(&["rate(x[5m])", "x", "rate(x[90s])", "rate(x[2m] offset 3m)", "not promql ("]);
        let mut silent = vec![false; 12];
        silent[2] = true;
        let reached = reach.of_silent(&silent, &grid(12)).expect("a silent row");
        assert_eq!(column(&reached, 0), "..xxxxxx....", "five minutes, and the step in which the gap may have ended");
        assert_eq!(column(&reached, 1), "..x.........");
        assert_eq!(column(&reached, 2), "..xxx.......");
        assert_eq!(column(&reached, 3), ".....xxx....");
        assert_eq!(column(&reached, 4), "..x.........");
        assert!(reach.of_silent(&[false; 12], &grid(12)).is_none());
    }

    #[test]
    fn a_workload_that_was_away_is_measured_anew_only_after_its_window() {
        let reach = reach(&["rate(x[2m])", "y"]);
        let nan = f64::NAN;
        let mut values = ndarray::array![
            [nan, nan],
            [1.0, 1.0],
            [nan, nan],
            [0.4, 1.0],
            [0.8, 1.0],
            [1.0, 1.0],
            [nan, 1.0],
            [1.0, 1.0]
        ];
        assert_eq!(reach.hide_after_own_gaps(&mut values, |_| true, &grid(8)), 2);
        let shown: Vec<bool> = values.column(0).iter().map(|value| value.is_nan()).collect();
        assert_eq!(
            shown,
            [true, false, true, true, true, false, true, false],
            "one feature missing is no gap of scrapes"
        );
        assert!(
            values.column(1).iter().filter(|value| value.is_nan()).count() == 2,
            "gauges are at once what they are"
        );
        assert_eq!(reach.hide_after_own_gaps(&mut values, |_| false, &grid(8)), 0, "an unanswered row says nothing");
    }
}
