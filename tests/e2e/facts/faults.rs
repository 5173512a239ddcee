//! Faults to be put on a control plane, each in a namespace of its own, and what must be said of it.

use anyhow::{Context, Result};
use homeostat_tests::manifest::apply_one;
use homeostat_tests::{wait, workload};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

/// A fault.
pub(crate) struct Fault {
    /// Its namespace is called so, too.
    pub(crate) name: &'static str,
    /// What makes it.
    objects: Vec<Value>,
    /// What is patched into the status of its pods, where a kubelet would write it.
    status: Option<Value>,
    /// The incident's type, and a part of the sentence.
    pub(crate) wanted: (&'static str, &'static str),
}

/// A Deployment `cart` whose pods differ from ordinary ones in this part of their specification.
fn deployment(pod: Value) -> Value {
    let mut spec = json!({"containers": [{
        "name": "app", "image": "shop/cart:1.4.9", "ports": [{"name": "http", "containerPort": 8080}],
    }]});
    for (key, value) in pod.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "cart"}},
            "template": {"metadata": {"labels": {"app": "cart"}}, "spec": spec},
        },
    })
}

fn on_node(node: &str) -> Value {
    json!({"nodeSelector": {"kubernetes.io/hostname": node}})
}

fn asking_for(memory: &str) -> Value {
    json!({"containers": [{"name": "app", "image": "shop/cart:1.4.9", "resources": {"requests": {"memory": memory}}}]})
}

fn claiming() -> Value {
    json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]})
}

fn service(selector: &str, target_port: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart"},
        "spec": {"selector": {"app": selector}, "ports": [{"port": 80, "targetPort": target_port}]},
    })
}

fn waits(reason: &str, message: &str) -> Value {
    json!({"name": "app", "image": "shop/cart:1.4.9", "imageID": "", "ready": false, "restartCount": 0,
           "state": {"waiting": {"reason": reason, "message": message}}})
}

fn crashes(reason: &str, exit_code: i32) -> Value {
    let now = jiff_now();
    json!({"name": "app", "image": "shop/cart:1.4.9", "imageID": "", "ready": false, "restartCount": 6,
           "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s restarting failed container=app"}},
           "lastState": {"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": now, "finishedAt": now}}})
}

fn jiff_now() -> String {
    homeostat_tests::shop_feed::now().align_down(std::time::Duration::from_secs(1)).to_string()
}

