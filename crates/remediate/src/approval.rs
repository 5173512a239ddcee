//! A plan that waits for a person, and what the person said (I25).
//!
//! An answer is for one exact plan, named by its digest; it is used at most once, and not after the plan's `apply_before`.

use std::fmt;

use homeostat_core::{IncidentId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::plan::{Plan, Target, VerifySpec};

/// Digits of a digest that name a plan among those that wait: 64 bits, more than anybody can forge by trying.
pub const DIGEST_DIGITS_MIN: usize = 16;

/// What a person says to a proposed plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Do it.
    Approve,
    /// Don't, and don't ask again for this incident.
    Reject,
}

impl Answer {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An answer: who said what to which plan, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The incident.
    pub incident: IncidentId,
    /// The plan's digest, or its first [`DIGEST_DIGITS_MIN`] digits or more.
    pub digest: String,
    /// What is said.
    pub answer: Answer,
    /// Who says so.
    pub by: String,
    /// Why; may be empty.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// A plan as it was shown to people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProposedPlan {
    /// The plan.
    pub plan: Plan,
    /// Exactly what would be sent.
    pub write: String,
}

/// A plan that waits for an answer, or has one.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingPlan {
    /// What was shown.
    pub proposed: ProposedPlan,
    /// What was said last.
    pub answer: Option<Approval>,
}

/// Why an answer doesn't count. Split by what the person does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Nothing waits: look at what was decided.
    #[error("no plan of {0} waits for approval: it was done, refused or replaced; see `homeostat incident show {0}`")]
    NoneWaits(IncidentId),
    /// Another plan waits: look at that one.
    #[error(
        "the plan that waits for approval is another one now (digest {current}); look at it with `homeostat incident show {incident}`"
    )]
    Superseded {
        /// The incident.
        incident: IncidentId,
        /// The digest of the one that waits.
        current: String,
    },
    /// It is too late: wait for the next proposal.
    #[error("the proposal expired at {0}; a new one follows while the incident goes on")]
    Expired(Timestamp),
}

impl PendingPlan {
    /// A plan that nobody has answered yet.
    pub const fn new(proposed: ProposedPlan) -> Self {
        Self { proposed, answer: None }
    }

    /// The plan.
    pub const fn plan(&self) -> &Plan {
        &self.proposed.plan
    }

    /// Whether it may still be approved, and done once it is. A clock that stepped back before the proposal says nothing
    /// about its age: no.
    pub fn is_in_time(&self, now: Timestamp) -> bool {
        let plan = self.plan();
        plan.decided_at <= now && now < plan.apply_before
    }

    /// Whether this answer counts at `now`.
    pub fn check(&self, approval: &Approval, now: Timestamp) -> Result<(), AnswerError> {
        let current = self.plan().digest();
        let names_it = approval.digest.len() >= DIGEST_DIGITS_MIN && current.starts_with(&approval.digest);
        if approval.incident != self.plan().incident || !names_it {
            return Err(AnswerError::Superseded { incident: self.plan().incident.clone(), current });
        }
        match approval.answer {
            Answer::Approve if !self.is_in_time(now) => Err(AnswerError::Expired(self.plan().apply_before)),
            Answer::Approve | Answer::Reject => Ok(()),
        }
    }

    /// The approval, if the last answer is one.
    pub fn approval(&self) -> Option<&Approval> {
        self.answer.as_ref().filter(|answer| answer.answer == Answer::Approve)
    }

    /// The rejection, if the last answer is one.
    pub fn rejection(&self) -> Option<&Approval> {
        self.answer.as_ref().filter(|answer| answer.answer == Answer::Reject)
    }

