//! What the cluster itself says is wrong: certain, with the object, the cause and what can't cure it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::incident_type::IncidentType;
use crate::subject::Subject;
use crate::timestamp::Timestamp;

macro_rules! fact_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The kinds of fact, from the likeliest cause to the mere symptom: of several facts about one workload the first is
        /// what a person should read first. The names are an interface: they never change.
        ///
        /// ```
        /// use homeostat_core::FactKind;
        ///
        /// assert!(FactKind::ImagePull < FactKind::RolloutStuck, "the roll-out is stuck because of the image");
        /// assert_eq!(FactKind::ImagePull.name(), "image-pull");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FactKind {
            $($(#[$doc])* $variant,)*
        }

        impl FactKind {
            /// Every kind.
            pub const ALL: &'static [FactKind] = &[$(Self::$variant,)*];

            /// The stable kebab-case name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

fact_kinds! {
    /// A node isn't ready.
    NodeNotReady = "node-not-ready",
    /// A node is short of memory, disk or process ids.
    NodePressure = "node-pressure",
    /// An object that pods need isn't there: a ConfigMap, a Secret, a key of one.
    MissingConfig = "missing-config",
    /// The service account of the pods doesn't exist.
    MissingServiceAccount = "missing-service-account",
    /// An image can't be pulled.
    ImagePull = "image-pull",
    /// A quota or a limit range leaves no room for the pods.
    QuotaExceeded = "quota-exceeded",
    /// The API server refuses the pods.
    AdmissionDenied = "admission-denied",
    /// A PersistentVolumeClaim isn't bound.
    VolumePending = "volume-pending",
    /// No node takes the pods.
    Unschedulable = "unschedulable",
    /// A container can't be started.
    ContainerStart = "container-start",
    /// A container was killed for memory.
    OomKilled = "oom-killed",
    /// A container starts and ends again and again.
    CrashLoop = "crash-loop",
    /// Pods were evicted by their node.
    PodEvicted = "pod-evicted",
    /// A container runs and doesn't pass a probe.
    ProbeFailing = "probe-failing",
    /// Pods can't be created, for another reason.
    PodCreation = "pod-creation",
    /// The workload is scaled to zero.
    ScaledToZero = "scaled-to-zero",
    /// A Service selects no pod.
    ServiceWithoutPods = "service-without-pods",
    /// A Service sends to a port that no container has.
    ServicePort = "service-port",
    /// An autoscaler can't read its metrics.
    AutoscalerInactive = "autoscaler-inactive",
    /// A disruption budget allows no eviction.
    EvictionBlocked = "eviction-blocked",
    /// An object was deleted and is still there.
    StuckTerminating = "stuck-terminating",
    /// Two revisions have been serving together for long.
    TwoRevisions = "two-revisions",
    /// A roll-out doesn't progress.
    RolloutStuck = "rollout-stuck",
    /// A node takes no new pods, because somebody said so.
    NodeCordoned = "node-cordoned",
}

impl FactKind {
    /// For how long it must hold before it opens an incident: what a roll-out, a start or a drain brings along and takes away
    /// again calls nobody.
    pub const fn grace(self) -> Duration {
        let seconds = match self {
            // Two kills close to each other are none that passes.
            Self::OomKilled => 0,
            // Whoever starts before its database crashes for a minute or two, and then doesn't.
            Self::CrashLoop => 120,
            // The kubelet tries an image at once, after 10 s, 20 s and 40 s; a registry that stumbles is back by then. What pods need
            // is often applied seconds after them, in the same `kubectl apply` or Helm release.
            Self::MissingConfig | Self::MissingServiceAccount | Self::ImagePull | Self::ContainerStart => 90,
            // The controllers try again within seconds to minutes; old pods of a roll-out free a quota meanwhile.
            Self::QuotaExceeded | Self::AdmissionDenied | Self::PodCreation => 120,
            // A cluster autoscaler adds a node within three to five minutes, and a provisioner binds a volume within one.
            Self::VolumePending | Self::Unschedulable => 300,
            // Services take a minute or two to warm up, and a roll-out waits for them anyway.
            Self::ProbeFailing => 180,
            // The node controller itself waits 40 s before it says so, and pods are moved after five minutes.
            Self::NodeNotReady => 60,
            // The kubelet evicts within minutes what it can; what lasts longer isn't mended by that.
            Self::NodePressure => 600,
            // A deleted pod of a Service is replaced within its start-up time.
            Self::ServiceWithoutPods | Self::ServicePort | Self::PodEvicted => 300,
            Self::ScaledToZero => 300,
            // Metrics of new pods come after one or two minutes; metrics-server is restarted in as much.
            Self::AutoscalerInactive => 900,
            // A drain may wait for half an hour for a budget that other pods block meanwhile.
            Self::EvictionBlocked => 1_800,
            // Finalizers of cloud load balancers and volumes take minutes.
            Self::StuckTerminating => 900,
            // Two revisions together are every roll-out's way; the deadline of a roll-out is ten minutes.
            Self::TwoRevisions => 1_800,
            // The controller has waited for the deadline itself.
            Self::RolloutStuck => 0,
            Self::NodeCordoned => 3_600,
        };
        Duration::from_secs(seconds)
    }
}

impl fmt::Display for FactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An object of the cluster, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterObjectRef {
    /// Its kind, as manifests write it.
    pub kind: String,
    /// Its namespace; empty for nodes and the like.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ClusterObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// What an action brings about, as far as it may cure something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// The same pods anew: a restart, an eviction, a deleted pod.
    NewPods,
    /// The revision before.
    EarlierRevision,
    /// More replicas.
    MoreReplicas,
}

impl Remedy {
    /// As part of a sentence.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::NewPods => "new pods of the same revision",
            Self::EarlierRevision => "the revision before",
            Self::MoreReplicas => "more replicas",
        }
    }
}

