//! `queries`, `preset` and `subjects`: what is asked of Prometheus and what it means.

use std::time::Duration;

use homeostat_core::{Direction, Signal, WorkloadKind};
use homeostat_ingest::{
    Aggregation, OnMissing, PresetParams, Query, QuerySet, SubjectRule, preset, promql_problem, rollouts_expr,
};
use homeostat_settings::{Node, Reader, Value};

/// Queries a config may name. Each is a request a cycle and a column of every window; the type of an incident needs ten.
const QUERIES_MAX: usize = 64;

/// The label that names a replica, unless told otherwise.
const REPLICA_LABEL: &str = "pod";

/// The preset that comes with a query for roll-outs.
const WORKLOAD_PRESET: &str = "kubernetes-workload";

/// How to compare replicas.
#[derive(Clone, Debug)]
pub(crate) struct Replicas {
    /// The label that names the replica; the workload is named as everywhere.
    pub(crate) label: String,
    /// What is asked, a series for each replica.
    pub(crate) queries: QuerySet,
}

pub(super) fn read(reader: &mut Reader<'_>, params: &PresetParams, rule: &SubjectRule) -> Option<QuerySet> {
    let mut queries = read_preset(reader, params, rule);
    let own = reader.named("queries");
    let (file, path) = (reader.file(), reader.path_of("queries"));
    for (name, _, node) in own {
        let query = read_query(file, &format!("{path}.{name}"), name, node, reader);
        // A query of the same name replaces the preset's: that is how one expression is adapted.
        match queries.iter_mut().find(|known| known.name == query.name) {
            Some(known) => *known = query,
            None => queries.push(query),
        }
    }
    if queries.len() > QUERIES_MAX {
        let place = reader.node("queries").map_or(reader.place(), |node| node.place);
        reader.problem(place, format!("{path}: {} are given, at most {QUERIES_MAX} are accepted", queries.len()));
        return None;
    }
    match QuerySet::new(queries) {
        Ok(set) => Some(set),
        Err(error) => {
            let place = reader.node("queries").map_or(reader.place(), |node| node.place);
            reader.problem(place, format!("{path}: {error}"));
            None
        }
    }
}

fn read_preset(reader: &mut Reader<'_>, params: &PresetParams, rule: &SubjectRule) -> Vec<Query> {
    let Some(name) = reader.text("preset") else { return Vec::new() };
    if rule.cluster_label.is_some() && rule.cluster.is_none() {
        let why = "its queries are of one cluster: name it with subjects.cluster, or write queries that keep the label";
        reader.reject("preset", why);
    }
    match preset(&name, params) {
        Ok(preset) => preset.queries,
        Err(error) => {
            let place = reader.node("preset").map_or(reader.place(), |node| node.place);
            let path = reader.path_of("preset");
            reader.problem(place, format!("{path}: {error}"));
            Vec::new()
        }
    }
}

/// What a preset's queries are filled with: the intervals, and the one cluster that is looked at.
pub(super) fn preset_params(step: Duration, scrape_interval: Duration, rule: &SubjectRule) -> PresetParams {
    let params = PresetParams::for_intervals(scrape_interval, step);
    match (&rule.cluster_label, &rule.cluster) {
        (Some(label), Some(cluster)) => params.of_series(&format!("{label}={cluster:?}")),
        (None, _) | (Some(_), None) => params,
    }
}

