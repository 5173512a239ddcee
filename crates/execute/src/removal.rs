//! The one request that takes a pod away, as text, with its preconditions and its marker. Pure: no cluster in here.
//!
//! What is deleted can carry no marker, so the request does: the API server records it in its audit log under the id that is sent along
//! (`Audit-ID`). A pod of one UID can be deleted only once, so sending it twice has one effect (I7).

use homeostat_remediate::{ObjectKind, ObjectRef, PayloadError, Plan, Step};
use serde_json::{Value, json};

use crate::patch::{ACTION_ID, CORRELATION_ID};

/// A request that takes a pod away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Removal {
    /// The id in the API server's audit log.
    pub(crate) audit_id: String,
    /// The method and the path.
    pub(crate) request: String,
    /// The bytes to send.
    pub(crate) body: Value,
}

impl Removal {
    /// As it is journaled and shown.
    pub(crate) fn text(&self) -> String {
        json!({ "audit-id": self.audit_id, "body": self.body, "request": self.request }).to_string()
    }
}

/// Evicts the pod that the step names: its disruption budget decides (I20).
pub(crate) fn evict(plan: &Plan, step: &Step) -> Result<Removal, PayloadError> {
    let pod = pod(step)?;
    let namespace = &plan.target.subject.namespace;
    let annotations = json!({ ACTION_ID: plan.id.as_str(), CORRELATION_ID: plan.correlation.as_str() });
    Ok(Removal {
        audit_id: plan.id.to_string(),
        request: format!("POST {}/eviction", path(namespace, &pod)),
        body: json!({
            "apiVersion": "policy/v1",
            "deleteOptions": { "preconditions": preconditions(&pod) },
            "kind": "Eviction",
            "metadata": { "annotations": annotations, "name": pod.name, "namespace": namespace },
        }),
    })
}

/// Deletes the pod that the step names, whatever its disruption budget says.
pub(crate) fn delete(plan: &Plan, step: &Step) -> Result<Removal, PayloadError> {
    let pod = pod(step)?;
    Ok(Removal {
        audit_id: plan.id.to_string(),
        request: format!("DELETE {}", path(&plan.target.subject.namespace, &pod)),
        body: json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions(&pod) }),
    })
}

/// The pod that the step takes away.
pub(crate) fn pod(step: &Step) -> Result<ObjectRef, PayloadError> {
    let object = ObjectRef::in_step(step)?.filter(|object| object.kind == ObjectKind::Pod);
    let object = object.ok_or_else(|| PayloadError("it names no pod".to_owned()))?;
    if object.uid.is_empty() || object.resource_version.is_empty() {
        return Err(PayloadError(
            "it names no UID or no resourceVersion, so nothing would guard the request".to_owned(),
        ));
    }
    Ok(object)
}

fn preconditions(pod: &ObjectRef) -> Value {
    json!({ "resourceVersion": pod.resource_version, "uid": pod.uid })
}

fn path(namespace: &str, pod: &ObjectRef) -> String {
    format!("/api/v1/namespaces/{namespace}/pods/{}", pod.name)
}
