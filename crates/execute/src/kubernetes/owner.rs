//! Who keeps a Deployment as somebody else says: GitOps tools, operators, OLM. Pure.
//!
//! An owner puts back what we write, sooner or later. So a trace of one is enough; a human who knows better says so with
//! the annotation [`ACT_IN_PLACE`].

use homeostat_remediate::Owner;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// With the value `"true"`: whoever owns the workload accepts changes made in place.
pub const ACT_IN_PLACE: &str = "homeostat.io/act-in-place";

/// How keys of labels and annotations begin that each tool puts on what it applies.
const KEYS: [(&str, &[&str]); 9] = [
    // The tracking annotation, the dedicated tracking label, and hints from manifests (sync waves and the like).
    ("Argo CD", &["argocd.argoproj.io/"]),
    ("Flux", &["kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/", "fluxcd.io/", "helm.fluxcd.io/"]),
    // Fleet applies bundles through the library `objectset`, which leaves the second.
    ("Fleet", &["fleet.cattle.io/", "objectset.rio.cattle.io/"]),
    ("Config Sync", &["configsync.gke.io/", "configmanagement.gke.io/"]),
    ("kapp", &["kapp.k14s.io/"]),
    ("the Operator Lifecycle Manager", &["olm.", "olm.operatorframework.io/"]),
    ("the addon manager", &["addonmanager.kubernetes.io/"]),
    ("Sveltos", &["projectsveltos.io/"]),
    ("Rancher's Helm controller", &["helm.cattle.io/"]),
];

/// How the names of the tools' field managers begin.
const MANAGERS: [(&str, &str); 7] = [
    ("Argo CD", "argocd-"),
    ("Flux", "kustomize-controller"),
    ("Flux", "helm-controller"),
    ("Fleet", "fleetagent"),
    ("Config Sync", "configsync"),
    ("kapp", "kapp-controller"),
    ("Sveltos", "application/apply-patch-sveltos"),
];

/// The label by which Argo CD tracks unless told otherwise; also one of Kubernetes' recommended labels.
const INSTANCE: &str = "app.kubernetes.io/instance";
/// Helm itself leaves this on what it installs, and `helm template`, which Argo CD renders charts with, doesn't.
const HELM_RELEASE: &str = "meta.helm.sh/release-name";
/// Says who manages an object; Config Sync and Argo CD's users write it.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Who keeps the object as it is, with the trace that says so.
pub(super) fn owner(metadata: &ObjectMeta) -> Option<Owner> {
    let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).map(String::as_str);
    if annotation(ACT_IN_PLACE) == Some("true") {
        return None;
    }
    controller(metadata).or_else(|| by_key(metadata)).or_else(|| by_manager(metadata)).or_else(|| by_label(metadata))
}

/// Another object is its controller: an operator's custom resource, a Knative service, Flagger's canary.
fn controller(metadata: &ObjectMeta) -> Option<Owner> {
    let controller = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    let name = format!("the controller of {} {}", controller.kind, controller.name);
    Some(Owner { name, seen_by: "owner reference".to_owned() })
}

fn by_key(metadata: &ObjectMeta) -> Option<Owner> {
    let keys = || metadata.labels.iter().chain(metadata.annotations.iter()).flat_map(|map| map.keys());
    KEYS.iter().find_map(|(name, prefixes)| {
        let key = keys().find(|key| prefixes.iter().any(|prefix| key.starts_with(prefix)))?;
        Some(Owner { name: (*name).to_owned(), seen_by: key.clone() })
    })
}

fn by_manager(metadata: &ObjectMeta) -> Option<Owner> {
    let managers = || metadata.managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref());
    MANAGERS.iter().find_map(|(name, prefix)| {
        let manager = managers().find(|manager| manager.starts_with(prefix))?;
        Some(Owner { name: (*name).to_owned(), seen_by: format!("field manager {manager}") })
    })
}

