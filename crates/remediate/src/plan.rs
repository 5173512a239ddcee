//! What may be done about an incident: complete, immutable, and approved by its digest.

mod form;

use std::borrow::Borrow;
use std::fmt;
use std::time::Duration;

use homeostat_core::{CorrelationId, IncidentId, IncidentType, Subject, Timestamp, sha256_hex, short_id};
use serde::{Deserialize, Serialize};

use self::form::PlanForm;
use crate::step::{Inverse, Recovery, Repeat, Step};

/// A plan's id; it also marks what the plan wrote.
///
/// ```
/// use homeostat_core::{IncidentId, Subject, Timestamp};
/// use homeostat_remediate::PlanId;
///
/// let incident = IncidentId::of(&Subject::deployment("shop", "cart"), Timestamp::from_secs(60));
/// let first = PlanId::of(&incident, 1);
/// assert_eq!(first, PlanId::of(&incident, 1));
/// assert_ne!(first, PlanId::of(&incident, 2), "another attempt");
/// assert!(first.as_str().starts_with("act-"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(String);

impl PlanId {
    /// The id of the `attempt`-th action (from 1) for this incident.
    pub fn of(incident: &IncidentId, attempt: u32) -> Self {
        Self(format!("act-{}", short_id(&[b"plan", incident.as_str().as_bytes(), &attempt.to_be_bytes()])))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PlanId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The very object an action is for: a name can be re-used, a UID can't (invariant I2).
///
/// ```
/// use homeostat_core::Subject;
/// use homeostat_remediate::Target;
///
/// let subject = Subject::deployment("shop", "cart");
/// let target = Target { subject, uid: "9c1f".into(), resource_version: "41".into(), generation: Some(3) };
/// let made_anew = Target { uid: "d702".into(), ..target.clone() };
/// assert_eq!(made_anew.subject, target.subject);
/// assert_ne!(made_anew, target, "the same name, another object");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The workload.
    pub subject: Subject,
    /// The object's UID.
    pub uid: String,
    /// The object's version that was looked at when deciding (I8).
    pub resource_version: String,
    /// The number of its desired state that was looked at, where it has one: unlike the version it stays when only the
    /// status changes. `None` also in plans of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// What counts as recovered.
///
/// ```
/// use std::time::Duration;
/// use homeostat_remediate::VerifySpec;
///
/// let verify: VerifySpec = serde_json::from_str(
///     r#"{"features":["memory"],"window":"10m","settle":"1m30s",
///         "fresh_points_min":5,"traffic_floor":0.5,"replicas_before":3}"#,
/// )?;
/// assert_eq!(verify.settle, Duration::from_secs(90));
/// assert_eq!(serde_json::to_value(&verify)?["settle"], "1m30s");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifySpec {
    /// The features that opened the incident; all must be back to normal.
    pub features: Vec<String>,
    /// How long to look, from the end of settling.
    #[serde(with = "duration_text")]
    pub window: Duration,
    /// How long after the action measurements don't count yet: a restart itself makes a spike.
    #[serde(with = "duration_text")]
    pub settle: Duration,
    /// Fresh points that each feature must show before anything is called recovered (I13).
    pub fresh_points_min: u32,
    /// Traffic must be at least this share of what it was before the action (I14).
    pub traffic_floor: f64,
    /// Replicas wanted before the action; fewer wanted afterwards is no recovery (I14).
    pub replicas_before: u32,
    /// Whether the newest roll-out before the action had failed: then a failing one isn't the action's fault (I17).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollout_failed_before: bool,
    /// What shows that the action's own effect is complete.
    #[serde(default)]
    pub recovery: Recovery,
}

/// Everything about one action, fixed when it was decided.
///
/// ```
/// use homeostat_core::Timestamp;
/// use homeostat_remediate::{ActionName, Args, Inverse, Plan, PlanId, Repeat, Step};
/// # use std::time::Duration;
/// # use homeostat_core::{CorrelationId, IncidentId, IncidentType, Subject};
/// # use homeostat_remediate::{Recovery, Target, VerifySpec};
///
/// # let (subject, at) = (Subject::deployment("shop", "cart"), Timestamp::from_secs(60));
/// # let (incident, correlation) = (IncidentId::of(&subject, at), CorrelationId::of(&subject, at));
/// # let target = Target { subject, uid: "9c1f".into(), resource_version: "41".into(), generation: Some(3) };
/// # let (window, settle) = (Duration::from_secs(600), Duration::from_secs(90));
/// # let (features, fresh_points_min, traffic_floor, replicas_before) = (vec!["memory".into()], 5, 0.5, 3);
/// # let (rollout_failed_before, recovery) = (false, Recovery::RollOut);
/// # let verify = VerifySpec {
/// #     features, window, settle, fresh_points_min, traffic_floor, replicas_before, rollout_failed_before, recovery,
/// # };
/// let restart = |at: Timestamp| Step {
///     action: ActionName::new("rollout-restart"),
///     args: Args::default().with("restarted_at", at.to_string()),
/// };
/// let plan = Plan {
///     id: PlanId::of(&incident, 1),
///     policy: "restart-leaks".into(),
///     step: restart(at),
///     inverse: Inverse::Nothing,
///     repeat: Repeat::Idempotent,
///     // … for which incident and object, until when, and what counts as recovered.
/// #     incident, correlation, incident_type: IncidentType::MemoryLeak, attempt: 1, target, undo_if_failed: false,
/// #     verify, decided_at: at, apply_before: at + window, deadline: at + window * 2,
/// };
/// let later = Plan { step: restart(Timestamp::from_secs(61)), ..plan.clone() };
/// assert_eq!(plan.digest(), plan.clone().digest());
/// assert_ne!(plan.digest(), later.digest(), "an approval is for this plan only");
/// assert_eq!(serde_json::to_value(&plan)?["action"], "rollout-restart");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "PlanForm")]
pub struct Plan {
    /// Its id, also the marker on what it writes.
    pub id: PlanId,
    /// The incident it answers.
    pub incident: IncidentId,
    /// The id that runs through everything.
    pub correlation: CorrelationId,
    /// The incident's type when it was decided.
    #[serde(rename = "type")]
    pub incident_type: IncidentType,
    /// The policy that proposed it.
    pub policy: String,
    /// Which attempt for this incident it is, from 1.
    pub attempt: u32,
    /// The object.
    pub target: Target,
    /// What to do.
    #[serde(flatten)]
    pub step: Step,
    /// How to take it back.
    pub inverse: Inverse,
    /// Whether to take it back when it doesn't help.
    pub undo_if_failed: bool,
    /// Whether it may be sent again.
    pub repeat: Repeat,
    /// What counts as recovered.
    pub verify: VerifySpec,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// After this moment it must not be applied any more (I8).
    pub apply_before: Timestamp,
    /// After this moment it must have ended, one way or the other (I15).
    pub deadline: Timestamp,
}

impl Plan {
    /// SHA-256 of the plan's canonical JSON: what an approval is for.
    pub fn digest(&self) -> String {
        // The plan is plain data: serialising can't fail, and if it did an empty text matches no approval.
        let json = serde_json::to_string(self).unwrap_or_default();
        sha256_hex(&[json.as_bytes()])
    }
}

mod duration_text {
    use std::time::Duration;

    use homeostat_core::{format_duration, parse_duration};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
