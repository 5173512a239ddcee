//! A real Prometheus, with history that was there before it started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::exporter::Exporter;
use crate::parts::Parts;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::{http, ports, wait};

/// A start takes 0.2 s on an idle machine.
const START_WITHIN: Duration = Duration::from_secs(60);

/// The recording rule of kubernetes-mixin that names each pod's workload, for Deployments.
pub const WORKLOAD_RULES: &str = r#"groups:
  - name: workload
    interval: 1s
    rules:
      - record: namespace_workload_pod:kube_pod_owner:relabel
        labels: {workload_type: deployment}
        expr: |
          max by (namespace, workload, pod) (
            label_replace(
              label_replace(
                kube_pod_owner{job="kube-state-metrics", owner_kind="ReplicaSet"},
                "replicaset", "$1", "owner_name", "(.*)"
              ) * on (replicaset, namespace) group_left (owner_name)
                topk by (replicaset, namespace) (1, max by (replicaset, namespace, owner_name)
                  (kube_replicaset_owner{job="kube-state-metrics", owner_kind="Deployment"})),
              "workload", "$1", "owner_name", "(.*)"
            )
          )
"#;

/// One thing to scrape every second.
#[derive(Clone, Debug)]
pub struct ScrapeJob {
    /// The `job` label, and the `instance` label too: history written before a port was known continues.
    pub name: String,
    /// `host:port`.
    pub target: String,
    /// Other labels that every series of the target gets.
    pub labels: Vec<(String, String)>,
}

impl ScrapeJob {
    /// Scrapes `exporter` as job `name`.
    #[must_use]
    pub fn of(name: &str, exporter: &Exporter) -> Self {
        Self { name: name.to_owned(), target: exporter.address().to_string(), labels: Vec::new() }
    }

    /// Adds a label to every series of the target.
    #[must_use]
    pub fn with_label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What a [`Prometheus`] is started with.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// What it scrapes, every second.
    pub jobs: Vec<ScrapeJob>,
    /// An OpenMetrics file that's back-filled before the start; see [`crate::shop_history`].
    pub history: Option<PathBuf>,
    /// A rule file's text, such as [`WORKLOAD_RULES`]; evaluated every second.
    pub rules: Option<String>,
    /// Alertmanagers as `host:port`.
    pub alertmanagers: Vec<String>,
}

/// A running Prometheus on loopback; it takes remote writes too. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    binary: PathBuf,
    port: u16,
    scratch: Scratch,
}

/// One series of an instant query's answer.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its labels, as a JSON object.
    pub labels: Value,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of a label, or nothing.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }
}

