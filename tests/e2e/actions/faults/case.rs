//! Every way in which an action writes to a cluster: what its policy says, and what has to be the matter for it to act.

use anyhow::{Context, Result};
use homeostat_core::WorkloadKind;
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::parts::Parts;
use homeostat_tests::{manifest, wait};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::nodes::crash_loop;
use crate::objects::definition;
use crate::stage::{ACTION_ID, SOON, Stage};

/// One action on one kind of object.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) kind: WorkloadKind,
    pub(super) action: &'static str,
    /// Its section of a policy.
    pub(super) with: &'static str,
    /// Whether it is taken back where it didn't help.
    pub(super) is_reversible: bool,
    /// How long it is watched, and whether it can be seen to help at all: an autoscaler looks every 15 s, and there is no KEDA here.
    window: &'static str,
    pub(super) is_followed: bool,
    /// Whether it acts on nodes, which all namespaces share: on a control plane of its own, one at a time.
    pub(super) is_of_nodes: bool,
}

const fn case(name: &'static str, action: &'static str, with: &'static str, is_reversible: bool) -> Case {
    Case {
        name,
        kind: WorkloadKind::Deployment,
        action,
        with,
        is_reversible,
        window: "1m",
        is_followed: true,
        is_of_nodes: false,
    }
}

const fn of_nodes(name: &'static str, with: &'static str) -> Case {
    Case { is_of_nodes: true, ..case(name, name, with, true) }
}

/// A StatefulSet isn't here: none is ever acted on automatically.
pub(super) static CASES: &[Case] = &[
    case("restart", "rollout-restart", "", false),
    Case { kind: WorkloadKind::DaemonSet, ..case("restart-daemons", "rollout-restart", "", false) },
    case("undo", "rollout-undo", "", true),
    case("scale", "scale", "{by: 2, max: 5}", true),
    Case { window: "7m", ..case("scale-hpa", "scale", "{by: 4, max: 10, for: 5m}", true) },
    Case { is_followed: false, ..case("scale-keda", "scale", "{by: 2, max: 10, for: 5m}", true) },
    case("evict", "evict-pod", "", false),
    case("delete", "delete-pod", "", false),
    case("pause", "pause-rollout", "", true),
    case("resume", "resume-rollout", "", true),
    case("memory", "raise-memory-limit", "{times: 2, max: 192Mi}", true),
    case(
        "patch",
        "patch",
        "{patch: {spec: {template: {spec: {terminationGracePeriodSeconds: 5}}}}, \
         fields: [spec.template.spec.terminationGracePeriodSeconds]}",
        true,
    ),
    case("flag", "configmap-flag", "{config_map: flags, key: recommendations, value: \"off\"}", true),
    case("quarantine", "quarantine", "", true),
    case("route", "traffic-weight", "{http_route: cart, weights: {cart-stable: 100, cart-canary: 0}}", true),
    case("istio", "traffic-weight", "{virtual_service: cart, weights: {v1: 100, v2: 0}}", true),
    of_nodes("cordon", ""),
    of_nodes("uncordon", ""),
    of_nodes("drain", "{max_pods: 20}"),
];

impl Case {
    /// A namespace in which the action has something to do.
    pub(super) async fn stage(&self, parts: &Parts, namespace: &str) -> Result<Stage> {
        let plane = if self.is_of_nodes { of_its_own(parts).await? } else { ControlPlane::shared(parts).await? };
        if self.is_of_nodes {
            give_back_all_nodes(plane).await?;
        }
        let stage = Stage::set_on(plane, namespace, self.kind, self.action, self.with).await?;
        self.trouble(&stage).await.with_context(|| format!("setting the stage of {}", self.name))?;
        Ok(stage)
    }

    /// What its policy says.
    pub(super) fn policy(&self, namespace: &str, undoes: bool) -> String {
        let with = if self.with.is_empty() { String::new() } else { format!(", with: {}", self.with) };
        format!(
            "remediation_policy: {{incident_type: latency, auto_execute: true, confidence_threshold: 0.9, action: {}{with}, \
             max_attempts: 1, cooldown_after_action: 10m, verification_settle: 0s, verification_window: {}, traffic_floor: 0, \
             rollback_if_failed: {undoes}, allow_irreversible: true, scope: {{namespaces: [{namespace}]}}}}",
            self.action, self.window
        )
    }

