//! The shop: a seeded simulated cluster with faults. Synchronous.
//!
//! A [`Shop`] is a small set of services that call one another, with traffic that follows the hours, and pods that
//! are busy, leak, are killed and replaced. It plays two parts. As a source it gives [`Window`](homeostat_core::Window)s
//! ([`Shop::windows`]) or exports in Prometheus' own form ([`Shop::query_range`]). As a cluster it can be looked at and
//! acted on ([`Shop::inspect`], [`Shop::restart`], [`Shop::undo_to`]) with the preconditions of the real API.
//!
//! Everything follows from a [`ShopSpec`], a [`Seed`](homeostat_core::Seed), a start and what is scheduled: there is no
//! clock, no other randomness, and only arithmetic that is the same on every machine.
//!
//! What it isn't: a model of any particular system. Its faults are caricatures with known causes, good for testing the
//! loop and for first calibration; figures from it say nothing about a real cluster and must not be quoted as such.
//!
//! [`Shop::truths`] are labels. Only scoring may read them.

mod ailment;
mod cluster;
mod demand;
mod deployment;
mod edge;
mod export;
mod fault;
mod features;
#[cfg(test)]
mod fixture;
mod load;
mod pod;
mod random;
mod replicas;
mod scenario;
mod service;
mod serving;
mod shop;
mod spec;
mod truth;

pub use cluster::{ShopObject, ShopProgress, ShopTrace, WriteError, Written};
pub use export::{QueryData, QueryRange, Series};
pub use fault::{Cure, Fault, FaultKind, NotASeverity, Severity};
pub use scenario::Scenario;
pub use shop::{FAULTS_MAX, ROLLOUTS_MAX, ScheduleError, Shop};
pub use spec::{Call, HISTORY_STEPS_MAX, REPLICAS_MAX, STEP_S, ServiceSpec, ShopSpec, ShopSpecError};
pub use truth::{EndedBy, FaultEnd, FaultTruth};
