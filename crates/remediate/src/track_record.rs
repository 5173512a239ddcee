//! What a policy's actions have come to.

use homeostat_core::{Proportion, Timestamp};

use crate::history::History;
use crate::stage::Stage;

/// How many of the policy's actions that have ended helped, among those of which that can be said at `now`: of the last seven days.
///
/// What somebody else overrode, and what wrote nothing, says nothing of the policy. What nobody knows the outcome of didn't help
/// as far as anybody knows.
pub fn track_record(history: &History, policy: &str, now: Timestamp) -> Proportion {
    let counting = history.actions.of_policy(policy).filter(|action| action.counts_at(now));
    let helped = counting.filter_map(|action| match action.stage {
        Stage::Recovered => Some(true),
        Stage::NotRecovered | Stage::Undone | Stage::Stuck | Stage::Unknown => Some(false),
        Stage::Planned
        | Stage::Applying
        | Stage::Verifying
        | Stage::UndoDue
        | Stage::Undoing
        | Stage::Settling
        | Stage::NotApplied
        | Stage::Overridden => None,
    });
    Proportion::count(helped)
}
