//! The whole loop on real parts: Prometheus, a Kubernetes API server, and the program as its users run it.

mod acting;
mod approving;
mod crash;
mod facts;
mod journal;
mod replicas;
mod scene;
mod trouble;
mod undoing;
