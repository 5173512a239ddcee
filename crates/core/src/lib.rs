//! The types all crates of homeostat share.
//!
//! This crate is synchronous and does no input or output. It knows nothing of Prometheus, Kubernetes,
//! detectors or policies: only the nouns that pass between them. Time and randomness are arguments
//! ([`Timestamp`], [`Seed`]); nothing here reads a clock or an entropy source.
//!
//! Start at [`Window`] (what is scored), [`Assessment`] (what scoring says) and [`Incident`] (what is told to people).

mod assessment;
mod calendar;
mod cluster_fact;
mod confidence;
mod correlation;
mod digest;
mod escalation;
mod exclusion;
mod grid;
mod holiday;
mod incident;
mod incident_type;
mod label;
mod limit_ahead;
mod local_time;
mod mode;
mod name_pattern;
mod prom_duration;
mod proportion;
mod quantity;
mod replica_window;
mod rollout;
mod schema;
mod score;
mod seed;
mod signal;
mod subject;
mod threshold_rule;
mod timestamp;
mod topology;
mod window;

pub use assessment::{Assessment, DetectorVote, Fused, NotReady, Scoring, Vote};
pub use calendar::{Calendar, PlannedEvent};
pub use cluster_fact::{ClusterFact, ClusterObjectRef, FactKind, Remedy, Standing};
pub use confidence::{Calibrated, Confidence, NotAConfidence};
pub use correlation::CorrelationId;
pub use digest::{hmac_sha256_hex, sha256_hex, short_id};
pub use escalation::Escalation;
pub use exclusion::Exclusion;
pub use grid::{Grid, GridError};
pub use holiday::{Holiday, NotADate, NotAWeekday, Weekday};
pub use incident::{Annotation, Evidence, Incident, IncidentChange, IncidentId, IncidentState};
pub use incident_type::{IncidentType, UnknownIncidentType};
pub use label::{IncidentLabel, UnknownVerdict, Verdict};
pub use limit_ahead::LimitAhead;
pub use local_time::{LocalMoment, LocalTime, NotLocalTime};
pub use mode::{Mode, UnknownMode};
pub use name_pattern::{NamePattern, NotAPattern};
pub use prom_duration::{NotADuration, format_duration, parse_duration};
pub use proportion::{Interval, Proportion, wilson_interval};
pub use quantity::parse_quantity;
pub use replica_window::ReplicaWindow;
pub use rollout::Rollout;
pub use schema::{Feature, Schema, SchemaError};
pub use score::{NotAScore, RawScore, Score, TailProbability};
pub use seed::Seed;
pub use signal::{Direction, Signal, UnknownSignal};
pub use subject::{NotASubject, Subject, WorkloadKind};
pub use threshold_rule::{Comparison, NotAComparison, ThresholdRule};
pub use timestamp::{NotATimestamp, Timestamp};
pub use topology::Topology;
pub use window::{Window, WindowError};
