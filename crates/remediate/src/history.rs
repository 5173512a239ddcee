//! What was done before, as far as deciding and verifying need it. Plain data; the journal fills it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{IncidentId, IncidentType, Subject, Timestamp};
use serde::{Deserialize, Serialize};

use crate::approval::PendingPlan;
use crate::past_action::PastAction;
use crate::past_actions::PastActions;
use crate::stage::Stage;

/// Many incidents at once (I18).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    /// When there were too many for the first time.
    pub began_at: Timestamp,
    /// Channels that were called because of it.
    pub called: BTreeSet<String>,
}

/// What was done before.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct History {
    /// Actions in flight, those that began or ended within [`LOOK_BACK_MAX`](crate::LOOK_BACK_MAX), those of open incidents, and perhaps some older ones.
    pub actions: Arc<PastActions>,
    /// Policies that were stopped because they made something worse, and why (I17).
    pub frozen: BTreeMap<String, String>,
    /// The storm that hadn't cleared yet, if there is one.
    pub storm: Option<Storm>,
    /// Plans that wait for a person's answer, or have one that wasn't followed yet.
    pub pending: BTreeMap<IncidentId, Arc<PendingPlan>>,
}

impl History {
    /// Actions that haven't ended.
    pub fn in_flight(&self) -> impl Iterator<Item = &PastAction> {
        self.actions.in_flight().map(Arc::as_ref)
    }

    /// Attempts on this subject for this type of incident in the window that ends now (I3).
    pub fn attempts(&self, subject: &Subject, kind: IncidentType, window: Duration, now: Timestamp) -> u32 {
        self.count_on(subject, window, now, |action| action.plan.incident_type == kind)
    }

    /// Attempts on this subject, whatever for (I3).
    pub fn attempts_on(&self, subject: &Subject, window: Duration, now: Timestamp) -> u32 {
        self.count_on(subject, window, now, |_| true)
    }

    /// Attempts of this policy, on whatever workload (I3).
    pub fn attempts_of_policy(&self, policy: &str, window: Duration, now: Timestamp) -> u32 {
        self.actions.attempts_of_policy(policy, window, now)
    }

    /// How often this policy tried for this incident; what surely wrote nothing was no try.
    pub fn tried(&self, incident: &IncidentId, policy: &str) -> u32 {
        let is_try = |action: &&PastAction| action.plan.policy == policy && action.stage != Stage::NotApplied;
        u32::try_from(self.of_incident(incident).filter(is_try).count()).unwrap_or(u32::MAX)
    }

    /// Attempts on anything (I18).
    pub fn starts(&self, window: Duration, now: Timestamp) -> u32 {
        self.actions.attempts(window, now)
    }

    /// Attempts for this incident of which it is certain that they wrote nothing. They cost no budget, but aren't made
    /// without end either.
    pub fn not_applied(&self, incident: &IncidentId) -> u32 {
        let n = self.of_incident(incident).filter(|action| action.stage == Stage::NotApplied).count();
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// A clock that steps back makes `now` earlier and the count larger, never smaller: stricter (I28). An intent in the
    /// future counts. What surely wrote nothing doesn't.
    fn count_on(
        &self,
        subject: &Subject,
        window: Duration,
        now: Timestamp,
        counts: impl Fn(&PastAction) -> bool,
    ) -> u32 {
        let in_window =
            |action: &&Arc<PastAction>| action.stage != Stage::NotApplied && action.intended_at + window > now;
        let n = self.actions.on(subject).filter(in_window).filter(|action| counts(action)).count();
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// Actions on this subject that have ended.
    pub fn ended<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a PastAction> {
        self.actions.on(subject).map(Arc::as_ref).filter(|action| action.stage.is_end())
    }

    /// Everything that was tried for this incident, oldest first.
    pub fn of_incident<'a>(&'a self, incident: &'a IncidentId) -> impl Iterator<Item = &'a PastAction> {
        self.actions.of_incident(incident).map(Arc::as_ref)
    }

    /// The number of the next attempt for this incident, from 1.
    pub fn next_attempt(&self, incident: &IncidentId) -> u32 {
        self.of_incident(incident).map(|action| action.plan.attempt).max().unwrap_or(0).saturating_add(1)
    }
}
