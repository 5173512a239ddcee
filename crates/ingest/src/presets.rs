//! Ready-made queries. A preset is a list of queries, and the rule that says which subject a series is about.

use std::time::Duration;

use homeostat_core::format_duration;

use crate::query::Query;
use crate::subject_rule::SubjectRule;

mod kubernetes;
mod replicas;
mod rollouts;

pub use rollouts::rollouts_expr;

/// What differs between one Prometheus and the next.
///
/// ```
/// use std::time::Duration;
/// use homeostat_ingest::PresetParams;
///
/// let defaults = PresetParams::for_intervals(Duration::from_secs(30), Duration::from_secs(60));
/// let params = PresetParams { http: r#"job="web""#.into(), http_status_label: "status".into(), ..defaults };
/// assert_eq!(params.filled(r#"requests{$status_label!=""$http}"#), r#"requests{status!="",job="web"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresetParams {
    /// The range of every `rate`: see [`PresetParams::for_intervals`].
    pub rate_window: Duration,
    /// How far back restarts and OOM kills are counted.
    pub event_window: Duration,
    /// More matchers for kube-state-metrics' series, such as `job="kube-state-metrics"`. Empty matches all: its metric
    /// names are its own, and every query takes the largest of series that differ only in where they were scraped.
    pub kube_state_metrics: String,
    /// More matchers for cAdvisor's series, such as `job="kubelet"`. Empty matches all.
    pub cadvisor: String,
    /// More matchers for the services' HTTP series. Empty matches all.
    pub http: String,
    /// The label of `http_requests_total` that holds the status code: `code` or `status`.
    pub http_status_label: String,
}

/// How far back events are counted at least: an OOM-killed container may take minutes to be killed again.
const EVENT_WINDOW: Duration = Duration::from_secs(600);

impl PresetParams {
    /// Parameters for these intervals: the rate window is the larger of four scrapes and one step. A rate needs two
    /// samples; four scrapes keep one when two scrapes fail. And below a step, samples between two rows would be
    /// looked at by no row.
    ///
    /// ```
    /// use std::time::Duration;
    /// use homeostat_ingest::{PresetParams, preset};
    ///
    /// let params = PresetParams::for_intervals(Duration::from_secs(30), Duration::from_secs(60));
    /// assert_eq!(params.filled("rate(x[$rate_window])"), "rate(x[2m])");
    /// let preset = preset("kubernetes-workload", &params)?;
    /// assert!(preset.queries.iter().any(|query| query.name == "memory"));
    /// # Ok::<(), homeostat_ingest::UnknownPreset>(())
    /// ```
    pub fn for_intervals(scrape_interval: Duration, step: Duration) -> Self {
        let rate_window = scrape_interval.saturating_mul(4).max(step);
        Self {
            rate_window,
            event_window: EVENT_WINDOW.max(rate_window),
            kube_state_metrics: String::new(),
            cadvisor: String::new(),
            http: String::new(),
            http_status_label: "code".to_owned(),
        }
    }

    /// The same with one more matcher for all series, such as `cluster="eu-1"`.
    #[must_use]
    pub fn of_series(mut self, matcher: &str) -> Self {
        for matchers in [&mut self.kube_state_metrics, &mut self.cadvisor, &mut self.http] {
            if !matchers.is_empty() {
                matchers.push(',');
            }
            matchers.push_str(matcher);
        }
        self
    }

    /// PromQL with its `$rate_window`, `$event_window`, `$status_label` replaced, and `$ksm`, `$cadvisor` and `$http` by
    /// the further matchers, each with a comma before it. For presets, and for queries in a config.
    pub fn filled(&self, template: &str) -> String {
        let matchers = |more: &str| if more.is_empty() { String::new() } else { format!(",{more}") };
        let mut text = template.to_owned();
        for (name, value) in [
            ("$rate_window", format_duration(self.rate_window)),
            ("$event_window", format_duration(self.event_window)),
            ("$status_label", self.http_status_label.clone()),
            ("$ksm", matchers(&self.kube_state_metrics)),
            ("$cadvisor", matchers(&self.cadvisor)),
            ("$http", matchers(&self.http)),
        ] {
            text = text.replace(name, &value);
        }
        text
    }
}

