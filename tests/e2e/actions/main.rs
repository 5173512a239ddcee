//! Every action against a real API server, with exactly the rights that it says it needs: looked at, tried, done once, recognised,
//! and taken back, each judged by asking the API server. On a control plane of its own, because some act on nodes.

mod faults;
mod fields;
mod git;
mod helm;
mod nodes;
mod objects;
mod pods;
mod rollouts;
mod scaling;
mod stage;
mod traffic;
