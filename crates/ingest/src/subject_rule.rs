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
///     namespace_fixed: None,
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
}

impl SubjectRule {
    /// The subject these labels name; `None` if a label is missing, empty or contains `/`, which no name in
    /// Kubernetes does and which would make the subject's text ambiguous.
    pub fn subject(&self, labels: &Labels) -> Option<Subject> {
        let namespace = match &self.namespace_fixed {
            Some(fixed) => fixed,
            None => labels.get(&self.namespace_label)?,
        };
        let name = labels.get(&self.name_label)?;
        let usable = |text: &str| !text.is_empty() && !text.contains('/');
        (usable(namespace) && usable(name)).then(|| Subject {
            namespace: namespace.clone(),
            kind: self.kind,
            name: name.clone(),
        })
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
    fn a_fixed_namespace_needs_no_label() {
        let rule = SubjectRule { namespace_fixed: Some("shop".into()), ..SubjectRule::default() };
        let found = rule.subject(&labels(&[("workload", "cart"), ("namespace", "other")]));
        assert_eq!(found, Some(Subject::deployment("shop", "cart")));
    }
}
