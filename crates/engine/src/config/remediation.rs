//! `policies`, `channels`, `kubernetes` and `own_workload`: what may be done, by whom, and who is told.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use homeostat_announce::{ChannelSpec, SecretUrl};
use homeostat_core::{Mode, Subject};
use homeostat_remediate::{Policy, lint, load_policies};
use homeostat_settings::{Reader, Value};

use super::KubernetesConfig;

/// Where calls for a human go unless a policy says otherwise; it exists without being configured.
pub(crate) const DEFAULT_CHANNEL: &str = "log";
/// How long one attempt at a webhook may take.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the config says about remediation.
pub(super) struct Remediation {
    pub(super) policies: Vec<Policy>,
    pub(super) channels: BTreeMap<String, ChannelSpec>,
    pub(super) kubernetes: Option<KubernetesConfig>,
    pub(super) own_workload: Option<Subject>,
}

pub(super) fn read(reader: &mut Reader<'_>, base: &Path, mode: Mode, warnings: &mut Vec<String>) -> Remediation {
    let channels = read_channels(reader);
    let policies = read_policies(reader, base, warnings);
    let kubernetes = reader.section("kubernetes", |kubernetes| KubernetesConfig {
        kubeconfig: kubernetes.text("kubeconfig").map(|path| base.join(path)),
        context: kubernetes.text("context"),
        timeout: kubernetes.duration("timeout").unwrap_or(Duration::from_secs(10)),
    });
    let policies_place = reader.place_of("policies");
    for policy in &policies {
        if let Some(channel) = &policy.escalation_channel
            && !channels.contains_key(channel)
        {
            let message = format!(
                "policy {}: escalation_channel {channel:?} isn't configured; add it under `channels`, for instance `{channel}: {{type: log}}`",
                policy.name
            );
            reader.problem(policies_place, message);
        }
        if mode == Mode::Execute && policy.auto_execute && kubernetes.is_none() {
            let message =
                format!("policy {} executes, but there is no `kubernetes` section to execute with", policy.name);
            reader.problem(policies_place, message);
        }
        #[cfg(feature = "kubernetes")]
        if let Some(action) = policy.action
            && policy.auto_execute
            && !homeostat_remediate::KubernetesExecutor::can_do(action)
        {
            let message = format!(
                "policy {}: {action} can't be executed by the Kubernetes executor yet; set auto_execute: false to have it proposed",
                policy.name
            );
            reader.problem(policies_place, message);
        }
    }
    if kubernetes.is_some() && !cfg!(feature = "kubernetes") {
        reader.reject("kubernetes", "this homeostat was built without the Kubernetes executor");
    }
    Remediation { policies, channels, kubernetes, own_workload: reader.parsed("own_workload") }
}

fn read_policies(reader: &mut Reader<'_>, base: &Path, warnings: &mut Vec<String>) -> Vec<Policy> {
    let mut policies = Vec::new();
    for name in reader.texts("policies").unwrap_or_default() {
        let path = base.join(&name);
        let file = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => match load_policies(&text, &file) {
                Ok(loaded) => {
                    warnings.extend(lint(&loaded).into_iter().map(|warning| format!("{file}: {warning}")));
                    policies.extend(loaded);
                }
                Err(problems) => reader.problems().extend(problems),
            },
            Err(error) => reader.reject("policies", format_args!("{file} can't be read: {error}")),
        }
    }
    policies
}

fn read_channels(reader: &mut Reader<'_>) -> BTreeMap<String, ChannelSpec> {
    let file = reader.file();
    let mut channels = BTreeMap::new();
    for (name, _, node) in reader.named("channels") {
        let mut entry = Reader::new(file, &format!("channels.{name}"), node, reader.problems());
        if let Some(channel) = read_channel(&mut entry) {
            channels.insert(name.clone(), channel);
        }
        entry.finish();
    }
    // Calls for a human that no policy sends elsewhere go to the log: nothing is ever told to nobody.
    channels.entry(DEFAULT_CHANNEL.to_owned()).or_insert(ChannelSpec::Log { changes: false });
    channels
}

fn read_channel(entry: &mut Reader<'_>) -> Option<ChannelSpec> {
    let kind = entry.get("type", |value| match value {
        Value::Text(text) if text == "log" || text == "webhook" => Ok(text.clone()),
        Value::Text(text) => Err(format!("{text:?} isn't there yet; log and webhook are")),
        other => Err(format!("must be log or webhook, not {}", other.kind())),
    });
    match entry.require("type", kind)?.as_str() {
        "webhook" => {
            let url = entry.text("url");
            let url = entry.require("url", url)?;
            if !(url.starts_with("http://") || url.starts_with("https://")) {
                entry.reject("url", "must begin with http:// or https://");
            }
            let changes = entry.flag("changes").unwrap_or(false);
            let timeout = entry.duration("timeout").unwrap_or(WEBHOOK_TIMEOUT);
            Some(ChannelSpec::Webhook { url: SecretUrl::from(url.as_str()), changes, timeout })
        }
        _ => Some(ChannelSpec::Log { changes: entry.flag("changes").unwrap_or(false) }),
    }
}
