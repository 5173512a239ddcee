//! `policies`, `channels`, `kubernetes` and `own_workload`: what may be done, by whom, and who is told.

use std::path::Path;
use std::time::Duration;

use homeostat_announce::Channels;
use homeostat_core::{Mode, Subject};
use homeostat_remediate::{Policy, lint, load_policies, overlap};
use homeostat_settings::Reader;

use super::KubernetesConfig;
use crate::witness::IDENTITY_QUERY_DEFAULT;

/// What the config says about remediation.
pub(super) struct Remediation {
    pub(super) policies: Vec<Policy>,
    pub(super) channels: Channels,
    pub(super) kubernetes: Option<KubernetesConfig>,
    pub(super) own_workload: Option<Subject>,
}

pub(super) fn read(reader: &mut Reader<'_>, base: &Path, mode: Mode, warnings: &mut Vec<String>) -> Remediation {
    let channels = Channels::read(reader);
    let policies = read_policies(reader, base, warnings);
    let kubernetes = reader.section("kubernetes", |kubernetes| KubernetesConfig {
        kubeconfig: kubernetes.text("kubeconfig").map(|path| base.join(path)),
        context: kubernetes.text("context"),
        namespace: kubernetes.text("namespace"),
        timeout: kubernetes.duration("timeout").unwrap_or(Duration::from_secs(10)),
        identity_query: kubernetes.text("identity_query").unwrap_or_else(|| IDENTITY_QUERY_DEFAULT.to_owned()),
        assume_same_cluster: kubernetes.flag("assume_same_cluster").unwrap_or(false),
    });
    let policies_place = reader.place_of("policies");
    for policy in &policies {
        if let Some(objection) =
            policy.escalation_channel.as_deref().and_then(|name| channels.objection_to_escalations(name))
        {
            reader.problem(policies_place, format!("policy {}: escalation_channel: {objection}", policy.name));
        }
        if mode == Mode::Execute && policy.auto_execute && kubernetes.is_none() {
            let message =
                format!("policy {} executes, but there is no `kubernetes` section to execute with", policy.name);
            reader.problem(policies_place, message);
        }
    }
    if kubernetes.is_some() && !cfg!(feature = "kubernetes") {
        reader.reject("kubernetes", "this homeostat was built without the Kubernetes executor");
    }
    Remediation { policies, channels, kubernetes, own_workload: reader.parsed("own_workload") }
}

fn read_policies(reader: &mut Reader<'_>, base: &Path, warnings: &mut Vec<String>) -> Vec<Policy> {
    let actions = homeostat_execute::actions();
    let mut policies = Vec::new();
    for name in reader.texts("policies").unwrap_or_default() {
        let path = base.join(&name);
        let file = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => match load_policies(&text, &file, &actions) {
                Ok(loaded) => {
                    for policy in &loaded {
                        if let Some(overlap) = policies.iter().find_map(|earlier| overlap(earlier, policy)) {
                            reader.reject("policies", format_args!("{file}: {overlap}"));
                        }
                    }
                    warnings.extend(lint(&loaded, &actions).into_iter().map(|warning| format!("{file}: {warning}")));
                    policies.extend(loaded);
                }
                Err(problems) => reader.problems().extend(problems),
            },
            Err(error) => reader.reject("policies", format_args!("{file} can't be read: {error}")),
        }
    }
    policies
}
