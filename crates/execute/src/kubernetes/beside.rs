//! What an action asked to see beside its workload: quotas, objects that it names, nodes.

use std::collections::BTreeSet;

use homeostat_core::{Subject, parse_quantity};
use homeostat_remediate::{InspectError, Known, ObjectKind, ObjectRef, QuotaLimit, SeenObject, SeenPod};
use k8s_openapi::api::core::v1::{Node, Pod, ResourceQuota};
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};

use super::api::{ApiServer, CallError, Place};
use super::inspect_error::{inspect_error, visible};
use super::{object, owner};
use crate::sight::Sight;

/// Nodes whose pods are looked at.
const NODES_MAX: usize = 3;

/// What the namespace's quotas limit. Those for some pods only (scopes) aren't counted: whose they are the admission knows.
pub(super) async fn quotas(
    api: &ApiServer,
    subject: &Subject,
    wanted: bool,
) -> Result<Known<Vec<QuotaLimit>>, InspectError> {
    if !wanted {
        return Ok(Known::NotVisible { why: "nobody looked".to_owned() });
    }
    let listed =
        api.list(|client| Api::<ResourceQuota>::namespaced(client, &subject.namespace), ListParams::default()).await;
    let quotas = visible(listed, subject, "resourcequotas")?;
    Ok(quotas.map(|quotas| quotas.iter().flat_map(limits).collect()))
}

fn limits(quota: &ResourceQuota) -> Vec<QuotaLimit> {
    let spec = quota.spec.clone().unwrap_or_default();
    if spec.scopes.is_some_and(|scopes| !scopes.is_empty()) || spec.scope_selector.is_some() {
        return Vec::new();
    }
    let name = quota.metadata.name.clone().unwrap_or_default();
    let used = quota.status.as_ref().and_then(|status| status.used.clone()).unwrap_or_default();
    let limit = |(resource, hard): (&String, &_)| {
        let used = used.get(resource).and_then(|used| parse_quantity(&quantity_text(used))).unwrap_or(0.0);
        let hard = parse_quantity(&quantity_text(hard))?;
        Some(QuotaLimit { quota: name.clone(), resource: resource.clone(), hard, used })
    };
    spec.hard.iter().flatten().filter_map(limit).collect()
}

fn quantity_text(quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity) -> String {
    quantity.0.clone()
}

/// The objects that are named, and the nodes where they are asked for. A named one that isn't there isn't among them; what may not be
/// looked at is an error, since the action can't do without.
pub(super) async fn objects(
    api: &ApiServer,
    subject: &Subject,
    sights: &[Sight],
) -> Result<Vec<SeenObject>, InspectError> {
    let mut seen = Vec::new();
    for sight in sights {
        match sight {
            Sight::Object(kind, name) => {
                if let Known::Is(found) = looked_at(api, subject, *kind, name).await? {
                    seen.push(found);
                }
            }
            Sight::Nodes => seen.extend(nodes(api, subject).await?),
            Sight::Pods
            | Sight::Quotas
            | Sight::ScaledObject
            | Sight::PodsOfNodes
            | Sight::HelmRelease
            | Sight::GitFile(_) => {}
        }
    }
    Ok(seen)
}

/// One object of the namespace, which may not be there, or may not be looked at.
pub(super) async fn object(
    api: &ApiServer,
    subject: &Subject,
    kind: ObjectKind,
    name: &str,
) -> Result<Known<SeenObject>, InspectError> {
    match looked_at(api, subject, kind, name).await {
        Err(error @ InspectError::Forbidden { .. }) => Ok(Known::NotVisible { why: error.to_string() }),
        answer => answer,
    }
}

async fn looked_at(
    api: &ApiServer,
    subject: &Subject,
    kind: ObjectKind,
    name: &str,
) -> Result<Known<SeenObject>, InspectError> {
    if !object::is_name(name) {
        return Ok(Known::NotApplicable);
    }
    match api.object(&Place { kind, namespace: &subject.namespace, name }).await {
        Ok(manifest) => Ok(Known::seen(seen_object(kind, manifest))),
        Err(CallError::Answered { code: 404, .. }) => Ok(Known::NotApplicable),
        Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => {
            Err(inspect_error(error, subject, "get", &object::resource_name(kind)))
        }
    }
}

async fn nodes(api: &ApiServer, subject: &Subject) -> Result<Vec<SeenObject>, InspectError> {
    let resource = ApiResource::erase::<Node>(&());
    let listed = api.list(|client| Api::<DynamicObject>::all_with(client, &resource), ListParams::default()).await;
    let nodes = listed.map_err(|error| inspect_error(error, subject, "list", "nodes"))?;
    let manifests = nodes.into_iter().filter_map(|node| serde_json::to_value(node).ok());
    let seen = manifests.filter_map(|manifest| seen_object(ObjectKind::Node, manifest));
    Ok(seen.map(without_bulk).collect())
}

/// A node's status lists its images and volumes, of which nothing is asked: of a thousand nodes that would be tens of megabytes.
fn without_bulk(mut node: SeenObject) -> SeenObject {
    let conditions = node.manifest["status"]["conditions"].take();
    node.manifest["status"] = json!({ "conditions": conditions });
    node
}

fn seen_object(kind: ObjectKind, manifest: Value) -> Option<SeenObject> {
    let object = ObjectRef::of(kind, &manifest)?;
    let owner = match kind {
        // A pod's controller is the workload, and nobody keeps a node in git.
        ObjectKind::Pod | ObjectKind::Node => None,
        ObjectKind::Deployment
        | ObjectKind::StatefulSet
        | ObjectKind::DaemonSet
        | ObjectKind::HorizontalPodAutoscaler
        | ObjectKind::ScaledObject
        | ObjectKind::ConfigMap
        | ObjectKind::NetworkPolicy
        | ObjectKind::HttpRoute
        | ObjectKind::VirtualService => owner::owner(&object::metadata(&manifest)),
    };
    Some(SeenObject { object, manifest, owner })
}

/// The pods on those nodes on which pods of the workload fail: few, so that a workload that fails everywhere asks for no whole cluster.
pub(super) async fn pods_of_nodes(
    api: &ApiServer,
    subject: &Subject,
    pods: &Known<Vec<SeenPod>>,
) -> Result<Vec<SeenObject>, InspectError> {
    let failing = pods.value().into_iter().flatten().filter(|pod| pod.failing.is_some());
    let nodes: BTreeSet<&str> =
        failing.filter_map(|pod| pod.node.as_deref()).filter(|node| object::is_name(node)).collect();
    let mut seen = Vec::new();
    for node in nodes.into_iter().take(NODES_MAX) {
        let pods = pods_on(api, node).await;
        let pods = pods.map_err(|error| inspect_error(error, subject, "list", "pods"))?;
        seen.extend(pods.into_iter().filter_map(|manifest| seen_object(ObjectKind::Pod, manifest)));
    }
    Ok(seen)
}

/// All pods on a node, of all namespaces.
pub(super) async fn pods_on(api: &ApiServer, node: &str) -> Result<Vec<Value>, CallError> {
    let resource = ApiResource::erase::<Pod>(&());
    let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let pods = api.list(|client| Api::<DynamicObject>::all_with(client, &resource), on_node).await?;
    Ok(pods.into_iter().filter_map(|pod| serde_json::to_value(pod).ok()).collect())
}
