//! What a window is about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A workload that is watched: it stays while its pods come and go.
///
/// Written `namespace/kind/name`, for instance `shop/deployment/payment-api`.
///
/// ```
/// use homeostat_core::Subject;
///
/// let subject: Subject = "shop/deployment/payment-api".parse()?;
/// assert_eq!(subject, Subject::deployment("shop", "payment-api"));
/// assert_eq!(subject.namespace, "shop");
/// # Ok::<(), homeostat_core::NotASubject>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Kubernetes namespace.
    pub namespace: String,
    /// What kind of workload.
    pub kind: WorkloadKind,
    /// The workload's name.
    pub name: String,
}

/// The kinds of workload a subject can be.
///
/// ```
/// use homeostat_core::{Subject, WorkloadKind};
///
/// let db: Subject = "shop/stateful-set/db".parse()?;
/// assert_eq!(db.kind, WorkloadKind::StatefulSet);
/// assert_eq!(WorkloadKind::ALL.map(WorkloadKind::name), ["deployment", "stateful-set", "daemon-set", "external"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// Something watched that homeostat can't act on, such as an external database.
    External,
}

impl WorkloadKind {
    /// Every kind.
    pub const ALL: [WorkloadKind; 4] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::External];

    /// The stable name used in config, metrics and ids.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "stateful-set",
            Self::DaemonSet => "daemon-set",
            Self::External => "external",
        }
    }
}

/// A text that is no subject.
///
/// ```
/// use homeostat_core::Subject;
///
/// let refused = "payment-api".parse::<Subject>().map_err(|error| error.to_string());
/// assert!(refused.is_err_and(|text| text.contains("write it as namespace/kind/name")));
/// assert!("shop/pod/cart-7d4f".parse::<Subject>().is_err(), "pods come and go");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid subject {0:?}: write it as namespace/kind/name, with kind deployment, stateful-set, daemon-set or external"
)]
pub struct NotASubject(String);

impl Subject {
    /// A Deployment.
    pub fn deployment(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), kind: WorkloadKind::Deployment, name: name.into() }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind.name(), self.name)
    }
}

impl FromStr for Subject {
    type Err = NotASubject;
    fn from_str(text: &str) -> Result<Self, NotASubject> {
        let wrong = || NotASubject(text.to_owned());
        let mut parts = text.split('/');
        let (Some(namespace), Some(kind), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let kind = WorkloadKind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(wrong)?;
        if namespace.is_empty() || name.is_empty() {
            return Err(wrong());
        }
        Ok(Self { namespace: namespace.to_owned(), kind, name: name.to_owned() })
    }
}

impl Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_back() {
        let subject = Subject::deployment("shop", "payment-api");
        assert_eq!(subject.to_string(), "shop/deployment/payment-api");
        assert_eq!("shop/deployment/payment-api".parse(), Ok(subject));
    }

    #[test]
    fn half_a_subject_is_refused() {
        for text in
            ["", "shop", "shop/deployment", "shop/pod/x", "/deployment/x", "shop/deployment/", "a/deployment/b/c"]
        {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
