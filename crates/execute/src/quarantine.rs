//! The names by which quarantined pods are known.

/// The label that marks a quarantined pod, with the plan's id.
pub(crate) const LABEL: &str = "homeostat.io/quarantine";

/// The NetworkPolicy that lets nothing through to them, one in each namespace that ever had one.
#[cfg(feature = "kubernetes")]
pub(crate) const POLICY_NAME: &str = "homeostat-quarantine";
