//! One action that was begun, and where it stands.

use std::time::Duration;

use homeostat_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::levels::Levels;
use crate::plan::Plan;
use crate::stage::{JournalEvent, Stage};
use crate::step::Inverse;

/// The longest window that budgets and cooldowns may look back. History is kept this long; a policy that wants more is
/// refused when it is loaded, for its budget couldn't be counted.
pub const LOOK_BACK_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// How far giving back has come of what an action only lent; it begins after the action's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restore {
    /// Nothing has been sent for it.
    #[default]
    Pending,
    /// It is being sent, or was and nobody knows.
    Started,
    /// It is given back, or won't be.
    Over,
}

/// One action, from its intent on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastAction {
    /// The plan.
    pub plan: Plan,
    /// When its intent was journaled. Attempts are counted by it, so that a crash can't lose one (I3).
    pub intended_at: Timestamp,
    /// Where it stands.
    pub stage: Stage,
    /// When it came to this stage.
    pub stage_at: Timestamp,
    /// When the write was accepted, if it was.
    pub applied_at: Option<Timestamp>,
    /// Why it is in this stage, where the journal says so.
    pub why: Option<String>,
    /// Why the same write would be refused again, if the cluster, or an admission check, refused or changed it.
    #[serde(default)]
    pub refused: Option<String>,
    /// Requests a second before the action.
    pub traffic_before: Option<f64>,
    /// How far its signals were from normal before the action; nothing of actions of older versions.
    #[serde(default)]
    pub levels_before: Levels,
    /// How far giving back has come, where something was lent.
    #[serde(default)]
    pub restore: Restore,
}

impl PastAction {
    /// An action whose intent was just journaled.
    pub fn intended(plan: Plan, at: Timestamp) -> Self {
        Self {
            plan,
            intended_at: at,
            stage: Stage::Planned,
            stage_at: at,
            applied_at: None,
            why: None,
            refused: None,
            traffic_before: None,
            levels_before: Levels::new(),
            restore: Restore::Pending,
        }
    }

    /// Goes to the next stage.
    pub fn step(&mut self, event: &JournalEvent, at: Timestamp) -> Result<(), crate::stage::IllegalEvent> {
        self.stage = self.stage.next(event, self.plan.repeat)?;
        if let Some(restore) = restore_after(event) {
            self.restore = restore;
            // When it ended, and why, stays as it was.
            return Ok(());
        }
        self.stage_at = at;
        if matches!(event, JournalEvent::Applied { .. }) {
            self.applied_at = Some(at);
        }
        if let Some(why) = event.why() {
            self.why = Some(why.to_owned());
        }
        match event {
            JournalEvent::NotApplied { why, refused: true } | JournalEvent::Applied { altered: Some(why), .. } => {
                self.refused = Some(why.clone());
            }
            JournalEvent::NotApplied { refused: false, .. }
            | JournalEvent::Applied { altered: None, .. }
            | JournalEvent::ApplyStarted
            | JournalEvent::Recovered
            | JournalEvent::NotRecovered { .. }
            | JournalEvent::OutcomeUnknown { .. }
            | JournalEvent::Overridden { .. }
            | JournalEvent::UndoStarted
            | JournalEvent::UndoApplied { .. }
            | JournalEvent::Undone
            | JournalEvent::Stuck { .. }
            | JournalEvent::RestoreStarted
            | JournalEvent::Restored
            | JournalEvent::NotRestored { .. } => {}
        }
        Ok(())
    }

    /// Whether budgets, cooldowns, or carrying it on may still ask for it at `now`.
    pub fn counts_at(&self, now: Timestamp) -> bool {
        !self.stage.is_end() || self.intended_at + LOOK_BACK_MAX > now || self.stage_at + LOOK_BACK_MAX > now
    }

    /// Whether what it lent is to be given back at `now`: it may be in force, and its time is over.
    pub fn is_to_restore(&self, now: Timestamp) -> bool {
        let may_be_in_force = match self.stage {
            Stage::Recovered | Stage::NotRecovered | Stage::Unknown => true,
            // In flight it is still watched; and the other ends wrote nothing, took it back, or left it to a person.
            Stage::Planned
            | Stage::Applying
            | Stage::Verifying
            | Stage::UndoDue
            | Stage::Undoing
            | Stage::Settling
            | Stage::NotApplied
            | Stage::Overridden
            | Stage::Undone
            | Stage::Stuck => false,
        };
        match &self.plan.inverse {
            Inverse::Temporary { until, .. } => may_be_in_force && *until <= now && self.restore != Restore::Over,
            Inverse::Nothing | Inverse::Irreversible | Inverse::Step(_) => false,
        }
    }

    /// One line for people: what was tried and what came of it.
    pub fn summary(&self) -> String {
        let why = self.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        format!(
            "{} {} attempt {}: {} of {}, {}{why}",
            self.intended_at,
            self.plan.id,
            self.plan.attempt,
            self.plan.step.action,
            self.plan.target.subject,
            self.stage
        )
    }
}

fn restore_after(event: &JournalEvent) -> Option<Restore> {
    match event {
        JournalEvent::RestoreStarted => Some(Restore::Started),
        JournalEvent::Restored | JournalEvent::NotRestored { .. } => Some(Restore::Over),
        JournalEvent::ApplyStarted
        | JournalEvent::Applied { .. }
        | JournalEvent::NotApplied { .. }
        | JournalEvent::Recovered
        | JournalEvent::NotRecovered { .. }
        | JournalEvent::OutcomeUnknown { .. }
        | JournalEvent::Overridden { .. }
        | JournalEvent::UndoStarted
        | JournalEvent::UndoApplied { .. }
        | JournalEvent::Undone
        | JournalEvent::Stuck { .. } => None,
    }
}
