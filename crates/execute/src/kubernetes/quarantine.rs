//! What a quarantine does beside taking the pod's labels away: the NetworkPolicy that lets nothing through, and looking whether any endpoint
//! still leads to the pod.

use homeostat_remediate::{InspectError, Plan, Progress};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::api::{ApiServer, CallError};
use super::inspect_error::inspect_error;
use super::patching::unsendable;
use crate::executor::ApplyError;
use crate::patch;
use crate::quarantine::{LABEL, POLICY_NAME};

/// Makes sure that the namespace has the NetworkPolicy of quarantined pods. It selects nothing until a pod is marked, so making it before is
/// no effect; and there is one for all, so that making it again is none either.
pub(super) async fn network_policy(api: &ApiServer, plan: &Plan) -> Result<(), ApplyError> {
    let namespace = &plan.target.subject.namespace;
    super::inspect::check_subject(&plan.target.subject)
        .map_err(|error| ApplyError::Rejected { why: error.to_string() })?;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": POLICY_NAME, "labels": { "app.kubernetes.io/managed-by": "homeostat" } },
        "spec": {
            "podSelector": { "matchExpressions": [{ "key": LABEL, "operator": "Exists" }] },
            "policyTypes": ["Ingress", "Egress"],
        },
    });
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies");
    match api.create(&path, &policy.to_string(), &format!("{}-policy", plan.id), false).await {
        Ok(_) | Err(CallError::Answered { code: 409, .. }) => Ok(()),
        Err(error @ CallError::Answered { code: 400..=403 | 422, .. }) => Err(ApplyError::Rejected {
            why: format!("the NetworkPolicy {POLICY_NAME} can't be made: {error}"),
        }),
        // Nothing of the action has been written yet: it is tried again.
        Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => {
            Err(ApplyError::NotNow { why: format!("the NetworkPolicy {POLICY_NAME} can't be made: {error}") })
        }
    }
}

/// Complete once no endpoint leads to the pod.
pub(super) async fn progress(api: &ApiServer, plan: &Plan, wanted: u32) -> Result<Progress, InspectError> {
    let subject = &plan.target.subject;
    let pod = patch::written_by(plan, &plan.step).map_err(unsendable);
    let pod = pod.map_err(|error| InspectError::NotConfigured { why: error.to_string() })?;
    let listed =
        api.list(|client| Api::<EndpointSlice>::namespaced(client, &subject.namespace), ListParams::default()).await;
    let slices = listed.map_err(|error| inspect_error(error, subject, "list", "endpointslices.discovery.k8s.io"))?;
    let mut endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let leads_there = endpoints.any(|endpoint| {
        let target = endpoint.target_ref.as_ref();
        target.is_some_and(|target| target.uid.as_deref() == Some(pod.uid.as_str()))
    });
    if leads_there {
        return Ok(Progress::Rolling { updated_available: wanted.saturating_sub(1), wanted });
    }
    Ok(Progress::Complete { wanted })
}
