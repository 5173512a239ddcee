//! Sinks for incident changes and escalations.
