//! What is told to people and to policy.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::assessment::DetectorVote;
use crate::cluster_fact::{ClusterFact, Standing};
use crate::confidence::Calibrated;
use crate::correlation::CorrelationId;
use crate::digest::short_id;
use crate::incident_type::IncidentType;
use crate::limit_ahead::LimitAhead;
use crate::score::Score;
use crate::signal::Signal;
use crate::subject::Subject;
use crate::timestamp::Timestamp;

/// An incident's id: the same in a replay of the same data.
///
/// ```
/// use homeostat_core::{IncidentId, Subject, Timestamp};
///
/// let cart = Subject::deployment("shop", "cart");
/// let id = IncidentId::of(&cart, Timestamp::from_secs(1_700_000_000));
/// assert_eq!(id, IncidentId::of(&cart, Timestamp::from_secs(1_700_000_000)));
/// assert!(id.as_str().starts_with("inc-"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    /// The id of the incident that this subject opened at this moment. Its type isn't part of it: typing may
    /// sharpen while the incident is open.
    pub fn of(subject: &Subject, opened_at: Timestamp) -> Self {
        Self(format!(
            "inc-{}",
            short_id(&[b"incident", subject.to_string().as_bytes(), &opened_at.as_millis().to_be_bytes()])
        ))
    }

    /// The id of the incident that a rule of this name opened at this moment: not that of what the detectors opened there.
    pub fn of_rule(subject: &Subject, rule: &str, opened_at: Timestamp) -> Self {
        let subject = subject.to_string();
        let opened_at = opened_at.as_millis().to_be_bytes();
        Self(format!("inc-{}", short_id(&[b"rule", subject.as_bytes(), rule.as_bytes(), &opened_at])))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where an incident stands.
///
/// ```
/// use homeostat_core::IncidentState;
///
/// assert_ne!(IncidentState::Stale, IncidentState::Resolved, "silence is no recovery");
/// assert_eq!(serde_json::to_value(IncidentState::Stale)?, "stale");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentState {
    /// It goes on.
    Open,
    /// Its data went silent. That is never recovery.
    Stale,
    /// Its signals are back to normal, on fresh data.
    Resolved,
    /// Over without recovery: its level has lasted for so long that it is taken for the new usual. Never said of failures.
    #[serde(alias = "accepted")]
    Rebaselined,
    /// Over without recovery: its data was silent for so long that nobody waits for it any more.
    Expired,
}

impl IncidentState {
    /// Whether it is over, whichever way.
    ///
    /// ```
    /// use homeostat_core::IncidentState;
    ///
    /// assert!(IncidentState::Rebaselined.is_over() && IncidentState::Resolved.is_over());
    /// assert!(!IncidentState::Stale.is_over(), "nobody knows");
    /// ```
    pub const fn is_over(self) -> bool {
        match self {
            Self::Open | Self::Stale => false,
            Self::Resolved | Self::Rebaselined | Self::Expired => true,
        }
    }
}

/// One signal's part in an incident.
///
/// ```
/// use homeostat_core::{Evidence, Signal};
///
/// let text = r#"{"feature":"memory","signal":"memory","observed":0.9,"expected":0.4,"deviation":8.5}"#;
/// let evidence: Evidence = serde_json::from_str(text)?;
/// assert_eq!(evidence.signal, Signal::Memory);
/// assert!(evidence.deviation > 0.0, "more than expected");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The feature's name.
    pub feature: String,
    /// What it measures.
    pub signal: Signal,
    /// What was measured, in the newest row that has it.
    pub observed: f64,
    /// What was expected of that row.
    pub expected: f64,
    /// The difference in training deviations, signed.
    pub deviation: f64,
}

