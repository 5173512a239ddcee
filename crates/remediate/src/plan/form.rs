//! A plan as any version of homeostat wrote it. Version 0.1 wrote the action's and the inverse's values beside the plan's
//! own: `"action": "rollout-undo", "to_revision": "6", "inverse": "rollout-undo", "inverse_to_revision": "7"`.

use homeostat_core::{CorrelationId, IncidentId, IncidentType, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::{Plan, PlanId, Target, VerifySpec};
use crate::step::{ActionName, Args, Inverse, Repeat, Step};

/// What is in the journal.
#[derive(Deserialize)]
pub(crate) struct PlanForm {
    id: PlanId,
    incident: IncidentId,
    correlation: CorrelationId,
    #[serde(rename = "type")]
    incident_type: IncidentType,
    policy: String,
    attempt: u32,
    target: Target,
    action: ActionName,
    args: Option<Args>,
    restarted_at: Option<Value>,
    to_revision: Option<Value>,
    inverse: InverseForm,
    inverse_to_revision: Option<Value>,
    undo_if_failed: bool,
    #[serde(default)]
    repeat: Repeat,
    verify: VerifySpec,
    decided_at: Timestamp,
    apply_before: Timestamp,
    deadline: Timestamp,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum InverseForm {
    Written(Inverse),
    Old(OldInverse),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OldInverse {
    NothingToUndo,
    RolloutUndo,
}

impl From<PlanForm> for Plan {
    fn from(form: PlanForm) -> Self {
        let old_args = || {
            let values = [("restarted_at", form.restarted_at), ("to_revision", form.to_revision)];
            values.into_iter().filter_map(|(name, value)| Some((name, value?))).fold(Args::default(), with)
        };
        let inverse = match form.inverse {
            InverseForm::Written(inverse) => inverse,
            InverseForm::Old(OldInverse::NothingToUndo) => Inverse::Nothing,
            InverseForm::Old(OldInverse::RolloutUndo) => Inverse::Step(Step {
                action: ActionName::new("rollout-undo"),
                args: form
                    .inverse_to_revision
                    .into_iter()
                    .fold(Args::default(), |args, to| with(args, ("to_revision", to))),
            }),
        };
        Self {
            id: form.id,
            incident: form.incident,
            correlation: form.correlation,
            incident_type: form.incident_type,
            policy: form.policy,
            attempt: form.attempt,
            target: form.target,
            step: Step { action: form.action, args: form.args.unwrap_or_else(old_args) },
            inverse,
            undo_if_failed: form.undo_if_failed,
            repeat: form.repeat,
            verify: form.verify,
            decided_at: form.decided_at,
            apply_before: form.apply_before,
            deadline: form.deadline,
        }
    }
}

fn with(args: Args, (name, value): (&str, Value)) -> Args {
    args.with(name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As homeostat 0.1 journaled it.
    const OLD: &str = r#"{"id":"act-0f","incident":"inc-1","correlation":"cor-1","type":"bad-deployment","policy":"undo",
        "attempt":1,"target":{"subject":"shop/deployment/cart","uid":"u","resource_version":"1"},"action":"rollout-undo",
        "to_revision":"6","inverse":"rollout-undo","inverse_to_revision":"7","undo_if_failed":true,
        "verify":{"features":["errors"],"window":"5m","settle":"1m","fresh_points_min":3,"traffic_floor":0.5,
        "replicas_before":3},"decided_at":"2026-01-31T12:00:00Z","apply_before":"2026-01-31T12:02:00Z",
        "deadline":"2026-01-31T12:20:00Z"}"#;

    #[test]
    fn a_plan_of_an_old_journal_is_read_as_the_same_plan_in_todays_form() {
        let plan: Plan = serde_json::from_str(OLD).unwrap();
        let undo =
            |to: &str| Step { action: ActionName::new("rollout-undo"), args: Args::default().with("to_revision", to) };
        assert_eq!((&plan.step, &plan.inverse), (&undo("6"), &Inverse::Step(undo("7"))));
        let restart = OLD
            .replace(
                r#""action":"rollout-undo","#,
                r#""action":"rollout-restart","restarted_at":"2026-01-31T12:00:00Z","#,
            )
            .replace(
                r#""to_revision":"6","inverse":"rollout-undo","inverse_to_revision":"7""#,
                r#""inverse":"nothing-to-undo""#,
            );
        let restart: Plan = serde_json::from_str(&restart).unwrap();
        assert_eq!(restart.step.args, Args::default().with("restarted_at", "2026-01-31T12:00:00Z"));
        assert_eq!(restart.inverse, Inverse::Nothing);
        for plan in [plan, restart] {
            let json = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "{json}");
        }
    }

    #[test]
    fn an_inverse_that_nobody_ever_wrote_is_an_error_not_nothing() {
        let text = OLD.replace(r#""inverse":"rollout-undo""#, r#""inverse":"pray""#);
        assert!(serde_json::from_str::<Plan>(&text).is_err());
    }
}
