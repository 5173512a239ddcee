//! Events: what parts of the cluster say once and don't write into any object's status.

use homeostat_core::Timestamp;

use super::json::Json;
use super::meta::Meta;

/// The reasons that tell of something no status tells.
const REASONS: [&str; 8] = [
    "FailedCreate",
    "FailedMount",
    "FailedAttachVolume",
    "Unhealthy",
    "Failed",
    "FailedScheduling",
    "ProvisioningFailed",
    "FailedBinding",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) meta: Meta,
    pub(super) about_kind: String,
    pub(super) about_name: String,
    /// Empty where whoever wrote it didn't know.
    pub(super) about_uid: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl Event {
    /// `None` for one that no fact needs; most are of that kind.
    pub(super) fn read(object: Json<'_>) -> Option<Self> {
        let reason = object.text("reason");
        if !REASONS.contains(&reason.as_str()) {
            return None;
        }
        let meta = Meta::read(object);
        // `involvedObject` in v1, `regarding` and `note` in events.k8s.io.
        let about =
            if object.at("involvedObject").is_there() { object.at("involvedObject") } else { object.at("regarding") };
        let message = if object.at("message").is_there() { object.text("message") } else { object.text("note") };
        let seen = [
            object.moment("firstTimestamp"),
            object.moment("eventTime"),
            object.moment("lastTimestamp"),
            object.at("series").moment("lastObservedTime"),
            meta.created,
        ];
        let first = seen.iter().flatten().min().copied()?;
        let last = seen.iter().flatten().max().copied()?;
        Some(Self {
            about_kind: about.text("kind"),
            about_name: about.text("name"),
            about_uid: about.text("uid"),
            reason,
            message,
            first,
            last,
            meta,
        })
    }

    /// Whether it is about this object.
    pub(super) fn is_about(&self, kind: &str, meta: &Meta) -> bool {
        self.about_kind == kind
            && self.about_name == meta.name
            && self.meta.namespace == meta.namespace
            && (self.about_uid.is_empty() || self.about_uid == meta.uid)
    }
}
