//! Applies manifests, as `kubectl apply` would: the program's own roles and custom resource definitions.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, ResourceExt};
use serde_json::Value;

use crate::wait;

/// Applies every document of `yaml`, in order. Objects without a namespace go to `default`.
///
/// A kind that isn't known yet is waited for, since a definition and its first object may stand in one file.
///
/// # Errors
/// When the text isn't YAML, or the API server refuses an object.
pub async fn apply(client: &Client, yaml: &str) -> Result<()> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("the manifest isn't YAML")?;
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        apply_one(client, document).await?;
    }
    Ok(())
}

/// Applies one object.
///
/// # Errors
/// As [`apply`].
pub async fn apply_one(client: &Client, document: Value) -> Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(document).context("not a Kubernetes object")?;
    let types = object.types.clone().context("an object without apiVersion and kind")?;
    let kind = GroupVersionKind::try_from(&types)?;
    let (resource, capabilities) =
        wait::until(&format!("{} is served", types.kind), Duration::from_secs(20), || async {
            Ok(Some(pinned_kind(client, &kind).await?))
        })
        .await?;
    let name = object.name_any();
    let objects: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    objects
        .patch(&name, &PatchParams::apply("homeostat-tests").force(), &Patch::Apply(&object))
        .await
        .with_context(|| format!("applying {} {name}", types.kind))
}
