//! Services and the ports they send to.

use super::json::Json;
use super::meta::Meta;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) meta: Meta,
    pub(super) selector: Vec<(String, String)>,
    pub(super) target_ports: Vec<TargetPort>,
}

/// Where a Service's port leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TargetPort {
    Name(String),
    Number(i64),
}

impl Service {
    pub(super) fn read(object: Json<'_>) -> Self {
        let spec = object.at("spec");
        let port = |port: Json<'_>| {
            let target = port.at("targetPort");
            let name = target.as_text().filter(|name| !name.is_empty()).map(TargetPort::Name);
            // Without a target it is the Service's own number.
            name.or_else(|| target.as_int().or_else(|| port.int("port")).map(TargetPort::Number))
        };
        Self {
            meta: Meta::read(object),
            selector: spec.texts("selector"),
            target_ports: spec.list("ports").filter_map(port).collect(),
        }
    }
}
