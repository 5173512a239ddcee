//! `homeostat check cluster FILE…`: what objects of a cluster, saved with `kubectl get -o json`, say is certainly wrong.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use homeostat_core::{ClusterFact, Standing, Timestamp};
use homeostat_ingest::ClusterFiles;
use serde_json::json;

use crate::outcome::{Outcome, print};
use crate::words::{self, printable};

#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Files with objects in JSON, as `kubectl get pods,deployments,replicasets,events,nodes -A -o json` writes them. More kinds
    /// say more: statefulsets, daemonsets, services, persistentvolumeclaims, horizontalpodautoscalers, poddisruptionbudgets.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// As of when. Default: the latest moment that any of the objects tells of.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    /// Only this namespace.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For reading.
    Table,
    /// For programs.
    Json,
}

pub(crate) fn run(args: &ClusterArgs) -> Outcome {
    match text(args) {
        Ok(text) => {
            print(&text);
            Outcome::Done
        }
        Err(error) => Outcome::Failed(error),
    }
}

fn text(args: &ClusterArgs) -> anyhow::Result<String> {
    let mut files = ClusterFiles::default();
    for path in &args.files {
        files.read(path)?;
    }
    let newest = args.at.or_else(|| files.cluster.newest_moment());
    let at = newest.context("the objects tell of no moment; say with --at as of when to look at them")?;
    let is_wanted =
        |fact: &ClusterFact| args.namespace.as_ref().is_none_or(|namespace| fact.subject.namespace == *namespace);
    let facts: Vec<ClusterFact> = files.cluster.facts(at).into_iter().filter(is_wanted).collect();
    match args.output {
        Format::Table => Ok(table(&files, &facts, at)),
        Format::Json => Ok(format!("{:#}\n", json!({ "as_of": at, "objects": files.n_objects, "facts": facts }))),
    }
}

fn table(files: &ClusterFiles, facts: &[ClusterFact], at: Timestamp) -> String {
    let ClusterFiles { n_objects, n_not_needed, n_not_objects, .. } = files;
    let mut text = format!("As of {at}: {n_objects} objects read, {n_not_needed} not needed");
    if *n_not_objects > 0 {
        text.push_str(&format!(", {n_not_objects} without kind or name"));
    }
    text.push('\n');
    if facts.is_empty() {
        text.push_str("Nothing is wrong as far as these objects tell.\n");
        return text;
    }
    text.push('\n');
    let mut rows = vec![["WORKLOAD", "TYPE", "SINCE", "INCIDENT", "WHAT"].map(str::to_owned).to_vec()];
    rows.extend(facts.iter().map(|fact| {
        vec![
            printable(&fact.subject.to_string()).into_owned(),
            fact.incident_type.to_string(),
            words::about(at.since(fact.since)),
            opens(fact, at),
            printable(&fact.sentence).into_owned(),
        ]
    }));
    text.push_str(&words::table(&rows));
    text
}

/// Whether it opens an incident.
fn opens(fact: &ClusterFact, at: Timestamp) -> String {
    match fact.standing {
        Standing::Explains => "explains".to_owned(),
        Standing::Hints => "hints".to_owned(),
        Standing::Opens if fact.is_settled(at) => "opens".to_owned(),
        Standing::Opens => {
            let left = (fact.since + fact.kind.grace()).since(at);
            format!("in {}", words::about(left))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(files: &[&str], output: Format) -> ClusterArgs {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../ingest/tests/data/cluster");
        let files = files.iter().map(|name| folder.join(name)).collect();
        ClusterArgs { files, at: None, namespace: None, output }
    }

    #[test]
    fn what_kubectl_wrote_is_read_and_the_cause_is_told() {
        let table = text(&args(&["missing-configmap.json"], Format::Table)).unwrap();
        assert!(table.contains("ConfigMap `settings` doesn't exist (1 of 3 pods); since revision 2"), "{table}");
        let json = text(&args(&["missing-configmap.json", "crash-loop.json"], Format::Json)).unwrap();
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(read["facts"].as_array().is_some_and(|facts| facts.len() >= 2), "{json}");
    }

    #[test]
    fn a_file_without_objects_is_refused() {
        let error = text(&args(&["nothing.json"], Format::Table)).unwrap_err();
        assert!(format!("{error:#}").contains("has no Kubernetes object"), "{error:#}");
    }
}
