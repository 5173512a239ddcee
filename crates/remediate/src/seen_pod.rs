//! A pod of the target, as far as actions on single pods need to know it.

use std::collections::BTreeMap;

use homeostat_core::Timestamp;

use crate::object_ref::ObjectRef;

/// A pod of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPod {
    /// Which one, and at which version.
    pub object: ObjectRef,
    /// The node that it runs on, once it does.
    pub node: Option<String>,
    /// Since when it hasn't been ready, and why; `None` for a pod that serves.
    pub failing: Option<Failing>,
    /// How often its containers were started again.
    pub restarts: u32,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A pod doesn't serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when, where the cluster says so.
    pub since: Option<Timestamp>,
    /// The cluster's reason, such as `CrashLoopBackOff`.
    pub why: String,
}

/// The pod that has failed for longest; of several, the one with most restarts.
pub fn worst_failing(pods: &[SeenPod]) -> Option<(&SeenPod, &Failing)> {
    let failing = pods.iter().filter_map(|pod| Some((pod, pod.failing.as_ref()?)));
    failing.min_by_key(|(pod, failing)| {
        let since = failing.since.map_or(i64::MAX, Timestamp::as_millis);
        (since, std::cmp::Reverse(pod.restarts), pod.object.name.clone())
    })
}