fn read_query(file: &str, path: &str, name: &str, node: &Node, outer: &mut Reader<'_>) -> Query {
    // `name: expr` is enough for a feature that is only scored and explained. Asked first: a reader objects to a text.
    if let Value::Text(expr) = &node.value {
        if let Some(why) = promql_problem(expr) {
            outer.problem(node.place, format!("{path}: invalid PromQL: {why}"));
        }
        return Query { expr: expr.clone(), ..query_default(name) };
    }
    let mut reader = Reader::new(file, path, node, outer.problems());
    let expr = reader.text("expr");
    let expr = reader.require("expr", expr);
    if let Some(why) = expr.as_deref().and_then(promql_problem) {
        reader.reject("expr", format!("invalid PromQL: {why}"));
    }
    let signal = reader.parsed::<Signal>("signal");
    reader.renamed("aggregation", "across");
    reader.renamed("on_missing", "absent");
    let is_hole = reader.renamed_value("on_missing", "gap", "hole");
    let mut choice = |key: &'static str, names: &[&str]| {
        reader.get(key, |value| match value {
            Value::Text(text) => names
                .iter()
                .position(|known| known == text)
                .ok_or_else(|| format!("unknown {text:?}; use one of {}", names.join(", "))),
            other => Err(format!("must be one of {}, not {}", names.join(", "), other.kind())),
        })
    };
    let direction = choice("direction", &["up", "down", "both"]);
    let aggregation = choice("aggregation", &["max", "sum", "mean"]);
    let on_missing = if is_hole { Some(0) } else { choice("on_missing", &["gap", "zero"]) };
    let deviation_min = reader.number("deviation_min", 0.0..=f64::MAX);
    let limit = reader.number("limit", f64::MIN..=f64::MAX);
    reader.finish();
    Query {
        expr: expr.unwrap_or_default(),
        signal: signal.unwrap_or(Signal::Other),
        direction: [Direction::Up, Direction::Down, Direction::Both][direction.unwrap_or(2)],
        deviation_min: deviation_min.unwrap_or(signal.unwrap_or(Signal::Other).deviation_min()),
        aggregation: [Aggregation::Max, Aggregation::Sum, Aggregation::Mean][aggregation.unwrap_or(0)],
        on_missing: [OnMissing::Gap, OnMissing::Zero][on_missing.unwrap_or(0)],
        limit,
        ..query_default(name)
    }
}

fn query_default(name: &str) -> Query {
    Query {
        name: name.to_owned(),
        expr: String::new(),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
        aggregation: Aggregation::Max,
        on_missing: OnMissing::Gap,
        limit: None,
    }
}

/// `replicas`: queries with a series for each replica of a workload, which are compared with each other.
pub(super) fn read_replicas(reader: &mut Reader<'_>, params: &PresetParams, rule: &SubjectRule) -> Option<Replicas> {
    let section = |replicas: &mut Reader<'_>| {
        let label = replicas.text("label").unwrap_or_else(|| REPLICA_LABEL.to_owned());
        let queries = read(replicas, params, rule)?;
        Some(Replicas { label, queries })
    };
    reader.section("replicas", section).flatten()
}

/// `rollouts`: a query that gives, for each workload, when it was last rolled out, in Unix seconds. Unless the config has its own,
/// kube-state-metrics is asked: where the preset is used, which needs it anyway, and where it is wanted.
pub(super) fn read_rollouts(reader: &mut Reader<'_>, params: &PresetParams, kind: WorkloadKind) -> Option<String> {
    let own = reader.section("rollouts", |rollouts| (rollouts.flag("enabled"), rollouts.text("expr")));
    match own {
        Some((Some(false), _)) => None,
        Some((Some(true) | None, Some(expr))) => Some(expr),
        Some((Some(true), None)) => {
            let of_kind = rollouts_expr(kind, params);
            if of_kind.is_none() {
                let place = reader.place_of("rollouts");
                let kind = kind.name();
                reader.problem(
                    place,
                    format!("rollouts: nothing is known of roll-outs of workloads of kind {kind}; set expr"),
                );
            }
            of_kind
        }
        Some((None, None)) | None => {
            let is_preset = reader.text("preset").is_some_and(|name| name == WORKLOAD_PRESET);
            is_preset.then(|| rollouts_expr(kind, params)).flatten()
        }
    }
}

pub(super) fn read_subjects(reader: &mut Reader<'_>) -> SubjectRule {
    reader
        .section("subjects", |subjects| {
            let default = SubjectRule::default();
            let kind = subjects.get("kind", |value| match value {
                Value::Text(text) => WorkloadKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
                    format!("unknown {text:?}; use one of {}", WorkloadKind::ALL.map(WorkloadKind::name).join(", "))
                }),
                other => Err(format!("must be a kind of workload, not {}", other.kind())),
            });
            let cluster_label = subjects.text("cluster_label");
            let cluster = subjects.text("cluster");
            if cluster.is_some() && cluster_label.is_none() {
                subjects.reject("cluster", "name the label that holds it with subjects.cluster_label");
            }
            SubjectRule {
                namespace_label: subjects.text("namespace_label").unwrap_or(default.namespace_label),
                name_label: subjects.text("name_label").unwrap_or(default.name_label),
                kind: kind.unwrap_or(default.kind),
                namespace_fixed: subjects.text("namespace"),
                cluster_label,
                cluster,
            }
        })
        .unwrap_or_default()
}