    /// Whether `plan`, made as of the moment of the proposal, is the one that was shown: the same action with the same values on
    /// the same object in the same desired state. Which signals show the fault, and the version of an object whose desired
    /// state is numbered, may have moved on since.
    pub fn offers(&self, plan: &Plan) -> bool {
        let shown = self.plan();
        let resource_version = match shown.target.generation {
            Some(_) => shown.target.resource_version.clone(),
            None => plan.target.resource_version.clone(),
        };
        let as_shown = Plan {
            target: Target { resource_version, ..plan.target.clone() },
            verify: VerifySpec { features: shown.verify.features.clone(), ..plan.verify.clone() },
            apply_before: shown.apply_before,
            deadline: shown.deadline,
            ..plan.clone()
        };
        &as_shown == shown
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::test_plan::plan;

    const AT: Timestamp = Timestamp::from_secs(1_000);

    fn pending() -> PendingPlan {
        PendingPlan::new(ProposedPlan { plan: plan("cart", AT), write: "{}".into() })
    }

    fn approval(digest: &str, answer: Answer) -> Approval {
        let incident = pending().plan().incident.clone();
        Approval { incident, digest: digest.to_owned(), answer, by: "anna".into(), note: String::new(), at: AT }
    }

    #[test]
    fn an_answer_counts_for_the_very_plan_and_in_time_only() {
        let pending = pending();
        let digest = pending.plan().digest();
        let check = |digest: &str, answer, now| pending.check(&approval(digest, answer), now);
        assert_eq!(check(&digest, Answer::Approve, AT), Ok(()));
        assert_eq!(check(&digest[..DIGEST_DIGITS_MIN], Answer::Approve, AT), Ok(()));
        let superseded = |digest| matches!(check(digest, Answer::Approve, AT), Err(AnswerError::Superseded { .. }));
        assert!(superseded(&digest[..DIGEST_DIGITS_MIN - 1]), "too few digits name nothing");
        assert!(superseded("") && superseded("0000000000000000"));
        let (before, end) = (AT - Duration::from_millis(1), pending.plan().apply_before);
        for late in [before, end] {
            assert_eq!(check(&digest, Answer::Approve, late), Err(AnswerError::Expired(end)), "{late}");
            assert_eq!(check(&digest, Answer::Reject, late), Ok(()), "no is no at any time");
        }
    }

    #[test]
    fn what_changes_the_effect_is_another_plan_and_what_changes_by_itself_is_not() {
        let numbered = |plan: Plan| Plan { target: Target { generation: Some(4), ..plan.target.clone() }, ..plan };
        let shown = numbered(plan("cart", AT));
        let pending = PendingPlan::new(ProposedPlan { plan: shown.clone(), write: "{}".into() });
        let with_target = |target: Target| Plan { target, ..shown.clone() };
        let version = |text: &str| Target { resource_version: text.into(), ..shown.target.clone() };
        let verify = |verify: VerifySpec| Plan { verify, ..shown.clone() };
        assert!(pending.offers(&shown));
        assert!(pending.offers(&with_target(version("99"))), "its status changed");
        assert!(pending.offers(&verify(VerifySpec { features: vec!["latency".into()], ..shown.verify.clone() })));
        let others = [
            with_target(Target { uid: "another".into(), ..shown.target.clone() }),
            with_target(Target { generation: Some(5), ..shown.target.clone() }),
            verify(VerifySpec { replicas_before: 2, ..shown.verify.clone() }),
            Plan { policy: "another".into(), ..shown.clone() },
            Plan { inverse: crate::step::Inverse::Irreversible, ..shown.clone() },
            Plan {
                step: crate::step::Step { args: crate::step::Args::default(), ..shown.step.clone() },
                ..shown.clone()
            },
        ];
        for other in others {
            assert!(!pending.offers(&other), "{other:?}");
        }
        let unnumbered = plan("cart", AT);
        let pending = PendingPlan::new(ProposedPlan { plan: unnumbered.clone(), write: "{}".into() });
        let moved = Target { resource_version: "99".into(), ..unnumbered.target.clone() };
        assert!(!pending.offers(&Plan { target: moved, ..unnumbered }), "nothing else says that it is as it was");
    }
}