/// Labels that Argo CD and Config Sync track by, but others write too. Helm's own installations are told by Helm's
/// annotation; of the rest nobody can say that it isn't tracked.
fn by_label(metadata: &ObjectMeta) -> Option<Owner> {
    let label = |key: &str| metadata.labels.as_ref()?.get(key).map(String::as_str);
    let is_helm = metadata.annotations.as_ref().is_some_and(|map| map.contains_key(HELM_RELEASE));
    let seen = |name: &str, key: &str| Some(Owner { name: name.to_owned(), seen_by: key.to_owned() });
    match label(MANAGED_BY).map(str::to_ascii_lowercase).as_deref() {
        Some("configmanagement.gke.io" | "configsync.gke.io") => return seen("Config Sync", MANAGED_BY),
        Some(by) if by.starts_with("argocd") || by.starts_with("argo-cd") => return seen("Argo CD", MANAGED_BY),
        Some(_) | None => {}
    }
    if label(INSTANCE).is_some() && !is_helm {
        return seen("Argo CD (perhaps: it tracks by this label)", INSTANCE);
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kubernetes::testing::deployment;

    fn owner_of(changes: Value) -> Option<String> {
        owner(&deployment(changes).metadata).map(|owner| owner.name)
    }

    #[test]
    fn every_owner_is_known_by_its_traces() {
        let manager =
            |name: &str| json!({ "metadata": { "managedFields": [{ "manager": name, "operation": "Update" }] } });
        let label = |key: &str, value: &str| json!({ "metadata": { "labels": { key: value } } });
        let annotation = |key: &str| json!({ "metadata": { "annotations": { key: "x" } } });
        let owned = |controller: bool| {
            json!({ "metadata": { "ownerReferences": [{ "apiVersion": "x/v1", "kind": "Shop", "name": "eu",
            "uid": "u", "controller": controller }] } })
        };
        let cases: [(Value, Option<&str>); 22] = [
            (json!({}), None),
            (annotation("argocd.argoproj.io/tracking-id"), Some("Argo CD")),
            (label("argocd.argoproj.io/instance", "x"), Some("Argo CD")),
            (manager("argocd-controller"), Some("Argo CD")),
            (label("app.kubernetes.io/managed-by", "argocd"), Some("Argo CD")),
            (label("kustomize.toolkit.fluxcd.io/name", "x"), Some("Flux")),
            (label("helm.toolkit.fluxcd.io/name", "x"), Some("Flux")),
            (annotation("helm.fluxcd.io/antecedent"), Some("Flux")),
            (manager("kustomize-controller"), Some("Flux")),
            (annotation("objectset.rio.cattle.io/id"), Some("Fleet")),
            (label("fleet.cattle.io/bundle-name", "x"), Some("Fleet")),
            (annotation("configmanagement.gke.io/managed"), Some("Config Sync")),
            (label("app.kubernetes.io/managed-by", "configmanagement.gke.io"), Some("Config Sync")),
            (label("kapp.k14s.io/app", "1"), Some("kapp")),
            (annotation("kapp.k14s.io/identity"), Some("kapp")),
            (label("olm.owner", "csv"), Some("the Operator Lifecycle Manager")),
            (label("olm.managed", "true"), Some("the Operator Lifecycle Manager")),
            (owned(true), Some("the controller of Shop eu")),
            (owned(false), None),
            (label("my.argocd.argoproj.io.example/x", "x"), None),
            (manager("kubectl-client-side-apply"), None),
            (label("app.kubernetes.io/managed-by", "Helm"), None),
        ];
        for (changes, expected) in cases {
            assert_eq!(owner_of(changes.clone()).as_deref(), expected, "{changes}");
        }
    }

    #[test]
    fn the_instance_label_is_argo_cds_unless_helm_installed_it() {
        let with = |annotations: Value| json!({ "metadata": { "labels": { INSTANCE: "shop", MANAGED_BY: "Helm" }, "annotations": annotations } });
        assert!(owner_of(with(json!({}))).is_some_and(|name| name.starts_with("Argo CD")));
        assert_eq!(owner_of(with(json!({ HELM_RELEASE: "shop" }))), None);
    }

    #[test]
    fn a_human_may_say_that_the_owner_accepts_changes() {
        let marked = |value: &str| json!({ "metadata": { "annotations": { ACT_IN_PLACE: value, "argocd.argoproj.io/tracking-id": "x" } } });
        assert_eq!(owner_of(marked("true")), None);
        assert!(owner_of(marked("false")).is_some());
    }
}
