//! `policies`, `channels`, `kubernetes` and `own_workload`: what may be done, by whom, and who is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use homeostat_announce::Channels;
use homeostat_core::{Mode, Subject};
use homeostat_remediate::{Policy, RegoRules};
use homeostat_settings::Reader;

use super::KubernetesConfig;
use super::policies::{self, PoliciesError};

/// What the config says about remediation.
pub(super) struct Remediation {
    pub(super) policies: Vec<Policy>,
    pub(super) rego: Option<RegoRules>,
    pub(super) policy_files: Vec<PathBuf>,
    pub(super) channels: Channels,
    pub(super) kubernetes: Option<KubernetesConfig>,
    pub(super) own_workload: Option<Subject>,
}

pub(super) fn read(reader: &mut Reader<'_>, base: &Path, mode: Mode, warnings: &mut Vec<String>) -> Remediation {
    let channels = Channels::read(reader);
    let names = reader.texts("policies").unwrap_or_default();
    let policy_files: Vec<PathBuf> = names.iter().map(|name| base.join(name)).collect();
    let (policies, rego) = read_policies(reader, &policy_files, warnings);
    let kubernetes = reader.section("kubernetes", |kubernetes| KubernetesConfig {
        kubeconfig: kubernetes.text("kubeconfig").map(|path| base.join(path)),
        context: kubernetes.text("context"),
        namespace: kubernetes.text("namespace"),
        timeout: kubernetes.duration("timeout").unwrap_or(Duration::from_secs(10)),
        identity_query: kubernetes.text("identity_query"),
        assume_same_cluster: kubernetes.flag("assume_same_cluster").unwrap_or(false),
        facts: kubernetes.flag("facts").unwrap_or(true),
        facts_namespaces: facts_namespaces(kubernetes),
    });
    let policies_place = reader.place_of("policies");
    for objection in policies::objections(&policies, &channels, mode, kubernetes.as_ref()) {
        reader.problem(policies_place, objection);
    }
    if kubernetes.is_some() && !cfg!(feature = "kubernetes") {
        reader.reject("kubernetes", "this homeostat was built without the Kubernetes executor");
    }
    Remediation { policies, rego, policy_files, channels, kubernetes, own_workload: reader.parsed("own_workload") }
}

/// Names that can be part of a path of the API.
fn facts_namespaces(kubernetes: &mut Reader<'_>) -> Vec<String> {
    let namespaces = kubernetes.texts("facts_namespaces").unwrap_or_default();
    let is_name = |name: &str| {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !name.is_empty() && name.len() <= 63 && name.bytes().all(is_letter)
    };
    for wrong in namespaces.iter().filter(|name| !is_name(name)) {
        kubernetes.reject("facts_namespaces", format_args!("invalid namespace {wrong:?}: write names, not patterns"));
    }
    namespaces
}

fn read_policies(
    reader: &mut Reader<'_>,
    files: &[PathBuf],
    warnings: &mut Vec<String>,
) -> (Vec<Policy>, Option<RegoRules>) {
    match policies::read(files) {
        Ok(read) => {
            warnings.extend(read.warnings.iter().map(|warning| format!("policy {warning}")));
            return (read.policies, read.rego);
        }
        Err(PoliciesError::Problems(problems)) => reader.problems().extend(problems),
        Err(error @ (PoliciesError::Unreadable(_) | PoliciesError::Unfit(_))) => reader.reject("policies", error),
    }
    (Vec::new(), None)
}
