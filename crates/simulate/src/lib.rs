//! The shop: a seeded simulated cluster with faults. Synchronous.
