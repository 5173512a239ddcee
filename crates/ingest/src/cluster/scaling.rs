//! HorizontalPodAutoscalers and PodDisruptionBudgets: how many pods there should be, and how many may go.

use homeostat_core::Timestamp;

use super::json::Json;
use super::meta::{Condition, Meta, condition, conditions};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Autoscaler {
    pub(super) meta: Meta,
    pub(super) target_kind: String,
    pub(super) target_name: String,
    pub(super) conditions: Vec<Condition>,
}

impl Autoscaler {
    pub(super) fn read(object: Json<'_>) -> Self {
        let target = object.at("spec").at("scaleTargetRef");
        Self {
            meta: Meta::read(object),
            target_kind: target.text("kind"),
            target_name: target.text("name"),
            conditions: conditions(object),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) meta: Meta,
    pub(super) selector: Vec<(String, String)>,
    /// Whether a selector of labels is all there is to it.
    pub(super) is_simple: bool,
    /// Evictions that it allows now; `None` until its controller has counted.
    pub(super) allowed: Option<u32>,
    pub(super) healthy: u32,
    pub(super) needed: u32,
    /// Since when it has allowed none, or some.
    pub(super) since: Option<Timestamp>,
}

impl Budget {
    pub(super) fn read(object: Json<'_>) -> Self {
        let (selector, status) = (object.at("spec").at("selector"), object.at("status"));
        Self {
            meta: Meta::read(object),
            selector: selector.texts("matchLabels"),
            is_simple: selector.list("matchExpressions").next().is_none(),
            allowed: status.count("disruptionsAllowed"),
            healthy: status.count("currentHealthy").unwrap_or(0),
            needed: status.count("desiredHealthy").unwrap_or(0),
            since: condition(&conditions(object), "DisruptionAllowed").and_then(|condition| condition.since),
        }
    }
}
