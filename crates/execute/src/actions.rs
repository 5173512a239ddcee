//! The actions, one file each. To add one: its file, its `mod` line, and its line in [`ACTIONS`].

#[cfg(test)]
mod fake;
mod restart;
mod scale;
mod undo;
mod update_strategy;

use homeostat_remediate::{Action, Actions};

use crate::effect::Effect;

/// Every action, in the order in which messages name them.
pub(crate) static ACTIONS: &[&dyn Effect] = &[
    &restart::Restart,
    &undo::Undo,
    &scale::Scale,
    #[cfg(test)]
    &fake::Fake,
];

/// What can be done, without the doing: for reading policies and for deciding.
pub fn actions() -> Actions {
    ACTIONS.iter().map(|action| *action as &'static dyn Action).collect()
}

#[cfg(test)]
mod tests;
