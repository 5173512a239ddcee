//! A Deployment as the API server sent it: typed, and beside it the pod template with every field, also those that our types
//! don't know. A template that is compared or put back is compared and put back whole.

use std::ops::Deref;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

/// A Deployment with its raw pod template.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    object: Deployment,
    template: Value,
}

impl Workload {
    /// Reads the API server's JSON.
    pub(super) fn read(object: Value) -> Result<Self, serde_json::Error> {
        let template = object.pointer("/spec/template").cloned().unwrap_or_default();
        Ok(Self { object: serde_json::from_value(object)?, template })
    }

    /// The pod template, with every field.
    pub(super) fn template(&self) -> &Value {
        &self.template
    }
}

impl Deref for Workload {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.object
    }
}
