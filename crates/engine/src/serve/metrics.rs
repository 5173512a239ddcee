//! homeostat's own metrics, in OpenMetrics. Names have the prefix `homeostat_`, base units, and no unbounded label.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use homeostat_announce::Announcer;
use homeostat_core::{IncidentType, Timestamp, Verdict};
use homeostat_ingest::SourceState;
use homeostat_journal::Head;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use crate::serve::announce_metrics::AnnounceMetrics;
use crate::serve::cluster_metrics::ClusterMetrics;

/// How a cycle ended: `ok`, `partial` or `error`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct ResultLabel {
    /// The result.
    pub(crate) result: &'static str,
}

/// What happened to an incident, and of which type it is.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct ChangeLabels {
    /// The incident's type.
    pub(crate) r#type: &'static str,
    /// What happened.
    pub(crate) change: &'static str,
}

/// What people say of incidents, and of which type they are.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct VerdictLabels {
    /// The verdict.
    pub(crate) verdict: &'static str,
    /// The incident's type.
    pub(crate) r#type: &'static str,
}

/// A metric without labels that isn't always there.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct NoLabels {}

/// Which lease.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct LeaseLabel {
    /// Its name.
    pub(crate) name: String,
}

/// A remediation event by its stable name.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct EventLabel {
    /// The event.
    pub(crate) event: &'static str,
}

/// A state of the source by its stable name.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct StateLabel {
    /// The state.
    pub(crate) state: &'static str,
}

/// All metrics, with the registry that shows them.
pub(crate) struct Metrics {
    registry: Registry,
    /// Cycles by result.
    pub(crate) cycles: Family<ResultLabel, Counter>,
    /// How long a cycle took.
    pub(crate) cycle_seconds: Histogram,
    /// When the latest cycle ended.
    pub(crate) last_cycle_timestamp_seconds: Gauge,
    /// Samples that were pulled.
    pub(crate) samples: Counter,
    /// Series of the latest cycle.
    pub(crate) series: Gauge,
    /// Warnings that Prometheus sent with its answers.
    pub(crate) source_warnings: Counter,
    /// Samples that were dropped: not finite, duplicate, out of order.
    pub(crate) samples_dropped: Counter,
    /// Subjects with a model.
    pub(crate) subjects: Gauge,
    /// Subjects whose window their model can't read.
    pub(crate) subjects_misfit: Gauge,
    /// Subjects seen without a model.
    pub(crate) subjects_without_model: Gauge,
    /// Changes of incidents.
    pub(crate) incident_changes: Family<ChangeLabels, Counter>,
    /// Incidents open now.
    pub(crate) incidents_open: Gauge,
    /// Incidents that people have judged.
    incidents_labelled: Family<VerdictLabels, Gauge>,
    /// The precision of late; not there where nothing was judged.
    incident_precision: Family<NoLabels, Gauge<f64, AtomicU64>>,
    /// What remediation did.
    pub(crate) remediation_events: Family<EventLabel, Counter>,
    /// 1 while the kill switch is engaged.
    pub(crate) stopped: Gauge,
    /// 1 while this replica holds the lease; not there without leader election.
    pub(crate) leader: Family<LeaseLabel, Gauge>,
    /// The number of the journal's last row.
    journal_head_seq: Gauge,
    /// The beginning of its hash.
    journal_head_hash: Gauge,
    /// The newest sample of all subjects.
    pub(crate) newest_sample_timestamp_seconds: Gauge,
    /// The oldest of the subjects' newest samples.
    pub(crate) oldest_sample_timestamp_seconds: Gauge,
    /// Subjects with a model and without a recent sample.
    pub(crate) subjects_blind: Gauge,
    /// Subjects whose series have ended while those of others go on.
    pub(crate) subjects_gone: Gauge,
    /// 1 for the state that the source is in, 0 for those it was in before.
    source_state: Family<StateLabel, Gauge>,
    /// Series of the latest cycle that were too many.
    pub(crate) series_left_out: Gauge,
    /// Subjects of the latest cycle that were too many.
    pub(crate) subjects_refused: Gauge,
    /// Steps that weren't caught up on after an outage.
    pub(crate) steps_missed: Counter,
    /// What is added to the machine's clock, because Prometheus's or the monotonic one says another time.
    pub(crate) clock_correction_seconds: Gauge<f64, AtomicU64>,
    /// 1 if the config was read without a problem the last time.
    config_last_reload_successful: Gauge,
    /// When it was.
    config_last_reload_success_timestamp_seconds: Gauge,
    /// The same of the policies.
    policy_last_reload_successful: Gauge,
    policy_last_reload_success_timestamp_seconds: Gauge,
    /// 1 while the API server answers and accepts the credentials; 0 also without a cluster.
    pub(crate) kubernetes_up: Gauge,
    /// What is watched in the cluster.
    pub(crate) cluster: ClusterMetrics,
}

