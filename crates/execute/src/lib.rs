//! Doing what was decided: the driver, the executors' contract, and Kubernetes.
//!
//! The [`Driver`] walks incidents from decision to end: it inspects, decides, journals, applies and verifies, in that
//! order. Only what is `Journaled` can be applied, and only a journal makes that. The driver keeps nothing of its own that
//! the journal doesn't have, so it may die at any moment.
//!
//! Not here: reading the wall clock (a [`Clock`] comes in), judging (`homeostat-remediate`), and delivering calls for a human.

mod actions;
mod child;
mod clock;
mod driver;
mod effect;
mod executor;
mod fence;
mod flagd;
#[cfg_attr(not(feature = "kubernetes"), allow(dead_code, reason = "it's done about workloads of a cluster"))]
mod forge;
#[cfg_attr(not(feature = "kubernetes"), allow(dead_code, reason = "it's done about workloads of a cluster"))]
mod git;
#[cfg_attr(not(feature = "kubernetes"), allow(dead_code, reason = "it's done about workloads of a cluster"))]
mod git_proposal;
#[cfg_attr(not(feature = "kubernetes"), allow(dead_code, reason = "it's done about workloads of a cluster"))]
mod helm;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod merge_patch;
mod node_pods;
mod outside;
mod patch;
mod places;
mod quantity;
mod quarantine;
mod redis;
mod registry;
mod removal;
mod sight;
mod stop_switch;
mod witness;

pub use actions::actions;
pub use clock::{Clock, SetClock};
pub use driver::{Driver, DriverEvent, PausePoint, SubjectSignals, TickInput};
pub use effect::{ClusterAction, ClusterWrite, Effect};
pub use executor::{Applied, ApplyError, Executor, WriteOutcome};
pub use fence::Fence;
#[cfg(feature = "kubernetes")]
pub use kubernetes::{
    ACT_IN_PLACE, ApiThread, Cluster, ClusterReadError, ConnectSpec, Election, ElectionSpec, NoConfig, ObjectChange,
    ObjectChanges,
};
pub use patch::{ACTION_ID, CORRELATION_ID, RESTARTED_AT, UNDONE_ID};
pub use places::Places;
pub use registry::Registry;
pub use sight::Sight;
pub use stop_switch::StopSwitch;
pub use witness::Witness;
