//! What must hold whatever fails: a model check of the remediation protocol, and seeded schedules of faults against the
//! product itself. The programs beside this library print their figures.

pub mod model;
pub mod schedules;