/// Shows it under this name, and gives it to whoever counts.
fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// The same of seconds, which are part of the name.
fn add_seconds<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("homeostat");
        let all = &mut registry;
        all.register("build", "Version of the program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        // 1 ms to about 65 s: a cycle on one machine up to one that nearly misses its step.
        let cycle_seconds = Histogram::new(exponential_buckets(0.001, 2.0, 17));
        Self {
            cycles: add(all, "cycles", "Cycles by result", Family::default()),
            cycle_seconds: add_seconds(all, "cycle_duration", "Length of a cycle", cycle_seconds),
            last_cycle_timestamp_seconds: add_seconds(
                all,
                "last_cycle_timestamp",
                "When the latest cycle ended, Unix time",
                Gauge::default(),
            ),
            samples: add(all, "source_samples", "Samples pulled", Counter::default()),
            series: add(all, "source_series", "Series of the latest cycle", Gauge::default()),
            source_warnings: add(all, "source_warnings", "Warnings in Prometheus's answers", Counter::default()),
            samples_dropped: add(
                all,
                "source_samples_dropped",
                "Samples that were not finite, duplicate or out of order",
                Counter::default(),
            ),
            subjects: add(all, "subjects", "Subjects with a model", Gauge::default()),
            subjects_without_model: add(
                all,
                "subjects_without_model",
                "Subjects seen that have no model yet",
                Gauge::default(),
            ),
            subjects_misfit: add(
                all,
                "subjects_misfit",
                "Subjects that go unwatched because their data has another shape than in training",
                Gauge::default(),
            ),
            incident_changes: add(all, "incident_changes", "Changes of incidents by type", Family::default()),
            incidents_open: add(all, "incidents_open", "Incidents open now", Gauge::default()),
            incidents_labelled: add(
                all,
                "incidents_labelled",
                "Incidents that somebody has labelled, by verdict and type",
                Family::default(),
            ),
            incident_precision: add(
                all,
                "incident_precision_ratio",
                "Share of true positives among the incidents of the last 30 days labelled true-positive or false-positive; absent without any",
                Family::default(),
            ),
            remediation_events: add(all, "remediation_events", "What remediation did", Family::default()),
            stopped: add(all, "stopped", "1 while the kill switch is engaged", Gauge::default()),
            leader: add(
                all,
                "leader_election_master_status",
                "1 while this replica holds the lease and may act",
                Family::default(),
            ),
            journal_head_seq: add(all, "journal_head_seq", "Number of the journal's last row", Gauge::default()),
            journal_head_hash: add(
                all,
                "journal_head_hash",
                "The first 12 hexadecimal digits of the last row's hash as a number: proves later that no row was cut off",
                Gauge::default(),
            ),
            newest_sample_timestamp_seconds: add_seconds(
                all,
                "subject_newest_sample_timestamp",
                "Newest sample of all subjects, Unix time; 0 before the first",
                Gauge::default(),
            ),
            oldest_sample_timestamp_seconds: add_seconds(
                all,
                "subject_oldest_sample_timestamp",
                "Newest sample of the subject with a model that has been silent the longest, Unix time; 0 if it never had one",
                Gauge::default(),
            ),
            subjects_blind: add(
                all,
                "subjects_blind",
                "Subjects with a model that had no sample in the last five steps",
                Gauge::default(),
            ),
            subjects_gone: add(
                all,
                "subjects_gone",
                "Subjects in a workload-gone incident: their series have ended while those of others go on",
                Gauge::default(),
            ),
            source_state: add(
                all,
                "source_state",
                "1 for the state that the data source is in, 0 for those it was in before",
                Family::default(),
            ),
            series_left_out: add(
                all,
                "source_series_left_out",
                "Series of the latest cycle beyond datasources[].series_max, of subjects without a model",
                Gauge::default(),
            ),
            subjects_refused: add(
                all,
                "subjects_refused",
                "Subjects of the latest cycle beyond limits.workloads_max, without a model",
                Gauge::default(),
            ),
            steps_missed: add(
                all,
                "steps_missed",
                "Steps that nothing was looked at in, as an outage was longer than what is caught up on",
                Counter::default(),
            ),
            clock_correction_seconds: add_seconds(
                all,
                "clock_correction",
                "Added to this machine's clock, because it disagrees with Prometheus's or has just stepped",
                Gauge::default(),
            ),
            config_last_reload_successful: add(
                all,
                "config_last_reload_successful",
                "1 if the config was read without a problem the last time",
                Gauge::default(),
            ),
            config_last_reload_success_timestamp_seconds: add_seconds(
                all,
                "config_last_reload_success_timestamp",
                "When the config was last read without a problem, Unix time",
                Gauge::default(),
            ),
            policy_last_reload_successful: add(
                all,
                "policy_last_reload_successful",
                "1 if the policy files were read without a problem the last time; with 0 the policies of before are in force",
                Gauge::default(),
            ),
            policy_last_reload_success_timestamp_seconds: add_seconds(
                all,
                "policy_last_reload_success_timestamp",
                "When the policy files were last read without a problem, Unix time",
                Gauge::default(),
            ),
            kubernetes_up: add(
                all,
                "kubernetes_up",
                "1 while the Kubernetes API server answers and accepts the credentials",
                Gauge::default(),
            ),
            cluster: ClusterMetrics::register(all),
            registry,
        }
    }

    /// The config was read at `now`, with or without a problem.
    pub(crate) fn config_reloaded(&self, successful: bool, now: Timestamp) {
        self.config_last_reload_successful.set(i64::from(successful));
        if successful {
            self.config_last_reload_success_timestamp_seconds.set(now.as_millis() / 1000);
        }
    }

    /// The policies were read at `now`, with or without a problem.
    pub(crate) fn policies_reloaded(&self, successful: bool, now: Timestamp) {
        self.policy_last_reload_successful.set(i64::from(successful));
        if successful {
            self.policy_last_reload_success_timestamp_seconds.set(now.as_millis() / 1000);
        }
    }

    /// The journal ends in this row.
    pub(crate) fn journal_ends_in(&self, head: &Head) {
        self.journal_head_seq.set(head.seq);
        // 48 bits, which a sample of Prometheus keeps exactly.
        let digits = head.hash.get(..12).unwrap_or_default();
        self.journal_head_hash.set(i64::from_str_radix(digits, 16).unwrap_or(0));
    }

    /// The source is in this state.
    pub(crate) fn source_is(&self, state: SourceState) {
        let label = StateLabel { state: state.name() };
        if self.source_state.get_or_create(&label).get() == 1 {
            return;
        }
        for other in SourceState::NAMES {
            self.source_state.get_or_create(&StateLabel { state: other }).set(i64::from(*other == label.state));
        }
    }

    /// So many incidents have which verdict, and what precision that makes of late.
    pub(crate) fn incidents_are_labelled(
        &self,
        counts: &BTreeMap<(Verdict, IncidentType), i64>,
        precision: Option<f64>,
    ) {
        self.incidents_labelled.clear();
        for ((verdict, incident_type), n) in counts {
            let labels = VerdictLabels { verdict: verdict.name(), r#type: incident_type.name() };
            self.incidents_labelled.get_or_create(&labels).set(*n);
        }
        match precision {
            Some(precision) => {
                self.incident_precision.get_or_create(&NoLabels {}).set(precision);
            }
            None => self.incident_precision.clear(),
        }
    }

    /// Also shows how the channels do.
    pub(crate) fn with_channels(mut self, announcer: &Arc<Announcer>) -> Self {
        self.registry.register_collector(Box::new(AnnounceMetrics(Arc::clone(announcer))));
        self
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String fails only if an encoder does; half an answer would be worse than an empty one.
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_openmetrics_and_ends_as_it_must() {
        let metrics = Metrics::new();
        metrics.cycles.get_or_create(&ResultLabel { result: "ok" }).inc();
        let text = metrics.text();
        assert!(text.contains("homeostat_cycles_total{result=\"ok\"} 1"), "{text}");
        assert!(text.contains("homeostat_build_info{version="), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