impl Prometheus {
    /// Starts one, and waits until it answers queries.
    ///
    /// # Errors
    /// When the history can't be back-filled, or it doesn't start; the end of its log is part of the message.
    pub async fn start(parts: &Parts, setup: &Setup) -> Result<Self> {
        let scratch = Scratch::new("prometheus")?;
        if let Some(history) = &setup.history {
            back_fill(&parts.promtool, history, &data(&scratch))?;
        }
        scratch.write("prometheus.yml", config(setup).to_string())?;
        if let Some(rules) = &setup.rules {
            scratch.write("rules.yml", rules)?;
        }
        let binary = parts.prometheus.clone();
        let port = ports::free()?;
        let process = launch(&binary, port, &scratch)?;
        let mut prometheus = Self { process, binary, port, scratch };
        prometheus.wait_ready().await?;
        Ok(prometheus)
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The answer to an instant query, as of now. A scalar counts as one sample without labels.
    ///
    /// # Errors
    /// When the query is refused or there's no answer.
    pub async fn query(&self, expr: &str) -> Result<Vec<Sample>> {
        let url = format!("{}/api/v1/query?query={}", self.base_url(), http::escaped(expr));
        let answer = http::get_json(&url).await?;
        let data = &answer["data"];
        let sample = |labels: &Value, pair: &Value| -> Result<Sample> {
            let value = pair[1].as_str().context("a sample without a value")?;
            Ok(Sample { labels: labels.clone(), value: value.parse()? })
        };
        match data["resultType"].as_str() {
            Some("scalar") => Ok(vec![sample(&json!({}), &data["result"])?]),
            Some("vector") => {
                let series = data["result"].as_array().context("a vector without a result")?;
                series.iter().map(|series| sample(&series["metric"], &series["value"])).collect()
            }
            other => anyhow::bail!("an instant query's answer of type {other:?}"),
        }
    }

    /// The value of a query that gives one series, or nothing when it gives none.
    ///
    /// # Errors
    /// As [`Prometheus::query`], and when it gives several.
    pub async fn value(&self, expr: &str) -> Result<Option<f64>> {
        let samples = self.query(expr).await?;
        ensure!(samples.len() <= 1, "{expr} gives {} series", samples.len());
        Ok(samples.first().map(|sample| sample.value))
    }

    /// Waits until a query that gives one series gives a value that `holds`, and returns the value.
    ///
    /// # Errors
    /// When it doesn't within `within`.
    pub async fn wait_for(&self, expr: &str, within: Duration, holds: impl Fn(f64) -> bool) -> Result<f64> {
        let holds = &holds;
        wait::until(expr, within, || async { Ok(self.value(expr).await?.filter(|value| holds(*value))) }).await
    }

    /// Stops it from answering, with its connections open.
    ///
    /// # Errors
    /// When it has ended.
    pub fn freeze(&self) -> Result<()> {
        self.process.freeze()
    }

    /// Lets it answer again.
    ///
    /// # Errors
    /// When it has ended.
    pub fn thaw(&self) -> Result<()> {
        self.process.thaw()
    }

    /// Kills it: connections to it are refused.
    ///
    /// # Errors
    /// When the system won't.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again after [`Prometheus::kill`], at the same address and with the same data.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = launch(&self.binary, self.port, &self.scratch)?;
        self.wait_ready().await
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let url = format!("{}/-/ready", self.base_url());
        self.process.ready(START_WITHIN, || async { Ok(Some(http::get(&url).await?)) }).await?;
        Ok(())
    }
}

fn data(scratch: &Scratch) -> PathBuf {
    scratch.path().join("data")
}

fn back_fill(promtool: &Path, history: &Path, data: &Path) -> Result<()> {
    let mut command = Command::new(promtool);
    command.args(["tsdb", "create-blocks-from", "--quiet", "openmetrics"]).arg(history).arg(data);
    let output = command.output().context("running promtool")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "promtool could not back-fill {}: {told}", history.display());
    Ok(())
}

fn launch(binary: &Path, port: u16, scratch: &Scratch) -> Result<Process> {
    let mut command = Command::new(binary);
    command.arg(format!("--config.file={}", scratch.path().join("prometheus.yml").display()));
    command.arg(format!("--storage.tsdb.path={}", data(scratch).display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.args([
        "--web.enable-remote-write-receiver",
        // History of any age must outlive the start.
        "--storage.tsdb.retention.time=100y",
        // Otherwise an alert is first sent up to a minute late.
        "--rules.alert.resend-delay=1s",
        "--log.level=warn",
    ]);
    // Debian's build looks for its pages relative to where it runs; the tests only use the API.
    command.current_dir(scratch.path());
    Process::start("prometheus", command, scratch.path())
}

/// The configuration as JSON, which is YAML too.
fn config(setup: &Setup) -> Value {
    let jobs: Vec<Value> = setup
        .jobs
        .iter()
        .map(|job| {
            let mut labels = json!({"instance": job.name});
            for (name, value) in &job.labels {
                labels[name] = json!(value);
            }
            json!({
                "job_name": job.name,
                "honor_labels": true,
                "static_configs": [{"targets": [job.target], "labels": labels}],
            })
        })
        .collect();
    let mut config = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": jobs,
    });
    if setup.rules.is_some() {
        config["rule_files"] = json!(["rules.yml"]);
    }
    if !setup.alertmanagers.is_empty() {
        config["alerting"] = json!({"alertmanagers": [{"static_configs": [{"targets": setup.alertmanagers}]}]});
    }
    config
}
