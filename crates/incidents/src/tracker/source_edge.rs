//! Where most subjects lose data at the same moment, or have it again, the source has a gap, and what is measured beside it is
//! made of fewer samples: a rate over five minutes is too small by what wasn't scraped, and every healthy service seems to lose
//! its traffic. What is too small there is a fact about the source.

use std::time::Duration;

use homeostat_core::Timestamp;

use super::SubjectRow;
use super::row_memory::DataEdge;
use crate::typing::evidence_of;

/// Share of the subjects from which on it isn't they who lost their data: as in ingest, which sees the source itself.
const SHARE_MIN: f64 = 0.5;

/// How long values beside a gap may be made of fewer samples: rates are nearly always over five minutes. Ingest knows the ranges of
/// the queries and hides what they reach into; a table of finished rates has none. A drop of traffic that is real is found these
/// minutes later, and anything that grows is found at once.
pub const SOURCE_GAP_REACH: Duration = Duration::from_secs(300);

/// The newest edge.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceEdge {
    newest: Option<Timestamp>,
    /// That it was lost, and not had again, at this moment.
    lost_at: Option<Timestamp>,
}

impl SourceEdge {
    /// Takes what the rows of one moment say, one of each subject.
    pub(super) fn take(&mut self, at: Timestamp, edges: impl Iterator<Item = DataEdge>) {
        let (mut n_rows, mut n_lost, mut n_returned) = (0_u32, 0_u32, 0_u32);
        for edge in edges {
            n_rows += 1;
            n_lost += u32::from(edge.is_loss);
            n_returned += u32::from(edge.is_return);
        }
        // One alone may have lost its data by itself.
        let are_most = |n: u32| n_rows > 1 && f64::from(n) > SHARE_MIN * f64::from(n_rows);
        if are_most(n_lost) {
            (self.newest, self.lost_at) = (Some(at), Some(at));
        } else if are_most(n_returned) {
            self.newest = Some(at);
        }
    }

    /// A gap is known to begin at most [`SOURCE_GAP_REACH`] after this moment.
    pub(super) fn expect(&mut self, at: Timestamp) {
        self.newest = self.newest.max(Some(at));
    }

    /// Whether values at `at` may be made of fewer samples than usual.
    pub(super) fn is_near(&self, at: Timestamp) -> bool {
        self.newest.is_some_and(|newest| at >= newest && at.since(newest) <= SOURCE_GAP_REACH)
    }

    /// When most subjects lost data at the same moment last.
    pub(super) fn lost_at(&self) -> Option<Timestamp> {
        self.lost_at
    }
}

/// Whether fewer samples explain all that stands out in a row: it is below what was expected, or back at a usual level, which is far
/// from the rows before.
pub(super) fn is_explained(row: &SubjectRow<'_>) -> bool {
    evidence_of(row.schema, row.row).iter().all(|one| {
        let state = row.schema.position(&one.feature).and_then(|idx| row.row.features.get(idx));
        // Rates that come up again are above the rows before and below their usual level.
        let is_usual = state.is_some_and(|state| state.normal || state.deviation.is_some_and(|level| level <= 0.0));
        one.observed <= one.expected || is_usual
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_several_make_an_edge_and_one_of_two_or_one_alone_does_not() {
        let (lost, whole) = (DataEdge { is_loss: true, is_return: false }, DataEdge::default());
        let at = Timestamp::from_secs(600);
        let is_edge = |edges: &[DataEdge]| {
            let mut edge = SourceEdge::default();
            edge.take(at, edges.iter().copied());
            edge.is_near(at)
                && edge.is_near(at + SOURCE_GAP_REACH)
                && !edge.is_near(at + SOURCE_GAP_REACH + Duration::from_secs(60))
        };
        assert!(is_edge(&[lost, lost, whole]) && is_edge(&[lost, lost]));
        assert!(!is_edge(&[lost, whole]) && !is_edge(&[lost]) && !is_edge(&[]) && !is_edge(&[whole, whole]));
    }
}
