//! Which subject a series is about.

use homeostat_core::{Subject, WorkloadKind};
use serde::{Deserialize, Serialize};

use crate::matrix::Labels;

/// How labels name a subject.
///
/// ```
/// use homeostat_core::{Subject, WorkloadKind};
/// use homeostat_ingest::{Labels, SubjectRule};
///
/// let rule = SubjectRule {
///     namespace_label: "namespace".into(),
///     name_label: "app".into(),
///     kind: WorkloadKind::Deployment,
///     ..SubjectRule::default()
/// };
/// let labels: Labels = [("namespace", "shop"), ("app", "cart")].map(|(name, value)| (name.into(), value.into())).into();
/// assert_eq!(rule.subject(&labels), Some(Subject::deployment("shop", "cart")));
/// assert_eq!(rule.subject(&Labels::new()), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct SubjectRule {
    /// The label that holds the namespace.
    pub namespace_label: String,
    /// The label that holds the workload's name.
    pub name_label: String,
    /// What kind of workload the queries give.
    pub kind: WorkloadKind,
    /// The namespace of every series, where the series have no such label; `namespace_label` is then not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_fixed: Option<String>,
    /// The label that holds the cluster, where one Prometheus has several. It is then part of what a subject is: see
    /// [`SubjectRule::subject`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_label: Option<String>,
    /// The only cluster that is looked at; series of others name no subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// What stands between the cluster and the namespace in a subject's namespace. No namespace has it, so nothing is ever
/// done to such a subject by mistake: there is no namespace of that name in any cluster.
pub const CLUSTER_SEPARATOR: char = ':';

impl SubjectRule {
    /// The subject these labels name; `None` if a label is missing, empty or contains `/`, which no name in
    /// Kubernetes does and which would make the subject's text ambiguous.
    ///
    /// With a cluster label and one cluster chosen, series of other clusters name none. With a cluster label alone every
    /// cluster's workloads are subjects of their own, in the namespace `cluster:namespace`: they are watched, and nothing
    /// can be done to them.
    pub fn subject(&self, labels: &Labels) -> Option<Subject> {
        let namespace = match &self.namespace_fixed {
            Some(fixed) => fixed,
            None => labels.get(&self.namespace_label)?,
        };
        let name = labels.get(&self.name_label)?;
        let usable = |text: &str| !text.is_empty() && !text.contains('/');
        if !(usable(namespace) && usable(name)) {
            return None;
        }
        let namespace = match (&self.cluster_label, &self.cluster) {
            (None, _) => namespace.clone(),
            (Some(label), wanted) => {
                let cluster = labels.get(label).filter(|cluster| usable(cluster))?;
                match wanted {
                    Some(wanted) if wanted == cluster => namespace.clone(),
                    Some(_another) => return None,
                    None => format!("{cluster}{CLUSTER_SEPARATOR}{namespace}"),
                }
            }
        };
        Some(Subject { namespace, kind: self.kind, name: name.clone() })
    }

    /// Whether a series is of another cluster than the one that is looked at, and rightly names no subject.
    pub fn is_of_another_cluster(&self, labels: &Labels) -> bool {
        match (&self.cluster_label, &self.cluster) {
            (Some(label), Some(wanted)) => labels.get(label).is_some_and(|cluster| cluster != wanted),
            (None, _) | (Some(_), None) => false,
        }
    }
}

impl Default for SubjectRule {
    /// `namespace` and `workload`, a Deployment: what the presets give.
    fn default() -> Self {
        Self {
            namespace_label: "namespace".to_owned(),
            name_label: "workload".to_owned(),
            kind: WorkloadKind::Deployment,
            namespace_fixed: None,
            cluster_label: None,
            cluster: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_missing_empty_or_ambiguous_label_names_nothing() {
        let rule = SubjectRule::default();
        for pairs in [
            &[("namespace", "shop")][..],
            &[("workload", "cart")],
            &[("namespace", "shop"), ("workload", "")],
            &[("namespace", "shop"), ("workload", "a/b")],
        ] {
            assert_eq!(rule.subject(&labels(pairs)), None, "{pairs:?}");
        }
        let found = rule.subject(&labels(&[("namespace", "shop"), ("workload", "cart"), ("pod", "x")]));
        assert_eq!(found, Some(Subject::deployment("shop", "cart")));
    }

    #[test]
    fn workloads_of_two_clusters_are_never_one() {
        let of = |cluster: &str| labels(&[("namespace", "shop"), ("workload", "cart"), ("cluster", cluster)]);
        let every = SubjectRule { cluster_label: Some("cluster".into()), ..SubjectRule::default() };
        let names = ["a", "b"].map(|cluster| every.subject(&of(cluster)).map(|subject| subject.to_string()));
        assert_eq!(names, [Some("a:shop/deployment/cart".into()), Some("b:shop/deployment/cart".into())]);
        assert_eq!(
            every.subject(&labels(&[("namespace", "shop"), ("workload", "cart")])),
            None,
            "of which, nobody knows"
        );
        let one = SubjectRule { cluster: Some("a".into()), ..every };
        assert_eq!(one.subject(&of("a")), Some(Subject::deployment("shop", "cart")));
        assert_eq!(one.subject(&of("b")), None);
        assert!(one.is_of_another_cluster(&of("b")) && !one.is_of_another_cluster(&of("a")));
    }

    #[test]
    fn a_fixed_namespace_needs_no_label() {
        let rule = SubjectRule { namespace_fixed: Some("shop".into()), ..SubjectRule::default() };
        let found = rule.subject(&labels(&[("workload", "cart"), ("namespace", "other")]));
        assert_eq!(found, Some(Subject::deployment("shop", "cart")));
    }
}
