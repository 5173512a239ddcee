//! What a policy does, one action after the other.

use crate::step::{ActionName, Args};

/// An action that a policy wants, with the action's own part of the policy, and what follows when it doesn't help.
///
/// ```
/// use homeostat_remediate::{ActionName, Args, IfFailed, PolicyAction};
///
/// let action = |name| PolicyAction::new(ActionName::new(name), Args::default());
/// let undo = PolicyAction { if_failed: IfFailed::Escalate, ..action("rollout-undo") };
/// let ladder = PolicyAction { if_failed: IfFailed::Next(Box::new(undo)), ..action("rollout-restart") };
/// let name = |n_tried| ladder.after(n_tried).map(|action| action.name.as_str());
/// assert_eq!([name(0), name(1), name(2)], [Some("rollout-restart"), Some("rollout-undo"), None]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyAction {
    /// Its name.
    pub name: ActionName,
    /// What the policy says about how.
    pub args: Args,
    /// What is done when it was tried and didn't help.
    pub if_failed: IfFailed,
}

/// What is done when an action was tried and didn't help. `max_attempts` holds in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfFailed {
    /// The same again.
    #[default]
    Again,
    /// The next step of the ladder.
    Next(Box<PolicyAction>),
    /// Nothing more: a human is called.
    Escalate,
}

impl PolicyAction {
    /// An action that is tried again when it doesn't help.
    pub fn new(name: ActionName, args: Args) -> Self {
        Self { name, args, if_failed: IfFailed::Again }
    }

    /// Actions one after the other, and then a human; nothing without an action.
    pub fn ladder(actions: impl DoubleEndedIterator<Item = PolicyAction>) -> Option<Self> {
        actions.rev().fold(None, |next: Option<Self>, action| {
            let if_failed = next.map_or(IfFailed::Escalate, |next| IfFailed::Next(Box::new(next)));
            Some(Self { if_failed, ..action })
        })
    }

    /// What is done after so many attempts that didn't help; nothing where the ladder has ended.
    pub fn after(&self, n_tried: u32) -> Option<&PolicyAction> {
        let mut action = self;
        for _ in 0..n_tried {
            match &action.if_failed {
                IfFailed::Again => return Some(action),
                IfFailed::Next(next) => action = next,
                IfFailed::Escalate => return None,
            }
        }
        Some(action)
    }

    /// This action and those that follow it, each once.
    pub fn steps(&self) -> impl Iterator<Item = &PolicyAction> {
        std::iter::successors(Some(self), |action| match &action.if_failed {
            IfFailed::Next(next) => Some(next.as_ref()),
            IfFailed::Again | IfFailed::Escalate => None,
        })
    }
}
