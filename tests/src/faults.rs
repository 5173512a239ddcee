//! Faults to be put on a control plane, each in a namespace of its own, and what must be said of it.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::manifest::apply_one;
use crate::{wait, workload};

use played::{Played, crashes, runs, waits};

mod played;

/// A fault.
pub struct Fault {
    /// Its namespace is called so, too.
    pub name: &'static str,
    /// What makes it.
    objects: Vec<Value>,
    /// What a kubelet would write of its pods.
    played: Played,
    /// The incident's type, and a part of the sentence.
    pub wanted: (&'static str, &'static str),
    /// Whether it lasts for so long before anybody is called that a test can't wait for it: a quarter of an hour and more.
    pub is_slow: bool,
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

/// All of them. Nodes: `node-0` is left alone, `node-1` gets a taint, `node-2` is cordoned once the pods are on it.
#[must_use]
pub fn all() -> Vec<Fault> {
    let fault = |name, objects: Vec<Value>, wanted| Fault {
        name,
        objects,
        played: Played::default(),
        wanted,
        is_slow: ["budget", "autoscaler", "finalizer"].contains(&name),
    };
    let of_kubelet = |name, pod: Value, played: Played, wanted| Fault {
        name,
        objects: vec![deployment(pod)],
        played,
        wanted,
        is_slow: false,
    };
    let played = |name, status: Value, wanted| {
        of_kubelet(name, json!({}), Played { containers: vec![status], ..Played::default() }, wanted)
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
        fault(
            "cpu",
            vec![deployment(json!({"containers": [{
                "name": "app", "image": "shop/cart:1.4.9", "resources": {"requests": {"cpu": "4000"}},
            }]}))],
            (
                "resource-starvation",
                "2 of 2 pods can't be scheduled: insufficient CPU (needs 4000; the largest node has",
            ),
        ),
        fault(
            "anti-affinity",
            vec![{
                let mut spread = deployment(json!({"affinity": {"podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [{
                        "labelSelector": {"matchLabels": {"app": "cart"}}, "topologyKey": "kubernetes.io/hostname",
                    }],
                }}}));
                spread["spec"]["replicas"] = json!(5);
                spread
            }],
            ("unschedulable", "its pod anti-affinity leaves no node"),
        ),
        played(
            "secret",
            waits("CreateContainerConfigError", r#"secret "db" not found"#),
            ("config-drift", "Secret `db` doesn't exist"),
        ),
        played(
            "secret-key",
            waits("CreateContainerConfigError", "couldn't find key password in Secret secret-key/db"),
            ("config-drift", "Secret `db` has no key `password`"),
        ),
        of_kubelet(
            "mount",
            json!({"volumes": [{"name": "certs", "secret": {"secretName": "tls"}}]}),
            Played {
                containers: vec![waits("ContainerCreating", "")],
                event: Some(("FailedMount", r#"MountVolume.SetUp failed for volume "certs" : secret "tls" not found"#)),
                ..Played::default()
            },
            ("config-drift", "Secret `tls` doesn't exist"),
        ),
        played(
            "image-name",
            waits("InvalidImageName", "Failed to apply default image tag \"shop/cart:1:4\": couldn't parse image name"),
            ("image-pull", "the image `shop/cart:1.4.9` can't be pulled: the name isn't valid"),
        ),
        of_kubelet(
            "sidecar",
            json!({"containers": [
                {"name": "app", "image": "shop/cart:1.4.9"}, {"name": "proxy", "image": "mesh/proxy:9"},
            ]}),
            Played {
                containers: vec![
                    runs("app", "shop/cart:1.4.9"),
                    json!({"name": "proxy", "image": "mesh/proxy:9", "imageID": "", "ready": false, "restartCount": 0,
                           "state": {"waiting": {"reason": "ErrImagePull", "message": "pull access denied"}}}),
                ],
                ..Played::default()
            },
            ("image-pull", "the image `mesh/proxy:9` can't be pulled: the registry denies access"),
        ),
        played(
            "command",
            waits(
                "RunContainerError",
                r#"failed to create containerd task: exec: "serve": executable file not found in $PATH: unknown"#,
            ),
            ("crash-loop", r#"exec: "serve": executable file not found in $PATH"#),
        ),
        of_kubelet(
            "init-container",
            json!({"initContainers": [{"name": "migrate", "image": "shop/migrate:3"}]}),
            Played {
                containers: vec![waits("PodInitializing", "")],
                init_containers: vec![{
                    let mut status = crashes("Error", 2);
                    status["name"] = json!("migrate");
                    status
                }],
                ..Played::default()
            },
            ("crash-loop", "the init container `migrate` crashes again and again: exit code 2"),
        ),
        of_kubelet(
            "probe",
            json!({}),
            Played {
                containers: vec![{
                    let mut status = runs("app", "shop/cart:1.4.9");
                    status["ready"] = json!(false);
                    status
                }],
                event: Some((
                    "Unhealthy",
                    r#"Readiness probe failed: Get "http://10.1.2.3:8081/": dial tcp 10.1.2.3:8081: connect: connection refused"#,
                )),
                ..Played::default()
            },
            ("probe-failing", "its readiness probe fails: nothing listens on port 8081"),
        ),
        of_kubelet(
            "revision",
            json!({}),
            Played {
                containers: vec![crashes("Error", 1)],
                second_revision: Some("shop/cart:1.5.0"),
                ..Played::default()
            },
            ("bad-deployment", "crashes again and again: exit code 1; since revision 2"),
        ),
    ]
}

impl Fault {
    /// Puts it there. What needs time (controllers, the scheduler) is waited for by whoever looks at it.
    ///
    /// # Errors
    /// When the API server refuses a part of it.
    pub async fn put(&self, client: &Client) -> Result<()> {
        workload::create_namespace(client, self.name).await?;
        for object in &self.objects {
            let mut object = object.clone();
            let is_of_cluster = matches!(object["kind"].as_str(), Some("Namespace" | "ValidatingWebhookConfiguration"));
            if !is_of_cluster {
                object["metadata"]["namespace"] = json!(self.name);
            }
            apply_one(client, object).await.with_context(|| format!("the fault {}", self.name))?;
        }
        self.played.play(client, self.name).await?;
        if self.name == "finalizer" {
            let deployments: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(client.clone(), self.name);
            deployments.delete("cart", &DeleteParams::default()).await?;
        }
        Ok(())
    }
}

/// Taints `node-1`.
///
/// # Errors
/// When the API server refuses it.
pub async fn prepare_nodes(client: &Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let taint = json!({"spec": {"taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]}});
    nodes.patch("node-1", &PatchParams::default(), &Patch::Merge(taint)).await?;
    Ok(())
}

/// Cordons `node-2` once the pods of the budget are on it.
///
/// # Errors
/// When they don't come, or the API server refuses it.
pub async fn cordon(client: &Client) -> Result<()> {
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
