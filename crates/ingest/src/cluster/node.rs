//! Nodes: whether they are well, and what they have.

use super::json::Json;
use super::meta::{Condition, Meta, conditions};
use super::quantity;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) meta: Meta,
    pub(super) is_cordoned: bool,
    pub(super) conditions: Vec<Condition>,
    pub(super) memory: Option<f64>,
    pub(super) cpu: Option<f64>,
}

impl Node {
    pub(super) fn read(object: Json<'_>) -> Self {
        let has = object.at("status").at("allocatable");
        Self {
            meta: Meta::read(object),
            is_cordoned: object.at("spec").flag("unschedulable"),
            conditions: conditions(object),
            memory: quantity::parse(&has.text("memory")),
            cpu: quantity::parse(&has.text("cpu")),
        }
    }
}
