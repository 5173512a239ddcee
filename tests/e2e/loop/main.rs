//! The whole loop on real parts: Prometheus, a Kubernetes API server, and the program as its users run it.

mod acting;
mod crash;
mod journal;
mod replicas;
mod scene;
mod trouble;
mod undoing;
