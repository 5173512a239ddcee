//! What is left of a drain once its node is cordoned: evicting the node's pods, some in each cycle. Nothing is kept of how far it has come:
//! the node's pods say it.

use std::collections::BTreeSet;

use homeostat_remediate::{InspectError, Plan, Progress};
use serde_json::{Value, json};

use super::api::{ApiServer, CallError, Place};
use super::inspect_error::inspect_error;
use super::patching::{Holds, unsendable};
use super::removal::EVICT;
use super::{apply, object};
use crate::executor::ApplyError;
use crate::node_pods::{OnDrain, is_planned, on_drain};
use crate::patch::{self, ACTION_ID};

/// Evictions in one cycle: each is a request of some ten milliseconds, and detection waits for the cycle.
const AT_ONCE_MAX: usize = 20;

/// Evicts the pods that the plan names as far as their budgets allow now, only while the node is as the action left it.
pub(super) async fn go_on(api: &ApiServer, holds: Holds, plan: &Plan) -> Result<(), ApplyError> {
    let node = patch::written_by(plan, &plan.step).map_err(unsendable)?;
    if !object::is_name(&node.name) {
        return Err(ApplyError::Rejected { why: format!("{:?} can't be the name of a node", node.name) });
    }
    let not_now = |error: CallError| ApplyError::NotNow { why: error.to_string() };
    let place = Place { kind: node.kind, namespace: "", name: &node.name };
    let found = api.object(&place).await.map_err(not_now)?;
    let is_ours = found["metadata"]["uid"] == node.uid.as_str()
        && found["metadata"]["annotations"][ACTION_ID] == plan.id.as_str()
        && holds(&found, &plan.step);
    if !is_ours {
        return Err(ApplyError::Stale { why: format!("node {} isn't as the action left it", node.name) });
    }
    let pods = super::beside::pods_on(api, &node.name).await.map_err(not_now)?;
    let mut held_up_by = None;
    for pod in pods.iter().filter(|pod| is_to_go(plan, pod)).take(AT_ONCE_MAX) {
        if let Err(not_evicted) = evict(api, plan, pod, false).await {
            held_up_by.get_or_insert(not_evicted.why());
        }
    }
    held_up_by.map_or(Ok(()), |why| Err(ApplyError::NotNow { why }))
}

/// Whether the pods may be evicted at all, before their node is cordoned for it: one of each namespace is tried. A budget that forbids it now may
/// allow it later.
pub(super) async fn dry_run(api: &ApiServer, plan: &Plan) -> Result<(), ApplyError> {
    let node = patch::written_by(plan, &plan.step).map_err(unsendable)?;
    if !object::is_name(&node.name) {
        return Err(ApplyError::Rejected { why: format!("{:?} can't be the name of a node", node.name) });
    }
    // Seen a moment ago; if it can't be seen now, it is tried without.
    let pods = super::beside::pods_on(api, &node.name).await.unwrap_or_default();
    let mut asked = BTreeSet::new();
    for pod in pods.iter().filter(|pod| is_to_go(plan, pod)) {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
        if !asked.insert(namespace) {
            continue;
        }
        if let Err(NotEvicted::Forbidden(why)) = evict(api, plan, pod, true).await {
            return Err(ApplyError::Rejected { why });
        }
    }
    Ok(())
}

fn is_to_go(plan: &Plan, pod: &Value) -> bool {
    is_planned(&plan.step, pod) && on_drain(pod) == OnDrain::Evicted
}

/// Why a pod isn't evicted.
enum NotEvicted {
    /// The right is missing.
    Forbidden(String),
    /// A budget that forbids it now may allow it in the next cycle; so may whatever else there is.
    NotNow(String),
}

impl NotEvicted {
    fn why(self) -> String {
        match self {
            Self::Forbidden(why) | Self::NotNow(why) => why,
        }
    }
}

/// Evicts one pod, or only asks whether that may be done; the error says what holds it up.
async fn evict(api: &ApiServer, plan: &Plan, pod: &Value, is_dry_run: bool) -> Result<(), NotEvicted> {
    let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default();
    let (name, namespace, uid) = (text("name"), text("namespace"), text("uid"));
    if !object::is_name(name) || !object::is_dns(namespace, 63, false) || uid.is_empty() {
        return Err(NotEvicted::NotNow("a pod without a name or UID".to_owned()));
    }
    let mut body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": name, "namespace": namespace, "annotations": { ACTION_ID: plan.id.as_str() } },
        "deleteOptions": { "preconditions": { "uid": uid } },
    });
    if is_dry_run {
        body["deleteOptions"]["dryRun"] = json!(["All"]);
    }
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
    match api.create(&path, &body.to_string(), &format!("{}-{uid}", plan.id), is_dry_run).await {
        // Gone, or another pod of the name: either way the one that was on the node is gone.
        Ok(_) | Err(CallError::Answered { code: 404 | 409, .. }) => Ok(()),
        Err(error @ CallError::Answered { code: 403, .. }) => {
            Err(NotEvicted::Forbidden(apply::not_allowed(EVICT, namespace, &error.to_string())))
        }
        Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => {
            Err(NotEvicted::NotNow(format!("{namespace}/{name} isn't evicted yet: {error}")))
        }
    }
}

/// How many of the pods that the plan names are left on the node; none is complete.
pub(super) async fn progress(api: &ApiServer, plan: &Plan, wanted: u32) -> Result<Progress, InspectError> {
    let node = patch::written_by(plan, &plan.step);
    let node = node.map_err(|error| InspectError::NotConfigured { why: error.to_string() })?;
    if !object::is_name(&node.name) {
        return Ok(Progress::Gone);
    }
    let pods = super::beside::pods_on(api, &node.name).await;
    let pods = pods.map_err(|error| inspect_error(error, &plan.target.subject, "list", "pods"))?;
    // One on its way out is still there.
    let n_left = pods.iter().filter(|pod| is_planned(&plan.step, pod)).count();
    if n_left == 0 {
        return Ok(Progress::Complete { wanted });
    }
    let n_left = u32::try_from(n_left).unwrap_or(u32::MAX);
    Ok(Progress::Rolling { updated_available: wanted.saturating_sub(n_left), wanted })
}
