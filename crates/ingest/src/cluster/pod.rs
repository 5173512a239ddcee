//! A pod, as far as facts need it.

use homeostat_core::Timestamp;

use super::container::Container;
use super::json::Json;
use super::meta::{Condition, Meta, condition, conditions};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pod {
    pub(super) meta: Meta,
    pub(super) labels: Vec<(String, String)>,
    pub(super) node: String,
    pub(super) phase: String,
    /// Why it failed as a whole, such as `Evicted`.
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) conditions: Vec<Condition>,
    pub(super) containers: Vec<Container>,
    /// Keys of the taints that it tolerates; an empty one is for all.
    pub(super) tolerates: Vec<String>,
    /// Names of the PersistentVolumeClaims that it mounts.
    pub(super) claims: Vec<String>,
}

impl Pod {
    pub(super) fn read(object: Json<'_>) -> Self {
        let status = object.at("status");
        let claim = |volume: Json<'_>| volume.at("persistentVolumeClaim").at("claimName").as_text();
        Self {
            meta: Meta::read(object),
            labels: object.at("metadata").texts("labels"),
            node: object.at("spec").text("nodeName"),
            phase: status.text("phase"),
            reason: status.text("reason"),
            message: status.text("message"),
            conditions: conditions(object),
            containers: Container::read_all(object),
            tolerates: object.at("spec").list("tolerations").map(|toleration| toleration.text("key")).collect(),
            claims: object.at("spec").list("volumes").filter_map(claim).collect(),
        }
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a selector of labels takes it; an empty one takes nothing.
    pub(super) fn matches(&self, selector: &[(String, String)]) -> bool {
        !selector.is_empty() && selector.iter().all(|(name, value)| self.label(name) == Some(value))
    }

    pub(super) fn condition(&self, name: &str) -> Option<&Condition> {
        condition(&self.conditions, name)
    }

    /// Whether it has ended, and takes nothing from its node any more.
    pub(super) fn has_ended(&self) -> bool {
        self.phase == "Succeeded" || self.phase == "Failed"
    }

    /// Since when it hasn't been ready, or has been there.
    pub(super) fn unready_since(&self) -> Timestamp {
        let unready = self.condition("Ready").filter(|ready| !ready.is_true).and_then(|ready| ready.since);
        unready.or(self.meta.created).unwrap_or(Timestamp::from_secs(0))
    }

    /// What it asks of a node: memory and CPU.
    pub(super) fn requests(&self) -> (f64, f64) {
        let of = |of: fn(&Container) -> f64| {
            let (mut together, mut before) = (0.0, 0.0_f64);
            for container in &self.containers {
                if container.is_init { before = before.max(of(container)) } else { together += of(container) }
            }
            before.max(together)
        };
        (of(|container| container.memory), of(|container| container.cpu))
    }
}
