//! Policy, guardrails, decide, stages, journal, verification and executors.
