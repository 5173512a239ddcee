//! The actions, one file each. To add one: its file, its `mod` line, and its line in [`ACTIONS`].

mod cache_purge;
mod command;
#[cfg(test)]
mod fake;
mod feature_flag;
mod restart;
mod undo;
mod webhook;

use homeostat_remediate::{Action, Actions};

#[cfg(test)]
pub(crate) use self::restart::Restart;

use crate::effect::Effect;

/// Every action, in the order in which messages name them.
pub(crate) static ACTIONS: &[&dyn Effect] = &[
    &restart::Restart,
    &undo::Undo,
    &webhook::Webhook,
    &command::Command,
    &cache_purge::CachePurge,
    &feature_flag::FeatureFlag,
    #[cfg(test)]
    &fake::Fake,
];

/// What can be done, without the doing: for reading policies and for deciding.
pub fn actions() -> Actions {
    ACTIONS.iter().map(|action| *action as &'static dyn Action).collect()
}

#[cfg(test)]
mod tests;
