//! Which objects are watched, and the rights that this needs.

use homeostat_remediate::Right;

/// A resource of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The kind of its objects.
    pub(crate) kind: &'static str,
    /// Its plural.
    pub(crate) plural: &'static str,
    /// Its group; empty for the core group.
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) is_namespaced: bool,
    /// Which of them, by field.
    pub(crate) fields: Option<&'static str>,
}

/// Pods first: without them nothing else says much.
pub(crate) const RESOURCES: [Resource; 11] = [
    core("Pod", "pods"),
    apps("Deployment", "deployments"),
    apps("ReplicaSet", "replicasets"),
    apps("StatefulSet", "statefulsets"),
    apps("DaemonSet", "daemonsets"),
    // Nine of ten events are normal, and no fact needs those.
    Resource { fields: Some("type=Warning"), ..core("Event", "events") },
    core("Service", "services"),
    core("PersistentVolumeClaim", "persistentvolumeclaims"),
    Resource { group: "autoscaling", version: "v2", ..core("HorizontalPodAutoscaler", "horizontalpodautoscalers") },
    Resource { group: "policy", ..core("PodDisruptionBudget", "poddisruptionbudgets") },
    Resource { is_namespaced: false, ..core("Node", "nodes") },
];

const fn core(kind: &'static str, plural: &'static str) -> Resource {
    Resource { kind, plural, group: "", version: "v1", is_namespaced: true, fields: None }
}

const fn apps(kind: &'static str, plural: &'static str) -> Resource {
    Resource { group: "apps", ..core(kind, plural) }
}

impl Resource {
    /// Where its objects are, of a namespace or of all.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let Self { group, version, plural, .. } = self;
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        match namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
            None => format!("{root}/{plural}"),
        }
    }

    /// What must be allowed.
    pub(crate) fn rights(&self) -> [Right; 2] {
        ["list", "watch"].map(|verb| Right { verb, resource: self.plural, group: self.group })
    }
}

#[cfg(all(test, feature = "kubernetes"))]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let of = |kind: &str| RESOURCES.iter().find(|resource| resource.kind == kind).unwrap();
        assert_eq!(of("Pod").path(None), "/api/v1/pods");
        assert_eq!(of("Deployment").path(Some("shop")), "/apis/apps/v1/namespaces/shop/deployments");
        assert_eq!(of("HorizontalPodAutoscaler").path(None), "/apis/autoscaling/v2/horizontalpodautoscalers");
    }
}
