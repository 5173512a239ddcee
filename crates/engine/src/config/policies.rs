//! The policy files: read together, and checked against the rest of the config.

use std::path::{Path, PathBuf};

use homeostat_announce::Channels;
use homeostat_core::Mode;
use homeostat_remediate::{Actions, Policy, PolicyAction, PolicySet, RegoFile, RegoRules, lint};
use homeostat_settings::{Findings, Problem};

use super::{Config, KubernetesConfig};

/// Policies as their files have them.
pub(crate) struct PoliciesRead {
    pub(crate) policies: Vec<Policy>,
    /// The rules in Rego, where there are some.
    pub(crate) rego: Option<RegoRules>,
    /// What is legal but unwise, each with its policy's name.
    pub(crate) warnings: Vec<String>,
}

/// Why the policies can't be in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PoliciesError {
    /// Something is wrong in the files: every problem.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
    /// A file can't be read.
    #[error("{0}")]
    Unreadable(String),
    /// They don't fit the rest of the config: every reason.
    #[error("{}", .0.join("\n"))]
    Unfit(Vec<String>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// How the name of a file with rules in Rego ends; every other file has policies.
const REGO_EXTENSION: &str = "rego";

/// Reads all of these files.
pub(crate) fn read(files: &[PathBuf]) -> Result<PoliciesRead, PoliciesError> {
    let actions = homeostat_execute::actions();
    let (mut set, mut findings) = (PolicySet::default(), Findings::new());
    let mut rules = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text = text_of(path).map_err(PoliciesError::Unreadable)?;
        if path.extension().is_some_and(|extension| extension == REGO_EXTENSION) {
            rules.push(RegoFile { name, text });
        } else {
            set.read(&text, &name, &actions, &mut findings);
        }
    }
    let rego = RegoRules::read(&rules, &mut findings);
    if !findings.is_empty() {
        return Err(PoliciesError::Problems(findings.into_problems()));
    }
    let policies = set.into_policies();
    let warnings = lint(&policies, &actions);
    Ok(PoliciesRead { policies, rego, warnings })
}

fn text_of(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
}

/// What speaks against these policies beside this config.
pub(super) fn objections(
    policies: &[Policy],
    channels: &Channels,
    mode: Mode,
    kubernetes: Option<&KubernetesConfig>,
) -> Vec<String> {
    let actions = homeostat_execute::actions();
    let mut found = Vec::new();
    for policy in policies {
        if let Some(objection) =
            policy.escalation_channel.as_deref().and_then(|name| channels.objection_to_escalations(name))
        {
            found.push(format!("policy {}: escalation_channel: {objection}", policy.name));
        }
        if mode == Mode::Execute && policy.may_execute() && kubernetes.is_none() && needs_cluster(policy, &actions) {
            found
                .push(format!("policy {} executes, but there is no `kubernetes` section to execute with", policy.name));
        }
    }
    found
}

/// Whether doing what the policy says takes a cluster.
fn needs_cluster(policy: &Policy, actions: &Actions) -> bool {
    let needs =
        |wanted: &PolicyAction| actions.get(&wanted.name).is_some_and(|action| !action.spec().rights.is_empty());
    policy.actions().any(needs)
}

impl Config {
    /// Reads policy files again. The rest of the config stays as it is in force.
    pub(crate) fn read_policies_of(
        &self,
        files: &[PathBuf],
        channels: &Channels,
        mode: Mode,
    ) -> Result<PoliciesRead, PoliciesError> {
        let read = read(files)?;
        let objections = objections(&read.policies, channels, mode, self.kubernetes.as_ref());
        if objections.is_empty() { Ok(read) } else { Err(PoliciesError::Unfit(objections)) }
    }
}
