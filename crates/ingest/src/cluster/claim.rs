//! PersistentVolumeClaims.

use super::json::Json;
use super::meta::Meta;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) meta: Meta,
    pub(super) phase: String,
    /// `None`: the cluster's default class.
    pub(super) class: Option<String>,
}

impl Claim {
    pub(super) fn read(object: Json<'_>) -> Self {
        Self {
            meta: Meta::read(object),
            phase: object.at("status").text("phase"),
            class: object.at("spec").at("storageClassName").as_text().filter(|class| !class.is_empty()),
        }
    }
}
