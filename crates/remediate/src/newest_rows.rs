//! Whether a fault still goes on, by the newest rows of its subject. Pure.

use homeostat_core::Timestamp;

use crate::observation::{Observation, RowScore};

/// So many of the newest rows are looked at: as many as the rule that opens incidents looks at by default.
pub(crate) const ROWS: usize = 3;

/// Among those rows, so many that aren't normal show that the fault goes on, again as in the rule that opens incidents: one odd
/// row opens none, and starts no action either.
const ABNORMAL_ROWS_MIN: usize = 2;

/// The newest rows since an incident opened, at most three.
///
/// A row is normal when it counts towards closing the incident: its score is below what the tracker closes at, and every
/// feature that opened the incident is there and within its normal range. Neither is enough alone. A leak stays within the
/// normal range of its memory for a long time while the row as a whole is far from usual; and a row's score falls once the
/// detectors are used to a fault that is still there.
///
/// ```
/// use homeostat_core::Timestamp;
/// use homeostat_remediate::{NewestRows, RowScore};
///
/// let opened_at = Timestamp::from_secs(60);
/// let calm = RowScore { at: opened_at, is_calm: true, opens_at_once: false };
/// let rows = NewestRows::of(&["memory".to_owned()], opened_at, &[], &[calm]);
/// assert!(!rows.are_normal(), "memory wasn't measured");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewestRows {
    /// Whether each of them is normal, oldest first.
    are_normal: Vec<bool>,
    /// Whether the newest one would open an incident by itself.
    opens_at_once: bool,
}

impl NewestRows {
    /// The newest of these rows. What is from before `opened_at` says nothing of the incident.
    pub fn of(features: &[String], opened_at: Timestamp, observations: &[Observation], scores: &[RowScore]) -> Self {
        let mut scores: Vec<&RowScore> = scores.iter().filter(|row| row.at >= opened_at).collect();
        scores.sort_by_key(|row| row.at);
        scores.dedup_by_key(|row| row.at);
        let newest = &scores[scores.len().saturating_sub(ROWS)..];
        let is_normal = |feature: &String, at: Timestamp| {
            let mut of_row = observations.iter().filter(|seen| seen.at == at && &seen.feature == feature);
            of_row.any(|seen| seen.normal && seen.value.is_some())
        };
        let is_normal_row =
            |row: &RowScore| row.is_calm && !features.is_empty() && features.iter().all(|name| is_normal(name, row.at));
        Self {
            are_normal: newest.iter().map(|row| is_normal_row(row)).collect(),
            opens_at_once: newest.last().is_some_and(|row| row.opens_at_once),
        }
    }

    /// The same of an incident that a rule opened: a row is normal when the rule doesn't hold in it, whatever the detectors say of the
    /// row, and one row in which it holds is enough.
    pub fn of_rule(features: &[String], opened_at: Timestamp, observations: &[Observation]) -> Self {
        let of_rule: Vec<Observation> = observations
            .iter()
            .filter(|seen| features.contains(&seen.feature) && seen.value.is_some())
            .cloned()
            .collect();
        let row = |seen: &Observation| RowScore { at: seen.at, is_calm: true, opens_at_once: !seen.normal };
        let rows: Vec<RowScore> = of_rule.iter().map(row).collect();
        Self::of(features, opened_at, &of_rule, &rows)
    }

    /// Whether what opened the incident seems to be over: the newest row is normal, or fewer than two of the three newest aren't and
    /// the newest wouldn't open an incident by itself.
    ///
    /// This waits for at most as many rows as close an incident: either a row that isn't normal follows, or the incident
    /// resolves.
    pub fn are_normal(&self) -> bool {
        // An incident that has just opened has no row but the one that opened it.
        let n_needed = if self.opens_at_once { 1 } else { ABNORMAL_ROWS_MIN.min(self.are_normal.len()) };
        self.are_normal.last().is_some_and(|is_normal| *is_normal || self.n_abnormal() < n_needed)
    }

    /// How many of them aren't normal.
    fn n_abnormal(&self) -> usize {
        self.are_normal.iter().filter(|is_normal| !**is_normal).count()
    }
}

#[cfg(test)]
mod tests {
    use homeostat_core::Signal;

    use super::*;

    fn at(row: i64) -> Timestamp {
        Timestamp::from_secs(1000 + 60 * row)
    }

    /// Rows of the memory of one service: whether the row is calm, and whether its memory is within its normal range.
    fn rows(rows: &[(bool, bool)]) -> NewestRows {
        let numbered = || (0..).map(at).zip(rows);
        let scores: Vec<RowScore> =
            numbered().map(|(at, (is_calm, _))| RowScore { at, is_calm: *is_calm, opens_at_once: false }).collect();
        let observations: Vec<Observation> = numbered()
            .map(|(at, (_, normal))| Observation {
                feature: "memory".into(),
                signal: Signal::Memory,
                at,
                value: Some(0.56),
                deviation: Some(2.0),
                normal: *normal,
            })
            .collect();
        NewestRows::of(&["memory".to_owned()], at(0), &observations, &scores)
    }

    const NORMAL: (bool, bool) = (true, true);
    /// Memory of 0.56 where 0.50 is expected: within the normal range of memory, and far from usual as a row.
    const UNUSUAL: (bool, bool) = (false, true);
    const FAR: (bool, bool) = (false, false);
    /// The detectors are used to it, and it is still far away.
    const USED_TO: (bool, bool) = (true, false);

    #[test]
    fn a_leak_within_the_normal_range_of_its_memory_goes_on_from_its_first_row() {
        for n_rows in 1..9 {
            assert!(!rows(&vec![UNUSUAL; n_rows]).are_normal(), "{n_rows} rows");
        }
    }

    #[test]
    fn a_fault_that_the_detectors_are_used_to_goes_on() {
        assert!(!rows(&[FAR, USED_TO, USED_TO, USED_TO]).are_normal());
    }

    #[test]
    fn the_first_normal_row_holds_an_action_back_and_one_odd_row_afterwards_lets_none_through() {
        assert!(rows(&[FAR, FAR, NORMAL]).are_normal());
        assert!(rows(&[FAR, NORMAL, NORMAL, FAR]).are_normal(), "two of three, the oldest isn't looked at");
        assert!(!rows(&[NORMAL, NORMAL, FAR, UNUSUAL]).are_normal());
        assert!(!rows(&[FAR, NORMAL, UNUSUAL]).are_normal());
    }

    #[test]
    fn a_row_that_would_open_an_incident_by_itself_needs_no_second_one() {
        let mut flared_up = rows(&[NORMAL, NORMAL, FAR]);
        assert!(flared_up.are_normal());
        flared_up.opens_at_once = true;
        assert!(!flared_up.are_normal());
    }

    #[test]
    fn what_opened_it_is_enough_and_rows_from_before_count_for_nothing() {
        assert!(!rows(&[FAR]).are_normal());
        assert!(!NewestRows::default().are_normal(), "without a row nothing is known to be over");
        let early = RowScore { at: at(-1), is_calm: true, opens_at_once: false };
        assert_eq!(NewestRows::of(&["memory".to_owned()], at(0), &[], &[early]), NewestRows::default());
    }
}
