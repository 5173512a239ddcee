//! What must hold whatever fails: a model check of the remediation protocol, seeded schedules of faults against the product
//! itself, and how long deciding takes. The programs beside this library print their figures.

pub mod deciding;
mod fixture;
pub mod model;
pub mod schedules;
