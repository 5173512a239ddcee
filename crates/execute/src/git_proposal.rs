//! What a plan proposes in git: its branch, its commit's message and its pull request. A pure function of the plan.

use homeostat_remediate::{FieldPath, Plan, Step, edit_manifest};
use serde_json::{Value, json};

use crate::forge::{Forge, PullRequest};
use crate::outside;

/// Digits of the plan's digest in the branch's name: it tells two plans of one name apart, as after an approval of another version.
const DIGEST_DIGITS: usize = 8;

/// A step of the action `git-change`, read.
pub(crate) struct Proposal<'a> {
    plan: &'a Plan,
    step: &'a Step,
    field: FieldPath,
    to: &'a Value,
    /// The branch to push.
    pub(crate) branch: String,
    title: String,
    text: String,
}

impl<'a> Proposal<'a> {
    pub(crate) fn of(plan: &'a Plan, step: &'a Step) -> Result<Self, String> {
        let value = |name: &str| step.args.get(name).ok_or_else(|| format!("it doesn't say its {name}"));
        let text = |name: &str| step.args.text(name).ok_or_else(|| format!("it doesn't say its {name}"));
        let field: FieldPath = text("field")?.parse()?;
        let (from, to) = (value("from")?, value("to")?);
        let digest = plan.digest();
        let branch = format!("homeostat/{}-{}", plan.id, digest.get(..DIGEST_DIGITS).unwrap_or_default());
        let (kind, name) = (text("kind")?, text("name")?);
        let title = format!("{kind} {}/{name}: {field} from {from} to {to}", plan.target.subject.namespace);
        let message = format!(
            "homeostat proposes this because of an incident of the type {}: {} keeps the {kind} from this repository,\n\
             so it isn't changed in the cluster.\n\n\
             Incident: {}\nPolicy: {}\nPlan: {}\nPlan-Digest: {digest}\nTarget-UID: {}\nCorrelation: {}\n",
            plan.incident_type,
            text("owner")?,
            plan.incident,
            plan.policy,
            plan.id,
            plan.target.uid,
            plan.correlation,
        );
        Ok(Self { plan, step, field, to, branch, title, text: message })
    }

    /// The commit's message.
    pub(crate) fn message(&self) -> String {
        format!("{}\n\n{}", self.title, self.text)
    }

    fn arg(&self, name: &str) -> &'a str {
        self.step.args.text(name).unwrap_or_default()
    }

    /// The id of the content that was decided on.
    pub(crate) fn blob(&self) -> &'a str {
        self.arg("blob")
    }

    /// The field that is changed, and to what.
    pub(crate) fn change(&self) -> (&FieldPath, &'a Value) {
        (&self.field, self.to)
    }

    /// The file's content with the change.
    pub(crate) fn edit(&self, text: &str) -> Result<String, String> {
        let edit = edit_manifest(text, self.arg("kind"), self.arg("name"), &self.field, self.to)?;
        Ok(edit.text)
    }

    /// The pull request, where the policy wants one.
    pub(crate) fn pull_request(&self) -> Option<PullRequest<'_>> {
        let request = self.step.args.get("pull_request")?;
        let (forge, url) = Forge::ALL.into_iter().find_map(|(name, forge)| Some((forge, request[name].as_str()?)))?;
        Some(PullRequest {
            forge,
            url,
            token_file: request["token_file"].as_str()?,
            branch: &self.branch,
            base: self.arg("branch"),
            title: &self.title,
            text: &self.text,
        })
    }

    /// All that will be sent, for the journal and for who approves it.
    pub(crate) fn payload(&self) -> Value {
        json!({
            "remote": self.arg("remote"),
            "base": { "branch": self.arg("branch"), "commit": self.arg("commit") },
            "branch": self.branch,
            "file": self.arg("file"),
            "line": self.step.args.get("line"),
            "diff": [format!("-{}", self.arg("line_before")), format!("+{}", self.arg("line_after"))],
            "message": self.message(),
            "pull_request": self.pull_request().map(|request| request.payload()),
            "for": outside::about(self.plan),
        })
    }
}