/// Something known that bears on an incident.
///
/// ```
/// use homeostat_core::{Annotation, Timestamp};
///
/// let rollout = Annotation::RecentRollout { at: Timestamp::from_secs(0), revision: "7".into() };
/// let written = serde_json::json!({ "kind": "recent-rollout", "at": "1970-01-01T00:00:00Z", "revision": "7" });
/// assert_eq!(serde_json::to_value(&rollout)?, written);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Annotation {
    /// A planned event covers it.
    PlannedEvent {
        /// The event's name in the calendar.
        name: String,
    },
    /// The subject was rolled out shortly before.
    RecentRollout {
        /// When.
        at: Timestamp,
        /// The new revision, as the cluster names it.
        revision: String,
    },
    /// Something it depends on is in an incident of its own, which is the likelier cause.
    DependencyAffected {
        /// The dependency.
        dependency: Subject,
        /// Its incident.
        incident: IncidentId,
    },
    /// A rule of a policy opened it, not the detectors.
    ThresholdRule {
        /// The policy's name.
        policy: String,
        /// What holds, such as `cpu > 0.8 for 5m`.
        condition: String,
    },
    /// One of its replicas is unlike the others.
    #[serde(alias = "replica-apart")]
    ReplicaOutlier {
        /// The replica, by the name its series have: a pod's.
        replica: String,
        /// Since when it has been told from the others.
        since: Timestamp,
        /// The features that set it apart, the farthest first.
        features: Vec<String>,
    },
    /// What the cluster itself says of it. Unlike everything else here, it is certain.
    ClusterFact {
        /// What.
        fact: ClusterFact,
        /// When it was over; `None` while it holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
}

/// One fault, with what is known of it. One incident per cause, not per series.
///
/// ```
/// use homeostat_core::{Annotation, Incident, IncidentId, IncidentState, IncidentType, Subject, Timestamp};
/// # use homeostat_core::{Calibrated, CorrelationId, Score};
///
/// let (subject, opened_at) = (Subject::deployment("shop", "cart"), Timestamp::from_secs(60));
/// let incident = Incident {
///     id: IncidentId::of(&subject, opened_at),
///     incident_type: IncidentType::TrafficSurge,
///     state: IncidentState::Open,
///     annotations: vec![Annotation::PlannedEvent { name: "sale".into() }],
///     limits_ahead: vec![],
///     // … when, how unusual, how sure, and why.
/// #     correlation: CorrelationId::of(&subject, opened_at),
/// #     subject, opened_at, updated_at: opened_at,
/// #     score: Score::THRESHOLD, score_peak: Score::THRESHOLD, confidence: Calibrated::UNKNOWN,
/// #     evidence: vec![], votes: vec![], affected: vec![],
/// };
/// assert_eq!(incident.planned_event(), Some("sale"));
/// assert_eq!(serde_json::to_value(&incident)?["type"], "traffic-surge");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Stable id.
    pub id: IncidentId,
    /// The id that runs through logs, journal and the object's marker.
    pub correlation: CorrelationId,
    /// Where it is.
    pub subject: Subject,
    /// What it is.
    #[serde(rename = "type")]
    pub incident_type: IncidentType,
    /// Where it stands.
    pub state: IncidentState,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The latest score.
    pub score: Score,
    /// The highest score so far.
    pub score_peak: Score,
    /// How sure we are that it is real and of this type.
    pub confidence: Calibrated,
    /// The signals that opened it, strongest first.
    pub evidence: Vec<Evidence>,
    /// The detectors' votes at its peak.
    pub votes: Vec<DetectorVote>,
    /// Subjects that suffer from it and get no incident of their own.
    pub affected: Vec<Subject>,
    /// What else is known.
    pub annotations: Vec<Annotation>,
    /// When features of its evidence reach their limits, as of the newest row; for features with a limit and a trend only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits_ahead: Vec<LimitAhead>,
}

impl Incident {
    /// The planned event that covers it, if any.
    pub fn planned_event(&self) -> Option<&str> {
        self.annotations.iter().find_map(|annotation| match annotation {
            Annotation::PlannedEvent { name } => Some(name.as_str()),
            Annotation::RecentRollout { .. }
            | Annotation::DependencyAffected { .. }
            | Annotation::ThresholdRule { .. }
            | Annotation::ReplicaOutlier { .. }
            | Annotation::ClusterFact { .. } => None,
        })
    }

    /// What the cluster itself says of it now, the likeliest cause first.
    pub fn facts(&self) -> impl Iterator<Item = &ClusterFact> {
        self.annotations.iter().filter_map(|annotation| match annotation {
            Annotation::ClusterFact { fact, until: None } => Some(fact),
            Annotation::ClusterFact { until: Some(_), .. }
            | Annotation::PlannedEvent { .. }
            | Annotation::ThresholdRule { .. }
            | Annotation::RecentRollout { .. }
            | Annotation::DependencyAffected { .. }
            | Annotation::ReplicaOutlier { .. } => None,
        })
    }

