//! Shifting traffic, on an API server that knows the routes: their definitions, and no controller.

use anyhow::{Result, ensure};
use homeostat_core::WorkloadKind;
use homeostat_tests::{manifest, need_parts};
use serde_json::json;

use crate::objects::definition;
use crate::stage::{ACTION_ID, Stage};

#[tokio::test]
async fn traffic_is_shifted_from_a_canary_and_back() -> Result<()> {
    let parts = need_parts!("traffic_is_shifted_from_a_canary_and_back");
    let with = "{http_route: cart, weights: {cart-stable: 100, cart-canary: 0}}";
    let stage = Stage::set(&parts, "traffic-route", WorkloadKind::Deployment, "traffic-weight", with).await?;
    ensure!(stage.objection().await? == "no-such-route", "the cluster doesn't even have the kind");
    let gateway = "gateway.networking.k8s.io";
    manifest::apply_one(&stage.client, definition(gateway, "v1", "HTTPRoute", "httproutes")).await?;
    let backend = |name: &str, weight: u32| json!({ "name": name, "port": 80, "weight": weight });
    let rules = |stable: u32, canary: u32| json!([{ "backendRefs": [backend("cart-stable", stable), backend("cart-canary", canary)] }]);
    let api_version = format!("{gateway}/v1");
    stage
        .apply_manifest(json!({ "apiVersion": api_version, "kind": "HTTPRoute", "metadata": { "name": "cart" },
            "spec": { "rules": rules(80, 20) } }))
        .await?;
    let done = stage.walk().await?;
    let route = stage.get(&api_version, "HTTPRoute", "cart").await?;
    ensure!(route["spec"]["rules"] == rules(100, 0), "{route:#}");
    ensure!(route["metadata"]["annotations"][ACTION_ID] == done.plan().id.as_str(), "{route:#}");
    stage.undo(&done).await?;
    ensure!(stage.get(&api_version, "HTTPRoute", "cart").await?["spec"]["rules"] == rules(80, 20));

    let with = "{virtual_service: cart, weights: {v1: 100, v2: 0}}";
    let stage = Stage::set(&parts, "traffic-istio", WorkloadKind::Deployment, "traffic-weight", with).await?;
    manifest::apply_one(&stage.client, definition("networking.istio.io", "v1", "VirtualService", "virtualservices"))
        .await?;
    let destination =
        |subset: &str, weight: u32| json!({ "destination": { "host": "cart", "subset": subset }, "weight": weight });
    let http = json!([{ "route": [destination("v1", 50), destination("v2", 50)] }]);
    stage
        .apply_manifest(json!({ "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": { "name": "cart" }, "spec": { "hosts": ["cart"], "http": http } }))
        .await?;
    let done = stage.walk().await?;
    let service = stage.get("networking.istio.io/v1", "VirtualService", "cart").await?;
    ensure!(
        service["spec"]["http"][0]["route"] == json!([destination("v1", 100), destination("v2", 0)]),
        "{service:#}"
    );
    stage.undo(&done).await
}
