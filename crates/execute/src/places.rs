//! Where actions act.

use homeostat_http::Http;
#[cfg(feature = "kubernetes")]
use homeostat_remediate::InspectError;

#[cfg(feature = "kubernetes")]
use crate::kubernetes::Cluster;

/// Where actions act. What isn't there, nothing is done to.
#[derive(Clone, Default)]
pub struct Places {
    #[cfg(feature = "kubernetes")]
    cluster: Option<Cluster>,
    /// For systems outside the cluster.
    http: Http,
}

impl Places {
    /// With this cluster.
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn with_cluster(self, cluster: Cluster) -> Self {
        Self { cluster: Some(cluster), ..self }
    }

    /// The cluster, if there is one.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn cluster(&self) -> Result<&Cluster, InspectError> {
        let why = || InspectError::NotConfigured { why: "no Kubernetes cluster is configured".to_owned() };
        self.cluster.as_ref().ok_or_else(why)
    }

    /// What sends requests to systems outside the cluster.
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }
}