/// Queries that belong together.
///
/// ```
/// use std::time::Duration;
/// use homeostat_ingest::{Preset, PresetParams, QuerySet, SubjectRule, preset};
///
/// let params = PresetParams::for_intervals(Duration::from_secs(15), Duration::from_secs(60));
/// let Preset { queries, rule, .. } = preset("kubernetes-workload", &params)?;
/// assert_eq!(rule, SubjectRule::default());
/// assert!(QuerySet::new(queries)?.schema().position("latency").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// Its name in the config.
    pub name: &'static str,
    /// What it needs and gives, for people.
    pub about: &'static str,
    /// The queries, in column order.
    pub queries: Vec<Query>,
    /// Which subject their series are about.
    pub rule: SubjectRule,
}

/// The names of all presets.
pub const PRESET_NAMES: [&str; 2] = [kubernetes::NAME, replicas::NAME];

/// There isn't a preset of this name.
///
/// ```
/// use std::time::Duration;
/// use homeostat_ingest::{PresetParams, preset};
///
/// let params = PresetParams::for_intervals(Duration::from_secs(15), Duration::from_secs(60));
/// let refused = preset("nomad", &params).map_err(|error| error.to_string());
/// assert_eq!(refused, Err(r#""nomad" isn't a preset; known are: kubernetes-workload, kubernetes-replicas"#.to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} isn't a preset; known are: {known}", known = PRESET_NAMES.join(", "))]
pub struct UnknownPreset(String);

/// The preset with this name, for these parameters.
///
/// ```
/// use std::time::Duration;
/// use homeostat_ingest::{PRESET_NAMES, PresetParams, preset};
///
/// let params = PresetParams::for_intervals(Duration::from_secs(15), Duration::from_secs(60));
/// for name in PRESET_NAMES {
///     let preset = preset(name, &params)?;
///     assert!(preset.queries.iter().all(|query| !query.expr.contains("$rate_window")), "all is filled in");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn preset(name: &str, params: &PresetParams) -> Result<Preset, UnknownPreset> {
    match name {
        kubernetes::NAME => Ok(kubernetes::workload(params)),
        replicas::NAME => Ok(replicas::pods(params)),
        _ => Err(UnknownPreset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::QuerySet;

    fn params() -> PresetParams {
        PresetParams::for_intervals(Duration::from_secs(15), Duration::from_secs(30))
    }

    #[test]
    fn every_preset_makes_windows_and_every_query_parses() {
        let wordy = PresetParams {
            kube_state_metrics: r#"job="kube-state-metrics""#.into(),
            cadvisor: r#"job="kubelet",metrics_path="/metrics/cadvisor""#.into(),
            http: r#"job=~"shop|api""#.into(),
            http_status_label: "status".into(),
            ..params()
        };
        for name in PRESET_NAMES {
            for params in [&params(), &wordy] {
                let preset = preset(name, params).expect(name);
                for query in &preset.queries {
                    // "$1" is PromQL's own, in label_replace.
                    assert!(!query.expr.replace("\"$1\"", "").contains('$'), "{}: {}", query.name, query.expr);
                    promql_parser::parser::parse(&query.expr)
                        .unwrap_or_else(|error| panic!("{}: {error}\n{}", query.name, query.expr));
                }
                QuerySet::new(preset.queries).expect(name);
            }
        }
    }

    #[test]
    fn the_rate_window_is_four_scrapes_or_a_step() {
        let window = |scrape, step| {
            PresetParams::for_intervals(Duration::from_secs(scrape), Duration::from_secs(step)).rate_window.as_secs()
        };
        assert_eq!((window(15, 30), window(15, 300), window(60, 60)), (60, 300, 240));
        let preset = preset("kubernetes-workload", &params()).expect("a preset");
        let traffic = preset.queries.iter().find(|query| query.name == "traffic").expect("traffic");
        assert!(traffic.expr.contains("[1m]"), "{}", traffic.expr);
    }

    #[test]
    fn an_unknown_preset_names_the_known_ones() {
        let error = preset("kubernets", &params()).expect_err("unknown");
        assert!(error.to_string().contains("kubernetes-workload"), "{error}");
    }
}