    async fn trouble(&self, stage: &Stage) -> Result<()> {
        let name = self.name;
        match name {
            "restart" | "restart-daemons" | "scale" | "memory" | "patch" => Ok(()),
            "undo" => stage.roll_out("registry.example/cart:2").await,
            "scale-hpa" => stage.apply_manifest(autoscaler("cart", 6, &json!([]))).await,
            "scale-keda" => keda(stage).await,
            "evict" | "delete" | "quarantine" | "cordon" | "drain" => crash_loop(stage).await.map(|_| ()),
            "pause" => {
                let nowhere =
                    json!({ "spec": { "template": { "spec": { "nodeSelector": { "disk": "none-has-this" } } } } });
                stage.patch("apps/v1", "Deployment", "cart", nowhere).await?;
                wait::until_true("the rollout hangs", SOON, || async {
                    Ok(stage.object().await?["status"]["updatedReplicas"] == 1)
                })
                .await
            }
            "resume" => stage.patch("apps/v1", "Deployment", "cart", json!({ "spec": { "paused": true } })).await,
            "flag" => {
                let data = json!({ "recommendations": "on", "search": "on" });
                let flags =
                    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "flags" }, "data": data });
                stage.apply_manifest(flags).await
            }
            "route" => {
                let group = "gateway.networking.k8s.io";
                manifest::apply_one(&stage.client, definition(group, "v1", "HTTPRoute", "httproutes")).await?;
                let backend = |name: &str, weight: u32| json!({ "name": name, "port": 80, "weight": weight });
                let rules = json!([{ "backendRefs": [backend("cart-stable", 80), backend("cart-canary", 20)] }]);
                let route = json!({ "apiVersion": format!("{group}/v1"), "kind": "HTTPRoute",
                    "metadata": { "name": "cart" }, "spec": { "rules": rules } });
                stage.apply_manifest(route).await
            }
            "istio" => {
                let group = "networking.istio.io";
                let kind = definition(group, "v1", "VirtualService", "virtualservices");
                manifest::apply_one(&stage.client, kind).await?;
                let to = |subset: &str| json!({ "destination": { "host": "cart", "subset": subset }, "weight": 50 });
                let service = json!({ "apiVersion": format!("{group}/v1"), "kind": "VirtualService",
                    "metadata": { "name": "cart" }, "spec": { "hosts": ["cart"], "http": [{ "route": [to("v1"), to("v2")] }] } });
                stage.apply_manifest(service).await
            }
            "uncordon" => {
                let node = crash_loop(stage).await?;
                let ours = json!({ "metadata": { "annotations": { ACTION_ID: "earlier" } }, "spec": { "unschedulable": true } });
                stage.patch("v1", "Node", &node, ours).await
            }
            other => anyhow::bail!("nobody has said what has to be the matter for {other}"),
        }
    }
}

/// Held by whoever's case acts on nodes: they share these nodes, and the tests run side by side.
pub(super) static NODES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The control plane of what acts on nodes.
async fn of_its_own(parts: &Parts) -> Result<&'static ControlPlane> {
    static PLANE: tokio::sync::OnceCell<ControlPlane> = tokio::sync::OnceCell::const_new();
    PLANE.get_or_try_init(|| ControlPlane::start(parts)).await
}

/// What the life before did to nodes isn't this one's.
async fn give_back_all_nodes(plane: &ControlPlane) -> Result<()> {
    let client = plane.client().await?;
    let pods: Api<Pod> = Api::all(client.clone());
    wait::until_true("the pods of the life before are gone", SOON, || async {
        Ok(pods.list(&Default::default()).await?.items.is_empty())
    })
    .await?;
    let nodes: Api<Node> = Api::all(client);
    for node in nodes.list(&Default::default()).await? {
        let name = node.metadata.name.unwrap_or_default();
        let fresh = json!({ "metadata": { "annotations": { ACTION_ID: null } }, "spec": { "unschedulable": null } });
        nodes.patch(&name, &PatchParams::default(), &Patch::Merge(fresh)).await?;
    }
    Ok(())
}

fn autoscaler(name: &str, max: u32, owners: &Value) -> Value {
    let metrics = json!([{ "type": "Resource",
        "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }]);
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart" });
    json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": name, "ownerReferences": owners },
        "spec": { "scaleTargetRef": target, "minReplicas": 2, "maxReplicas": max, "metrics": metrics } })
}

/// KEDA's objects as KEDA leaves them; it isn't there itself.
async fn keda(stage: &Stage) -> Result<()> {
    let version = "keda.sh/v1alpha1";
    let kind = definition("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects");
    manifest::apply_one(&stage.client, kind).await?;
    let scaled = json!({ "apiVersion": version, "kind": "ScaledObject", "metadata": { "name": "cart" },
        "spec": { "scaleTargetRef": { "name": "cart" }, "minReplicaCount": 1, "maxReplicaCount": 8 } });
    stage.apply_manifest(scaled).await?;
    let uid = stage.get(version, "ScaledObject", "cart").await?["metadata"]["uid"].clone();
    let owners =
        json!([{ "apiVersion": version, "kind": "ScaledObject", "name": "cart", "controller": true, "uid": uid }]);
    stage.apply_manifest(autoscaler("keda-hpa-cart", 8, &owners)).await
}
