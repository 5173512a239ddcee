//! What came of earlier writes to this very object, ours and other instances'? Nobody fights over a target.

use std::time::Duration;

use crate::decide::Facts;
use crate::history::PastAction;
use crate::inspected::Inspected;
use crate::refusal::Refusal;
use crate::stage::Stage;

/// How long another instance's mark keeps us away: as long as it may take to verify and retry (the limits on one workload
/// look back an hour). Two that take turns every hour would still be within the limits of one.
const FRESH: Duration = Duration::from_secs(3600);

/// Whether somebody put back, changed or refused what was written before, or another homeostat is at work.
pub(super) fn undisputed(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    let Ok(seen) = facts.seen else { return };
    let subject = &facts.proposal.incident.subject;
    let on_it = || facts.history.ended(subject).filter(|action| action.plan.target.uid == seen.uid);
    if let Some(action) = on_it().filter(|action| action.stage == Stage::Overridden).last() {
        found.push(Refusal::Overridden { after: action.plan.id.clone() });
    }
    if let Some((action, why)) = on_it().filter_map(|action| Some((action, still_refused(facts, action)?))).last() {
        let same_incident = action.plan.incident == facts.proposal.incident.id;
        found.push(Refusal::WriteRefused { after: action.plan.id.clone(), why: why.to_owned(), same_incident });
    }
    another_instance(facts, seen, found);
}

/// What was refused is refused again: never sent twice for one incident, and not soon for another one, but a human may have
/// changed the rule since.
fn still_refused<'a>(facts: &Facts<'_>, action: &'a PastAction) -> Option<&'a str> {
    let why = action.refused.as_deref()?;
    let is_same = action.plan.incident == facts.proposal.incident.id;
    (is_same || action.stage_at + facts.limits.target_window > facts.now).then_some(why)
}

/// A mark of an action that our journal doesn't know is another instance's (or ours, from a journal that was lost: then what
/// was done before isn't known either).
fn another_instance(facts: &Facts<'_>, seen: &Inspected, found: &mut Vec<Refusal>) {
    let Some(marker) = &seen.marker else { return };
    let is_ours = facts.history.actions.iter().any(|action| action.plan.id.as_str() == marker.action);
    // Without a time it may be of just now.
    let is_fresh = marker.at.is_none_or(|at| at + FRESH > facts.now);
    if !is_ours && is_fresh {
        found.push(Refusal::AnotherInstance { action: marker.action.clone(), at: marker.at });
    }
}