/// All of them. Nodes: `node-0` is left alone, `node-1` gets a taint, `node-2` is cordoned once the pods are on it.
pub(crate) fn all() -> Vec<Fault> {
    let fault = |name, objects: Vec<Value>, wanted| Fault { name, objects, status: None, wanted };
    let played = |name, status: Value, wanted| Fault {
        name,
        objects: vec![deployment(json!({}))],
        status: Some(status),
        wanted,
    };
    vec![
        fault(
            "quota",
            vec![
                json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}}),
                deployment(json!({})),
            ],
            (
                "resource-starvation",
                "ResourceQuota `small` is exhausted: its pods ask for pods=1, pods=1 of pods=1 is used",
            ),
        ),
        fault(
            "limit-range",
            vec![
                json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "max"},
                       "spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}}),
                deployment(
                    json!({"containers": [{"name": "app", "image": "a", "resources": {"limits": {"memory": "2Gi"}}}]}),
                ),
            ],
            (
                "resource-starvation",
                "a LimitRange of the namespace refuses its pods: maximum memory usage per Container is 1Gi",
            ),
        ),
        fault(
            "service-account",
            vec![deployment(json!({"serviceAccountName": "robot"}))],
            ("config-drift", "ServiceAccount `robot` doesn't exist"),
        ),
        fault(
            "node-selector",
            vec![deployment(json!({"nodeSelector": {"disk": "ssd"}}))],
            (
                "unschedulable",
                "2 of 2 pods can't be scheduled: no node has the labels that its node selector or affinity asks for",
            ),
        ),
        fault(
            "memory",
            vec![deployment(asking_for("4000Ti"))],
            (
                "resource-starvation",
                "2 of 2 pods can't be scheduled: insufficient memory (needs 4000Ti; the largest node has",
            ),
        ),
        fault(
            "taint",
            vec![deployment(on_node("node-1"))],
            ("unschedulable", "the taint `dedicated: gpu`, which it doesn't tolerate"),
        ),
        fault(
            "zero",
            vec![{
                let mut off = deployment(json!({}));
                off["spec"]["replicas"] = json!(0);
                off
            }],
            ("replica-loss", "Deployment `cart` is scaled to zero: it has no pods"),
        ),
        fault(
            "selector",
            vec![deployment(json!({})), service("basket", "http")],
            (
                "service-unreachable",
                "Service `cart` selects no pod: its selector is app=basket; the pods of Deployment `cart` have app=cart",
            ),
        ),
        fault(
            "target-port",
            vec![deployment(json!({})), service("cart", "web")],
            (
                "service-unreachable",
                "Service `cart` sends to port `web`, which no container declares: they have 8080 (http)",
            ),
        ),
        fault(
            "rollout",
            vec![{
                let mut stuck = deployment(json!({"nodeSelector": {"disk": "ssd"}}));
                stuck["spec"]["progressDeadlineSeconds"] = json!(1);
                stuck
            }],
            ("bad-deployment", "the roll-out of revision 1 of Deployment `cart` is stuck"),
        ),
        fault(
            "claim-missing",
            vec![deployment(claiming())],
            ("volume-pending", "PersistentVolumeClaim `data` doesn't exist"),
        ),
        fault(
            "claim-unbound",
            vec![
                json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
                       "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}}),
                deployment(claiming()),
            ],
            ("volume-pending", "PersistentVolumeClaim `data` isn't bound to a volume"),
        ),
        fault(
            "budget",
            vec![
                deployment(on_node("node-2")),
                json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "cart"},
                       "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "cart"}}}}),
            ],
            (
                "eviction-blocked",
                "PodDisruptionBudget `cart` allows no eviction, and node `node-2`, which has a pod of it, is cordoned",
            ),
        ),
        fault(
            "autoscaler",
            vec![
                deployment(json!({})),
                json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "cart"},
                       "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}, "maxReplicas": 4,
                                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}}),
            ],
            ("autoscaler-inactive", "HorizontalPodAutoscaler `cart` doesn't scale `cart`"),
        ),
        fault(
            "webhook",
            vec![
                json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                       "metadata": {"name": "facts-webhook"},
                       "webhooks": [{"name": "policy.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                                     "failurePolicy": "Fail", "timeoutSeconds": 2, "clientConfig": {"url": "https://127.0.0.1:1/validate"},
                                     "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "webhook"}},
                                     "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]}]}),
                deployment(json!({})),
            ],
            (
                "admission-denied",
                "the admission webhook `policy.example.com` can't be reached, so no pod can be created: connection refused",
            ),
        ),
        fault(
            "pod-security",
            vec![
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pod-security", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}),
                deployment(json!({})),
            ],
            ("admission-denied", "Pod Security `restricted:latest` of the namespace denies its pods"),
        ),
        fault(
            "finalizer",
            vec![{
                let mut kept = deployment(json!({}));
                kept["metadata"]["finalizers"] = json!(["example.com/hold"]);
                kept
            }],
            (
                "stuck-terminating",
                "Deployment `cart` was deleted and is still there: its finalizer `example.com/hold` is still there",
            ),
        ),
        played(
            "image",
            waits("ErrImagePull", r#"failed to pull and unpack image "docker.io/shop/cart:1.4.9": not found"#),
            ("image-pull", "the image `shop/cart:1.4.9` can't be pulled: not found"),
        ),
        played(
            "configmap",
            waits("CreateContainerConfigError", r#"configmap "settings" not found"#),
            ("config-drift", "ConfigMap `settings` doesn't exist"),
        ),
        played(
            "crash",
            crashes("Error", 1),
            ("crash-loop", "the container `app` crashes again and again: exit code 1"),
        ),
        played(
            "oom",
            crashes("OOMKilled", 137),
            (
                "oom-killed",
                "the container `app` is killed for memory again and again (OOMKilled): it has no memory limit",
            ),
        ),
    ]
}

impl Fault {
    /// Puts it there. What needs time (controllers, the scheduler) is waited for by whoever looks at it.
    pub(crate) async fn put(&self, client: &Client) -> Result<()> {
        workload::create_namespace(client, self.name).await?;
        for object in &self.objects {
            let mut object = object.clone();
            let is_of_cluster = matches!(object["kind"].as_str(), Some("Namespace" | "ValidatingWebhookConfiguration"));
            if !is_of_cluster {
                object["metadata"]["namespace"] = json!(self.name);
            }
            apply_one(client, object).await.with_context(|| format!("the fault {}", self.name))?;
        }
        if let Some(status) = &self.status {
            play(client, self.name, status).await?;
        }
        if self.name == "finalizer" {
            let deployments: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(client.clone(), self.name);
            deployments.delete("cart", &DeleteParams::default()).await?;
        }
        Ok(())
    }
}

/// Waits for the Deployment's pods and writes into their status what a kubelet would.
async fn play(client: &Client, namespace: &str, container: &Value) -> Result<()> {
    workload::wait_rolled_out(client, namespace, "cart").await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let since = jiff_now();
    for pod in workload::pods_of(client, namespace, "cart").await? {
        let mut conditions = serde_json::to_value(pod.status.as_ref().and_then(|status| status.conditions.clone()))?;
        for condition in conditions.as_array_mut().into_iter().flatten() {
            if matches!(condition["type"].as_str(), Some("Ready" | "ContainersReady")) {
                condition["status"] = json!("False");
                condition["lastTransitionTime"] = json!(since);
            }
        }
        let status = json!({"status": {"containerStatuses": [container], "conditions": conditions}});
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
    }
    Ok(())
}

/// Taints one node; cordons another once the pods of the budget are on it.
pub(crate) async fn prepare_nodes(client: &Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let taint = json!({"spec": {"taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]}});
    nodes.patch("node-1", &PatchParams::default(), &Patch::Merge(taint)).await?;
    Ok(())
}

pub(crate) async fn cordon(client: &Client) -> Result<()> {
    wait::until_true("the pods of the budget are on their node", std::time::Duration::from_secs(60), || async {
        let pods = workload::pods_of(client, "budget", "cart").await?;
        let on_node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some("node-2");
        Ok(pods.len() == 2 && pods.iter().all(on_node))
    })
    .await?;
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.cordon("node-2").await?;
    Ok(())
}
