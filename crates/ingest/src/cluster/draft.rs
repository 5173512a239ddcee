//! A fact in the making: what a rule has found, from which follows what can't cure it and what may.

use homeostat_core::{ClusterFact, ClusterObjectRef, FactKind, IncidentType, Remedy, Standing, Subject, Timestamp};

use super::revision::Revision;

/// What a rule has found.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: FactKind,
    pub(super) incident_type: IncidentType,
    pub(super) object: ClusterObjectRef,
    pub(super) sentence: String,
    pub(super) since: Timestamp,
}

impl Draft {
    pub(super) fn new(kind: FactKind, object: ClusterObjectRef, since: Timestamp, sentence: impl Into<String>) -> Self {
        Self { kind, incident_type: incident_type(kind), object, sentence: sentence.into(), since }
    }

    /// A fact about this subject, which opens an incident by itself or doesn't.
    pub(super) fn about(self, subject: Subject, standing: Standing) -> ClusterFact {
        self.of_revision(subject, standing, None)
    }

    /// The same, of pods of this revision.
    pub(super) fn of_revision(self, subject: Subject, standing: Standing, revision: Option<&Revision>) -> ClusterFact {
        let Self { kind, mut incident_type, object, mut sentence, since } = self;
        let revision = revision.filter(|revision| revision.is_new);
        if let Some(revision) = revision {
            if is_of_the_template(kind) {
                incident_type = IncidentType::BadDeployment;
            }
            sentence.push_str(&format!("; since revision {}", revision.name));
        }
        let (cannot_cure, may_cure) = cures(kind, revision.is_some());
        ClusterFact {
            kind,
            incident_type,
            standing,
            subject,
            object,
            sentence,
            since,
            revision: revision.map(|revision| revision.name.clone()),
            affected: Vec::new(),
            cannot_cure,
            may_cure,
        }
    }
}

/// The incident that it is, where it didn't come with a new revision.
fn incident_type(kind: FactKind) -> IncidentType {
    match kind {
        FactKind::NodeNotReady | FactKind::NodePressure | FactKind::NodeCordoned => IncidentType::NodeFailure,
        FactKind::MissingConfig | FactKind::MissingServiceAccount => IncidentType::ConfigDrift,
        FactKind::ImagePull => IncidentType::ImagePull,
        FactKind::QuotaExceeded | FactKind::PodEvicted => IncidentType::ResourceStarvation,
        FactKind::AdmissionDenied | FactKind::PodCreation => IncidentType::AdmissionDenied,
        FactKind::VolumePending => IncidentType::VolumePending,
        FactKind::Unschedulable => IncidentType::Unschedulable,
        FactKind::ContainerStart | FactKind::CrashLoop => IncidentType::CrashLoop,
        FactKind::OomKilled => IncidentType::OomKilled,
        FactKind::ProbeFailing => IncidentType::ProbeFailing,
        FactKind::ScaledToZero => IncidentType::ReplicaLoss,
        FactKind::ServiceWithoutPods | FactKind::ServicePort => IncidentType::ServiceUnreachable,
        FactKind::AutoscalerInactive => IncidentType::AutoscalerInactive,
        FactKind::EvictionBlocked => IncidentType::EvictionBlocked,
        FactKind::StuckTerminating => IncidentType::StuckTerminating,
        FactKind::TwoRevisions => IncidentType::VersionSkew,
        FactKind::RolloutStuck => IncidentType::BadDeployment,
    }
}

/// Whether a fault that began with a revision is that revision's: it is in the pod template. Where there is no room for a pod, a new
/// revision is only the occasion; a container that was killed for memory was killed for memory.
fn is_of_the_template(kind: FactKind) -> bool {
    match kind {
        FactKind::MissingConfig
        | FactKind::MissingServiceAccount
        | FactKind::ImagePull
        | FactKind::ContainerStart
        | FactKind::CrashLoop
        | FactKind::ProbeFailing
        | FactKind::AdmissionDenied => true,
        FactKind::NodeNotReady
        | FactKind::NodePressure
        | FactKind::NodeCordoned
        | FactKind::QuotaExceeded
        | FactKind::PodCreation
        | FactKind::VolumePending
        | FactKind::Unschedulable
        | FactKind::OomKilled
        | FactKind::PodEvicted
        | FactKind::ScaledToZero
        | FactKind::ServiceWithoutPods
        | FactKind::ServicePort
        | FactKind::AutoscalerInactive
        | FactKind::EvictionBlocked
        | FactKind::StuckTerminating
        | FactKind::TwoRevisions
        | FactKind::RolloutStuck => false,
    }
}

/// What can't cure it, and what may. Whatever is in neither list isn't known.
fn cures(kind: FactKind, is_new_revision: bool) -> (Vec<Remedy>, Vec<Remedy>) {
    use Remedy::{EarlierRevision, MoreReplicas, NewPods};
    let (cannot, mut may): (&[Remedy], Vec<Remedy>) = match kind {
        // The same pods need the same thing, and more of them need it more often.
        FactKind::MissingConfig
        | FactKind::MissingServiceAccount
        | FactKind::ImagePull
        | FactKind::QuotaExceeded
        | FactKind::AdmissionDenied
        | FactKind::PodCreation
        | FactKind::VolumePending
        | FactKind::Unschedulable
        | FactKind::ContainerStart
        | FactKind::RolloutStuck
        // The kubelet has restarted it again and again already.
        | FactKind::CrashLoop => (&[NewPods, MoreReplicas], vec![]),
        FactKind::OomKilled => (&[], vec![NewPods]),
        FactKind::PodEvicted | FactKind::NodeNotReady => (&[], vec![NewPods]),
        FactKind::ProbeFailing if is_new_revision => (&[NewPods, MoreReplicas], vec![]),
        FactKind::ProbeFailing => (&[MoreReplicas], vec![NewPods]),
        FactKind::ScaledToZero => (&[NewPods, EarlierRevision], vec![MoreReplicas]),
        FactKind::ServiceWithoutPods | FactKind::ServicePort | FactKind::AutoscalerInactive => {
            (&[NewPods, MoreReplicas], vec![])
        }
        FactKind::StuckTerminating => (&[NewPods, EarlierRevision, MoreReplicas], vec![]),
        FactKind::TwoRevisions => (&[MoreReplicas], vec![EarlierRevision]),
        FactKind::EvictionBlocked | FactKind::NodePressure | FactKind::NodeCordoned => (&[], vec![]),
    };
    if is_new_revision && !cannot.contains(&EarlierRevision) {
        may.push(EarlierRevision);
    }
    (cannot.to_vec(), may)
}
