//! What every object has: its name, its age, its owner, and whether it was deleted.

use homeostat_core::{ClusterObjectRef, Timestamp};

use super::json::Json;

/// The part of an object's metadata that facts need. `managedFields`, annotations and most labels are left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// Higher for a later state of the same object.
    pub(super) version: u64,
    pub(super) created: Option<Timestamp>,
    /// When it was changed last, where that is told; else when it was made.
    pub(super) changed: Option<Timestamp>,
    /// When it was asked to go, and by when it should have gone.
    pub(super) deleted: Option<Timestamp>,
    pub(super) finalizers: Vec<String>,
    /// Whose it is.
    pub(super) owner: Option<Owner>,
}

/// The owner that controls an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
}

impl Meta {
    pub(super) fn read(object: Json<'_>) -> Self {
        let meta = object.at("metadata");
        let controls = |owner: &Json<'_>| owner.flag("controller");
        let owner = meta.list("ownerReferences").find(controls).map(|owner| Owner {
            kind: owner.text("kind"),
            name: owner.text("name"),
            uid: owner.text("uid"),
        });
        Self {
            namespace: meta.text("namespace"),
            name: meta.text("name"),
            uid: meta.text("uid"),
            version: meta.text("resourceVersion").parse().unwrap_or(0),
            created: meta.moment("creationTimestamp"),
            changed: meta
                .list("managedFields")
                .filter_map(|field| field.moment("time"))
                .max()
                .max(meta.moment("creationTimestamp")),
            deleted: meta.moment("deletionTimestamp"),
            finalizers: meta.list("finalizers").filter_map(Json::as_text).collect(),
            owner,
        }
    }

    pub(super) fn object(&self, kind: &str) -> ClusterObjectRef {
        ClusterObjectRef { kind: kind.to_owned(), namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

/// A condition of an object's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) name: String,
    pub(super) is_true: bool,
    pub(super) is_false: bool,
    pub(super) reason: String,
    pub(super) message: String,
    /// Since when it has been so.
    pub(super) since: Option<Timestamp>,
    /// When there was news of it last.
    pub(super) updated: Option<Timestamp>,
}

pub(super) fn conditions(object: Json<'_>) -> Vec<Condition> {
    let read = |condition: Json<'_>| {
        let status = condition.text("status");
        Condition {
            name: condition.text("type"),
            is_true: status == "True",
            is_false: status == "False",
            reason: condition.text("reason"),
            message: condition.text("message"),
            since: condition.moment("lastTransitionTime"),
            updated: condition.moment("lastUpdateTime"),
        }
    };
    object.at("status").list("conditions").map(read).collect()
}

pub(super) fn condition<'a>(conditions: &'a [Condition], name: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.name == name)
}
