//! When a policy that may execute asks a human all the same.

use std::collections::BTreeSet;

use homeostat_core::Confidence;

use crate::step::ActionName;

/// What a policy with `auto_execute: true` still asks a human about. The default asks about nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApprovalRule {
    /// Incidents whose confidence has a lower bound below this.
    pub below_confidence: Option<Confidence>,
    /// These actions.
    pub for_actions: BTreeSet<ActionName>,
}