/// What a fact may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It opens an incident by itself, after its grace.
    Opens,
    /// It explains an incident that is open for other reasons, and gives it its type: by itself it may well be meant.
    Explains,
    /// It may have to do with an incident, and is shown with it. No more than that is certain.
    Hints,
}

/// Something that the cluster itself says is wrong. It is read from objects, never inferred from numbers.
///
/// ```
/// use homeostat_core::{ClusterFact, ClusterObjectRef, FactKind, IncidentType, Remedy, Standing, Subject, Timestamp};
///
/// let fact = ClusterFact {
///     kind: FactKind::MissingConfig,
///     incident_type: IncidentType::ConfigDrift,
///     standing: Standing::Opens,
///     subject: Subject::deployment("shop", "cart"),
///     object: ClusterObjectRef { kind: "ConfigMap".into(), namespace: "shop".into(), name: "settings".into() },
///     sentence: "ConfigMap `settings` doesn't exist; since revision 7".into(),
///     since: Timestamp::from_secs(0),
///     revision: Some("7".into()),
///     affected: vec![],
///     cannot_cure: vec![Remedy::NewPods],
///     may_cure: vec![Remedy::EarlierRevision],
/// };
/// assert!(fact.is_settled(Timestamp::from_secs(90)) && !fact.is_settled(Timestamp::from_secs(89)));
/// assert_eq!(serde_json::from_str::<ClusterFact>(&serde_json::to_string(&fact)?)?, fact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFact {
    /// What kind of fact.
    #[serde(rename = "fact")]
    pub kind: FactKind,
    /// The type of the incident that it is.
    #[serde(rename = "type")]
    pub incident_type: IncidentType,
    /// Whether it opens an incident by itself.
    pub standing: Standing,
    /// Whom it concerns: a workload; a node or a Service is `external`.
    pub subject: Subject,
    /// The object that is at fault.
    pub object: ClusterObjectRef,
    /// What a person reads: the object and the cause.
    pub sentence: String,
    /// Since when it holds, by the moments in the objects.
    pub since: Timestamp,
    /// The revision that brought it, if it is the newest one and others were before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Other workloads that suffer from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Subject>,
    /// What can't cure it, whatever a policy says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cannot_cure: Vec<Remedy>,
    /// What may cure it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_cure: Vec<Remedy>,
}

impl ClusterFact {
    /// Whether it has held for its grace, and so isn't merely passing.
    pub fn is_settled(&self, now: Timestamp) -> bool {
        now.since(self.since) >= self.kind.grace()
    }

    /// The order in which facts are read: causes first, and of those the oldest.
    pub fn reading_order(&self) -> (FactKind, Timestamp, &ClusterObjectRef, &str) {
        (self.kind, self.since, &self.object, &self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_written_as_it_is_named() {
        for kind in FactKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
