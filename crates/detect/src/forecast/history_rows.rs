//! The moments of a history's rows, by the clock on the wall: where clocks were changed or a holiday begins, and the history as if that never
//! happened.

use std::borrow::Cow;
use std::ops::Range;

use homeostat_core::{LocalMoment, LocalTime, Timestamp};

/// The moments of a history's rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistoryRows<'a> {
    pub(super) start: Timestamp,
    pub(super) step_ms: i64,
    pub(super) local_time: &'a LocalTime,
}

impl HistoryRows<'_> {
    fn at(&self, row: usize) -> Timestamp {
        let since_ms = i64::try_from(row).unwrap_or(i64::MAX).saturating_mul(self.step_ms);
        Timestamp::from_millis(self.start.as_millis().saturating_add(since_ms))
    }

    /// The first `n_rows` rows, cut where clocks were changed and where a holiday begins and ends: each stretch with the local time at which it
    /// begins, on a holiday that of the weekday that it is like.
    pub(super) fn stretches(&self, n_rows: usize) -> impl Iterator<Item = (i64, Range<usize>)> {
        self.local_stretches(n_rows).map(|(begin, idxs)| (begin.weekday.as_millis(), idxs))
    }

    fn local_stretches(&self, n_rows: usize) -> impl Iterator<Item = (LocalMoment, Range<usize>)> {
        let rows = *self;
        let mut begin = 0;
        std::iter::from_fn(move || {
            if begin >= n_rows {
                return None;
            }
            let first = rows.at(begin);
            let changes = |row: &usize| rows.local_time.changes_between(first, rows.at(*row));
            let end =
                if rows.local_time.is_plain_utc() { n_rows } else { (begin..n_rows).find(changes).unwrap_or(n_rows) };
            let stretch = (rows.local_time.moment(first), begin..end);
            begin = end;
            Some(stretch)
        })
    }

    /// A column with a row for each step of local time, and the local time at which it begins: the hour that clocks leave out in spring is a
    /// gap, and of the one that they repeat in autumn the second counts. A holiday is a gap, too: it says nothing of the usual course of its own
    /// weekday. Where nothing of this happened it is the column itself.
    pub(super) fn by_the_clock<'c>(&self, column: &'c [f64]) -> (Cow<'c, [f64]>, i64) {
        let stretches: Vec<(LocalMoment, Range<usize>)> = self.local_stretches(column.len()).collect();
        if let [(begin, _)] = &stretches[..] {
            return (Cow::Borrowed(column), begin.weekday.as_millis());
        }
        let usual = stretches.into_iter().filter(|(begin, _)| !begin.is_holiday());
        let stretches: Vec<(i64, Range<usize>)> = usual.map(|(begin, idxs)| (begin.clock.as_millis(), idxs)).collect();
        // Not always the first: a history may begin in the hour that is repeated.
        let start_ms = stretches.iter().map(|(local_ms, _)| *local_ms).min().unwrap_or_default();
        let row_of = |local_ms: i64| usize::try_from((local_ms - start_ms) / self.step_ms.max(1)).unwrap_or(0);
        let mut local = Vec::new();
        for (local_ms, idxs) in stretches {
            let (begin, n_rows) = (row_of(local_ms), idxs.len());
            local.resize(local.len().max(begin + n_rows), f64::NAN);
            local[begin..begin + n_rows].copy_from_slice(&column[idxs]);
        }
        (Cow::Owned(local), start_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    /// An hour ahead from the hour 3 on, and no more from the hour 6 on.
    fn changing() -> LocalTime {
        let at = |hour: i64| Timestamp::from_millis(hour * HOUR_MS);
        LocalTime::new([(at(0), 0), (at(3), 3_600), (at(6), 0)]).expect("a table")
    }

    fn rows(local_time: &LocalTime) -> HistoryRows<'_> {
        HistoryRows { start: Timestamp::from_secs(0), step_ms: HOUR_MS, local_time }
    }

    #[test]
    fn a_history_is_cut_where_clocks_are_changed() {
        let local_time = changing();
        let stretches: Vec<_> =
            rows(&local_time).stretches(8).map(|(local_ms, idxs)| (local_ms / HOUR_MS, idxs)).collect();
        assert_eq!(stretches, [(0, 0..3), (4, 3..6), (6, 6..8)]);
        let utc = LocalTime::default();
        assert_eq!(rows(&utc).stretches(8).collect::<Vec<_>>(), [(0, 0..8)]);
    }

    #[test]
    fn what_is_left_out_in_spring_is_a_gap_and_what_is_repeated_in_autumn_counts_once() {
        let (local_time, column) = (changing(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let (local, start_ms) = rows(&local_time).by_the_clock(&column);
        assert_eq!(start_ms, 0);
        let shown: Vec<String> = local.iter().map(f64::to_string).collect();
        assert_eq!(shown, ["0", "1", "2", "NaN", "3", "4", "6", "7"]);
        let utc = LocalTime::default();
        assert_eq!(rows(&utc).by_the_clock(&column), (Cow::Borrowed(&column[..]), 0));
        let half_ms = HOUR_MS / 2;
        let late = HistoryRows { start: Timestamp::from_millis(11 * half_ms), step_ms: half_ms, ..rows(&local_time) };
        let (local, start_ms) = late.by_the_clock(&column[..4]);
        assert_eq!((start_ms, &local[..]), (12 * half_ms, &column[1..4]), "it begins in the hour that is repeated");
    }
}