    /// The policy whose rule opened it, if one did.
    pub fn opened_by_rule_of(&self) -> Option<&str> {
        self.annotations.iter().find_map(|annotation| match annotation {
            Annotation::ThresholdRule { policy, .. } => Some(policy.as_str()),
            Annotation::PlannedEvent { .. }
            | Annotation::ClusterFact { .. }
            | Annotation::RecentRollout { .. }
            | Annotation::DependencyAffected { .. }
            | Annotation::ReplicaOutlier { .. } => None,
        })
    }

    /// The fact that establishes its type, if one does: then it is certain, whatever the calibrated confidence is.
    pub fn established_by(&self) -> Option<&ClusterFact> {
        let establishes = |fact: &&ClusterFact| match fact.standing {
            Standing::Opens | Standing::Explains => fact.incident_type == self.incident_type,
            Standing::Hints => false,
        };
        self.facts().find(establishes)
    }
}

/// What happened to an incident.
///
/// ```
/// use homeostat_core::IncidentChange;
///
/// # use homeostat_core::{Calibrated, CorrelationId, Incident, IncidentId, IncidentState, IncidentType};
/// # use homeostat_core::{Score, Subject, Timestamp};
/// # let (subject, opened_at) = (Subject::deployment("shop", "cart"), Timestamp::from_secs(60));
/// # let incident = Incident {
/// #     id: IncidentId::of(&subject, opened_at), correlation: CorrelationId::of(&subject, opened_at),
/// #     subject, incident_type: IncidentType::Latency, state: IncidentState::Open, opened_at, updated_at: opened_at,
/// #     score: Score::THRESHOLD, score_peak: Score::THRESHOLD, confidence: Calibrated::UNKNOWN,
/// #     evidence: vec![], votes: vec![], affected: vec![], annotations: vec![],
/// #     limits_ahead: vec![],
/// # };
/// let opened = IncidentChange::Opened(incident.clone());
/// assert_eq!((opened.name(), opened.incident()), ("opened", &incident));
/// assert!(opened.notifies() && IncidentChange::Refired(incident.clone()).notifies());
/// assert!(!IncidentChange::Stale(incident).notifies());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change", content = "incident")]
pub enum IncidentChange {
    /// It began.
    Opened(Incident),
    /// Its type, confidence, evidence or annotations changed.
    Updated(Incident),
    /// It alarms anew: it flared up after it had subsided, or has been alarming for another hour. As loud as [`Self::Opened`]:
    /// who was notified of the first alarm may think that it is over.
    #[serde(alias = "renewed")]
    Refired(Incident),
    /// Its data went silent.
    Stale(Incident),
    /// Its signals are back to normal.
    Resolved(Incident),
    /// Its level is taken for the new usual: closed, not recovered.
    #[serde(alias = "accepted")]
    Rebaselined(Incident),
    /// It was stale for so long that it is closed, not recovered.
    Expired(Incident),
}

impl IncidentChange {
    /// The incident after the change.
    pub fn incident(&self) -> &Incident {
        match self {
            Self::Opened(incident)
            | Self::Updated(incident)
            | Self::Refired(incident)
            | Self::Stale(incident)
            | Self::Resolved(incident)
            | Self::Rebaselined(incident)
            | Self::Expired(incident) => incident,
        }
    }

    /// Whether it notifies somebody: an incident that begins or alarms anew. This is what a false-alarm budget counts.
    pub const fn notifies(&self) -> bool {
        match self {
            Self::Opened(_) | Self::Refired(_) => true,
            Self::Updated(_) | Self::Stale(_) | Self::Resolved(_) | Self::Rebaselined(_) | Self::Expired(_) => false,
        }
    }

    /// The change's stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Updated(_) => "updated",
            Self::Refired(_) => "refired",
            Self::Stale(_) => "stale",
            Self::Resolved(_) => "resolved",
            Self::Rebaselined(_) => "rebaselined",
            Self::Expired(_) => "expired",
        }
    }
}
