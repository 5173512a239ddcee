//! What the cluster itself says: Kubernetes objects and events in, facts out ([`homeostat_core::ClusterFact`]).
//!
//! Start at [`ClusterState::facts`]. Objects come from files ([`ClusterFiles`]) or from an API server; either way they are stripped to what facts need before anything is kept. Nothing here reads a clock, and no object, however mutilated,
//! makes it fail.

mod claim;
mod container;
mod draft;
mod event;
mod facts;
mod files;
mod json;
mod life_cycle;
mod meta;
mod network;
mod node;
mod object;
mod pod;
mod quantity;
mod revision;
mod rules;
mod scaling;
mod state;
mod view;
mod workload;

pub use files::{ClusterFiles, ClusterFilesError};
pub use object::{ClusterObject, Read};
pub use state::ClusterState;

#[cfg(test)]
mod tests;
