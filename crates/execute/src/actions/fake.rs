//! An action for tests: what registering one takes. It acts on nothing but its own memory, and may be sent only once.

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp, WorkloadKind};
use homeostat_journal::Journaled;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, InspectError, Inspected, Inverse, Objection, PayloadError, Plan,
    Progress, Recovery, Repeat, Right, Step,
};

use crate::effect::Effect;
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::places::Places;

const NAME: ActionName = ActionName::new("fake");

pub(super) struct Fake;

impl Action for Fake {
    fn spec(&self) -> &'static ActionSpec {
        static SPEC: ActionSpec = ActionSpec {
            name: NAME,
            targets: &[WorkloadKind::External],
            default_for: &[],
            repeat: Repeat::AtMostOnce,
            recovery: Recovery::SignalsOnly,
            rights: &[Right { verb: "call", resource: "fakes", group: "" }],
        };
        &SPEC
    }

    fn step(&self, ask: &Ask<'_>, _: &Inspected) -> Result<(Step, Inverse), Objection> {
        let args = Args::default().with("at", ask.now.to_string());
        Ok((Step { action: NAME, args }, Inverse::Irreversible))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let at = step.args.text("at").ok_or_else(|| PayloadError("it has no moment".to_owned()))?;
        Ok(format!("{} {} at {at}", plan.id, plan.target.uid))
    }
}

#[async_trait]
impl Effect for Fake {
    async fn inspect(&self, _: &Places, subject: &Subject, _: Timestamp) -> Result<Inspected, InspectError> {
        Err(InspectError::NotFound { subject: subject.clone() })
    }

    async fn outcome_of_write(&self, _: &Places, _: &Plan) -> Result<WriteOutcome, InspectError> {
        Ok(WriteOutcome::AppliedByUs)
    }

    async fn apply(&self, _: &Places, plan: &Journaled, _: &str) -> Result<Applied, ApplyError> {
        Ok(Applied { resource_version: plan.plan().id.to_string(), altered: None })
    }

    async fn undo(&self, _: &Places, _: &Journaled, _: &Step) -> Result<Applied, ApplyError> {
        Err(ApplyError::Rejected { why: "a fake can't be taken back".to_owned() })
    }

    async fn progress(&self, _: &Places, _: &Plan) -> Result<Progress, InspectError> {
        Ok(Progress::Complete { wanted: 0 })
    }
}
