//! Who calls whom.

/// A call of this service, with the callee's place in the shop.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) to: usize,
    pub(crate) per_request: f64,
    pub(crate) criticality: f64,
    pub(crate) waits: bool,
}
