//! What a namespace's quotas still allow.

/// One limit of a resource quota.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaLimit {
    /// The quota's name.
    pub quota: String,
    /// What it limits, such as `pods` or `requests.memory`.
    pub resource: String,
    /// How much is allowed: pods, cores or bytes.
    pub hard: f64,
    /// How much of it is used.
    pub used: f64,
}
