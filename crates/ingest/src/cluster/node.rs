//! Nodes: whether they are well, and what they have.

use homeostat_core::{Timestamp, parse_quantity};

use super::json::Json;
use super::meta::{Condition, Meta, conditions};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) meta: Meta,
    pub(super) is_cordoned: bool,
    /// Since when, where its taint says so.
    pub(super) cordoned_since: Option<Timestamp>,
    /// What keeps pods away that don't tolerate it, with its value.
    pub(super) taints: Vec<(String, String)>,
    pub(super) conditions: Vec<Condition>,
    pub(super) memory: Option<f64>,
    pub(super) cpu: Option<f64>,
}

impl Node {
    pub(super) fn read(object: Json<'_>) -> Self {
        let has = object.at("status").at("allocatable");
        let mut taints = object.at("spec").list("taints");
        let cordoned = taints.find(|taint| taint.text("key") == "node.kubernetes.io/unschedulable");
        Self {
            meta: Meta::read(object),
            is_cordoned: object.at("spec").flag("unschedulable"),
            cordoned_since: cordoned.and_then(|taint| taint.moment("timeAdded")),
            taints: object
                .at("spec")
                .list("taints")
                .filter(keeps_away)
                .map(|taint| (taint.text("key"), taint.text("value")))
                .collect(),
            conditions: conditions(object),
            memory: parse_quantity(&has.text("memory")),
            cpu: parse_quantity(&has.text("cpu")),
        }
    }
}

fn keeps_away(taint: &Json<'_>) -> bool {
    taint.text("effect") != "PreferNoSchedule"
}
