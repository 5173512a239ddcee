//! The control plane: who asks, what is written down, and how it breaks.

use anyhow::Result;
use homeostat_tests::control_plane::{ControlPlane, N_NODES};
use homeostat_tests::rights::{self, allow};
use homeostat_tests::{manifest, need_parts, workload};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::Api;
use kube::api::ListParams;

#[tokio::test]
async fn a_control_plane_has_ready_nodes() -> Result<()> {
    let parts = need_parts!("a_control_plane_has_ready_nodes");
    let plane = ControlPlane::shared(&parts).await?;
    let nodes = Api::<Node>::all(plane.client().await?).list(&ListParams::default()).await?;
    assert_eq!(nodes.items.len(), N_NODES);
    Ok(())
}

#[tokio::test]
async fn the_audit_log_counts_changes_by_user() -> Result<()> {
    let parts = need_parts!("the_audit_log_counts_changes_by_user");
    let plane = ControlPlane::shared(&parts).await?;
    let admin = plane.client().await?;
    workload::create_namespace(&admin, "audited").await?;
    workload::deploy(&admin, "audited", "cart", 1).await?;
    let homeostat = plane.service_account("audited", "homeostat").await?;
    plane.grant_in(&homeostat, "audited", &[allow("apps", &["deployments"], &["get", "patch"])]).await?;
    let client = homeostat.client().await?;
    assert_eq!(plane.changes_by(&homeostat.user).await?, []);

    Api::<Deployment>::namespaced(client.clone(), "audited").get("cart").await?;
    workload::restart(&client, "audited", "cart").await?;

    let changes = plane.changes_by(&homeostat.user).await?;
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!((changes[0].verb.as_str(), changes[0].resource.as_str()), ("patch", "deployments"));
    assert_eq!((changes[0].namespace.as_str(), changes[0].name.as_str()), ("audited", "cart"));
    Ok(())
}

#[tokio::test]
async fn a_service_account_may_do_what_it_was_granted_and_no_more() -> Result<()> {
    let parts = need_parts!("a_service_account_may_do_what_it_was_granted_and_no_more");
    let plane = ControlPlane::shared(&parts).await?;
    let admin = plane.client().await?;
    workload::create_namespace(&admin, "limited").await?;
    workload::deploy(&admin, "limited", "cart", 1).await?;
    let reader = plane.service_account("limited", "reader").await?;
    plane.grant_everywhere(&reader, &[allow("apps", &["deployments"], &["get", "list"])]).await?;

    let client = reader.client().await?;
    Api::<Deployment>::namespaced(client.clone(), "limited").get("cart").await?;
    let refused = workload::restart(&client, "limited", "cart").await;
    assert!(format!("{refused:?}").contains("403"), "{refused:?}");
    assert!(!rights::may(&admin, &reader, Some("limited"), "apps", "deployments", "patch").await?);
    let refusals = plane.audit().await?.into_iter().filter(|event| event.user == reader.user && event.code == 403);
    assert_eq!(refusals.count(), 1);
    assert_eq!(plane.changes_by(&reader.user).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_definition_and_its_first_object_apply_from_one_manifest() -> Result<()> {
    let parts = need_parts!("a_definition_and_its_first_object_apply_from_one_manifest");
    let plane = ControlPlane::shared(&parts).await?;
    let client = plane.client().await?;
    let yaml = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.test.example}
spec:
  group: test.example
  names: {kind: Lamp, plural: lamps, singular: lamp}
  scope: Namespaced
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
---
apiVersion: test.example/v1
kind: Lamp
metadata: {name: first}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: beside, namespace: default}
data: {a: b}
";
    manifest::apply(&client, yaml).await?;
    manifest::apply(&client, yaml).await?;
    assert!(Api::<ConfigMap>::default_namespaced(client).get_opt("beside").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_killed_api_server_comes_back_with_its_objects() -> Result<()> {
    let parts = need_parts!("a_killed_api_server_comes_back_with_its_objects");
    let mut plane = ControlPlane::start_with_nodes(&parts, 1).await?;
    let client = plane.client().await?;
    workload::create_namespace(&client, "kept").await?;
    workload::deploy(&client, "kept", "cart", 2).await?;

    plane.kill_api_server()?;
    assert!(workload::pods_of(&client, "kept", "cart").await.is_err());
    plane.restart_api_server().await?;
    assert_eq!(workload::pods_of(&client, "kept", "cart").await?.len(), 2);

    plane.freeze_api_server()?;
    let soon = std::time::Duration::from_millis(500);
    assert!(tokio::time::timeout(soon, workload::pods_of(&client, "kept", "cart")).await.is_err());
    plane.thaw_api_server()?;
    assert_eq!(workload::pods_of(&plane.client().await?, "kept", "cart").await?.len(), 2);
    Ok(())
}
