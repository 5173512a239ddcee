//! What a quarantine does beside taking the pod's labels away: the NetworkPolicy that lets nothing through, and looking whether any endpoint
//! still leads to the pod.

use homeostat_core::Subject;
use homeostat_remediate::{InspectError, ObjectKind, Plan, Progress};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::api::{ApiServer, CallError, Place};
use super::inspect_error::{inspect_error, unless_forbidden};
use super::patching::unsendable;
use super::{apply, inspect};
use crate::executor::ApplyError;
use crate::patch;
use crate::quarantine::{LABEL, POLICY_NAME};

const POLICIES: &str = "networkpolicies.networking.k8s.io";

/// Makes sure that the namespace has the NetworkPolicy of quarantined pods: one for all, so that making it again is nothing new.
pub(super) async fn go_on(api: &ApiServer, plan: &Plan) -> Result<(), ApplyError> {
    let not_now = |why: String| ApplyError::NotNow { why };
    if has_policy(api, &plan.target.subject).await.map_err(|error| not_now(error.to_string()))? {
        return Ok(());
    }
    match make_policy(api, plan, false).await {
        Ok(()) => Ok(()),
        Err(error) => Err(not_now(format!("the NetworkPolicy {POLICY_NAME} can't be made: {error}"))),
    }
}

/// Whether the NetworkPolicy may be looked for and made, and the endpoints seen, before the pod loses its labels.
pub(super) async fn dry_run(api: &ApiServer, plan: &Plan) -> Result<(), ApplyError> {
    let subject = &plan.target.subject;
    unless_forbidden(endpoints(api, subject).await)?;
    match has_policy(api, subject).await {
        Ok(true) => Ok(()),
        Ok(false) => match make_policy(api, plan, true).await {
            Err(error @ CallError::Answered { code: 403, .. }) => {
                let what = format!("create {POLICIES}");
                let why = apply::not_allowed(&what, &subject.namespace, &error.to_string());
                Err(ApplyError::Rejected { why })
            }
            Ok(()) | Err(_) => Ok(()),
        },
        Err(error) => unless_forbidden::<()>(Err(error)),
    }
}

async fn make_policy(api: &ApiServer, plan: &Plan, is_dry_run: bool) -> Result<(), CallError> {
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": POLICY_NAME, "labels": { "app.kubernetes.io/managed-by": "homeostat" } },
        "spec": {
            "podSelector": { "matchExpressions": [{ "key": LABEL, "operator": "Exists" }] },
            "policyTypes": ["Ingress", "Egress"],
        },
    });
    let path = policy_place(&plan.target.subject).collection();
    match api.create(&path, &policy.to_string(), &format!("{}-policy", plan.id), is_dry_run).await {
        Ok(_) | Err(CallError::Answered { code: 409, .. }) => Ok(()),
        Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => Err(error),
    }
}

/// Complete once nothing leads to the pod: no endpoint, and through the NetworkPolicy no traffic.
pub(super) async fn progress(api: &ApiServer, plan: &Plan, wanted: u32) -> Result<Progress, InspectError> {
    let subject = &plan.target.subject;
    let pod = patch::written_by(plan, &plan.step).map_err(unsendable);
    let pod = pod.map_err(|error| InspectError::NotConfigured { why: error.to_string() })?;
    let slices = endpoints(api, subject).await?;
    let mut endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let leads_there = endpoints.any(|endpoint| {
        let target = endpoint.target_ref.as_ref();
        target.is_some_and(|target| target.uid.as_deref() == Some(pod.uid.as_str()))
    });
    if leads_there || !has_policy(api, subject).await? {
        return Ok(Progress::Rolling { updated_available: wanted.saturating_sub(1), wanted });
    }
    Ok(Progress::Complete { wanted })
}

async fn endpoints(api: &ApiServer, subject: &Subject) -> Result<Vec<EndpointSlice>, InspectError> {
    let listed =
        api.list(|client| Api::<EndpointSlice>::namespaced(client, &subject.namespace), ListParams::default()).await;
    listed.map_err(|error| inspect_error(error, subject, "list", "endpointslices.discovery.k8s.io"))
}

async fn has_policy(api: &ApiServer, subject: &Subject) -> Result<bool, InspectError> {
    inspect::check_subject(subject)?;
    match api.object(&policy_place(subject)).await {
        Ok(_) => Ok(true),
        Err(CallError::Answered { code: 404, .. }) => Ok(false),
        Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => {
            Err(inspect_error(error, subject, "get", POLICIES))
        }
    }
}

fn policy_place(subject: &Subject) -> Place<'_> {
    Place { kind: ObjectKind::NetworkPolicy, namespace: &subject.namespace, name: POLICY_NAME }
}
