//! What may be done about incidents: policy, guardrails, decide, stages, verification. Pure: `now` is an argument.
//!
//! The path is one way: an incident meets a [`Policy`], which proposes; the target is inspected; [`decide`](decide())
//! says execute, propose or refuse; and after the action the very signals that opened the incident say whether it helped
//! ([`verify`](verify())). The crate `homeostat-journal` writes down, `homeostat-execute` acts.

mod action;
mod approval;
mod decide;
mod decision_context;
mod decision_record;
mod dry_run;
mod escalation;
mod git_file;
mod guardrails;
mod history;
mod inspect_error;
mod inspected;
mod kill_switch;
mod known;
mod levels;
mod limits;
mod manifest_field;
mod newest_rows;
mod object_ref;
mod objection;
mod observation;
mod past_action;
mod past_actions;
mod payload_error;
mod plan;
mod policy;
mod progress;
mod quota;
mod read_json;
mod rego;
mod release;
mod same_cluster;
mod seen_pod;
mod stage;
mod step;
#[cfg(test)]
mod test_actions;
#[cfg(test)]
mod test_plan;
mod track_record;
mod verify;

pub use approval::{Answer, AnswerError, Approval, DIGEST_DIGITS_MIN, PendingPlan, ProposedPlan};
/// What an action reads its part of a policy with, and what is found wrong with it.
pub use homeostat_settings::{Findings, Reader};

pub use action::{Action, ActionSpec, Actions, Ask, Right, WorksWhile};
pub use decide::{Decision, decide};
pub use decision_context::{Asked, DecisionContext, Environment, Proposal, features, n_going_on};
pub use decision_record::{DecisionOutcome, DecisionRecord, Reason};
pub use dry_run::DryRun;
pub use escalation::Escalation;
pub use git_file::GitFile;
pub use guardrails::{GUARDRAILS, Guardrail, Needs};
pub use history::{History, Storm};
pub use inspect_error::InspectError;
pub use inspected::{
    Autoscaler, Disruption, DisruptionBudget, Fact, Inspected, Marker, Owner, PreviousRevision, SeenObject,
    TemplateChange,
};
pub use kill_switch::KillSwitch;
pub use known::Known;
pub use levels::{Level, Levels, levels};
pub use limits::{ACTIONS_IN_FLIGHT_MAX, NotALimit, SafetyLimits};
pub use manifest_field::{FieldPath, ManifestEdit, edit_manifest};
pub use newest_rows::NewestRows;
pub use object_ref::{OBJECT, ObjectKind, ObjectRef, desired_state};
pub use objection::{NextStep, Objection, Then};
pub use observation::{Observation, RowScore};
pub use past_action::{LOOK_BACK_MAX, PastAction, Restore};
pub use past_actions::PastActions;
pub use payload_error::PayloadError;
pub use plan::{Plan, PlanId, Target, VerifySpec};
pub use policy::{
    ATTEMPTS_WINDOW_MIN, ActionBudget, AllowedHours, ApprovalRule, Freeze, IfFailed, MAX_ATTEMPTS_MAX, NotATimeOfDay,
    OUTCOMES_MIN_DEFAULT, Policy, PolicyAction, PolicyCalendar, PolicySet, Scope, TimeOfDay, explain, lint,
    lint_confidence, lint_metrics, load_policies, policy_for, read_policies,
};
pub use progress::Progress;
pub use quota::QuotaLimit;
pub use read_json::read_json;
pub use rego::{RegoFile, RegoRules};
pub use release::{Release, ReleaseRevision};
pub use same_cluster::SameCluster;
pub use seen_pod::{Failing, SeenPod, worst_failing};
pub use stage::{IllegalEvent, JournalEvent, Stage};
pub use step::{ActionName, Args, Inverse, Recovery, Repeat, Step};
pub use track_record::track_record;
pub use verify::{Verdict, VerifyInput, verify};
