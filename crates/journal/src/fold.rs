//! The ledger as a plain value, without a store under it: what entries come to when they are taken one after the other.

use std::sync::Arc;

use homeostat_core::Timestamp;
use homeostat_remediate::{History, JournalEvent, KillSwitch, PastAction, PlanId, Stage};

use crate::entry::Entry;
use crate::intent::Intent;
use crate::ledger::{CannotFollow, Ledger};
use crate::note::Note;

/// A journal's ledger that can be copied, for checks that follow many courses of events at once. It accepts exactly what a
/// [`Journal`](crate::Journal) accepts. Nothing in it is durable, so it makes no [`Journaled`](crate::Journaled).
///
/// ```
/// use homeostat_core::Timestamp;
/// use homeostat_journal::{Fold, Note};
/// use homeostat_remediate::KillSwitch;
///
/// let before = Fold::default();
/// let mut after = before.clone();
/// let stop = Note::KillSwitch(KillSwitch { engaged: true, why: "a drill".into() });
/// assert_eq!(after.note(&stop, Timestamp::from_secs(60)).ok(), Some(true));
/// assert_eq!(after.note(&stop, Timestamp::from_secs(61)).ok(), Some(false), "it says nothing new");
/// assert!(after.kill_switch().engaged && !before.kill_switch().engaged);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fold {
    ledger: Ledger,
    seq: i64,
}

impl Fold {
    /// Takes an intent.
    ///
    /// # Errors
    /// [`CannotFollow`]: its id is there already, or its subject has an action in flight (I1).
    pub fn record(&mut self, intent: &Intent, at: Timestamp) -> Result<(), CannotFollow> {
        self.take(Entry::Intent(Box::new(intent.clone())), at).map(|_| ())
    }

    /// Takes the next event of an action and says what stage that leads to.
    ///
    /// # Errors
    /// [`CannotFollow`]: the plan has no intent, or the event can't follow in its stage.
    pub fn append(&mut self, plan: &PlanId, event: &JournalEvent, at: Timestamp) -> Result<Stage, CannotFollow> {
        self.take(Entry::Step { plan: plan.clone(), event: event.clone() }, at)?;
        let action = self.ledger.action(plan).map(|action| action.stage);
        action.ok_or_else(|| CannotFollow(format!("{plan} has no intent")))
    }

    /// Takes anything else. `Ok(false)`: it says nothing new.
    ///
    /// # Errors
    /// [`CannotFollow`]: it is about something that isn't there.
    pub fn note(&mut self, note: &Note, at: Timestamp) -> Result<bool, CannotFollow> {
        self.take(Entry::of_note(note, None).map_err(CannotFollow)?, at)
    }

    fn take(&mut self, entry: Entry, at: Timestamp) -> Result<bool, CannotFollow> {
        if !self.ledger.accepts(&entry, at)? {
            return Ok(false);
        }
        self.seq += 1;
        self.ledger.take(entry, self.seq, at).map(|()| true)
    }

    /// What was done before, as deciding needs it.
    pub fn history(&self) -> History {
        self.ledger.history()
    }

    /// One action.
    pub fn action(&self, plan: &PlanId) -> Option<&Arc<PastAction>> {
        self.ledger.action(plan)
    }

    /// Actions that haven't ended, oldest first.
    pub fn in_flight(&self) -> impl Iterator<Item = &Arc<PastAction>> {
        self.ledger.in_flight()
    }

    /// The kill switch as last noted; off if it never was.
    pub fn kill_switch(&self) -> KillSwitch {
        self.ledger.kill_switch()
    }
}
