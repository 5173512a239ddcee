//! Where incidents are read: a storage directory, also beside a running service, or the service's HTTP API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use homeostat_journal::Journal;
use serde_json::{Value, json};

use super::recorded::Recorded;

/// A person waits for it.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Ten thousand incidents of some kilobytes each.
const ANSWER_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PlaceArgs {
    /// The service's storage directory, as in its config.
    #[arg(long = "storage.path", value_name = "DIR")]
    pub(super) storage: Option<PathBuf>,
    /// URL of a running homeostat, such as http://127.0.0.1:9476.
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
}

impl PlaceArgs {
    /// All incidents, newest first, with the latest decision and what was done.
    pub(super) async fn incidents(&self) -> anyhow::Result<Vec<Recorded>> {
        match (&self.storage, &self.url) {
            (Some(path), _) => of_journal(path),
            (None, Some(url)) => of_server(url).await,
            (None, None) => bail!("name a place: --storage.path DIR or --url URL"),
        }
    }

    /// Adds every row about one incident, where a journal is at hand.
    pub(super) fn complete(&self, recorded: &mut Recorded) -> anyhow::Result<()> {
        let Some(path) = &self.storage else { return Ok(()) };
        let rows = open_at(path)?.record_of(&recorded.incident.id)?;
        recorded.rows = rows.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        Ok(())
    }
}

fn of_journal(path: &Path) -> anyhow::Result<Vec<Recorded>> {
    let journal = open_at(path)?;
    let history = journal.history()?;
    let mut incidents = journal.incidents()?;
    incidents.reverse();
    incidents
        .into_iter()
        .map(|incident| {
            let decision = serde_json::to_value(journal.decision(&incident.id)?)?;
            let label = serde_json::to_value(journal.label(&incident.id)?)?;
            let actions = history.of_incident(&incident.id).map(|action| {
                json!({
                    "plan": action.plan.id,
                    "action": action.plan.step.action,
                    "attempt": action.plan.attempt,
                    "at": action.intended_at,
                    "stage": action.stage,
                    "why": action.why,
                })
            });
            let actions = Value::Array(actions.collect());
            let pending = history.pending.get(&incident.id);
            let recorded = Recorded::of(serde_json::to_value(incident)?, decision, &label, &actions)?;
            Ok(match pending {
                Some(pending) => recorded.with_proposal(pending),
                None => recorded,
            })
        })
        .collect()
}

/// A client, and the URL of this path.
fn client(url: &str, path: &str) -> anyhow::Result<(reqwest::Client, reqwest::Url)> {
    // The client takes the process's default.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base: reqwest::Url = url.parse().context("--url: write it like http://127.0.0.1:9476")?;
    let client = reqwest::Client::builder().timeout(ANSWER_MAX).build().context("the HTTP client")?;
    Ok((client, base.join(path).context("--url")?))
}

/// Sends JSON to a running homeostat; an error says what it answered.
pub(super) async fn post(url: &str, path: &str, body: &Value) -> anyhow::Result<()> {
    let (client, url) = client(url, path)?;
    let request = client.post(url).header("content-type", "application/json").body(body.to_string());
    let response = request.send().await.map_err(reqwest::Error::without_url).context("asking --url")?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let answer = response.text().await.map_err(reqwest::Error::without_url).context("asking --url")?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    match answer["error"].as_str() {
        Some(why) => bail!("--url answered {status}: {why}"),
        None => bail!("--url answered {status}; is it homeostat's address, and as new as this program?"),
    }
}

async fn of_server(url: &str) -> anyhow::Result<Vec<Recorded>> {
    let (client, url) = client(url, "/api/v1/incidents")?;
    let mut response = client.get(url).send().await.map_err(reqwest::Error::without_url).context("asking --url")?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url).context("asking --url")? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            bail!("--url: the answer has more than {ANSWER_BYTES_MAX} bytes; use --storage.path on the server");
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        bail!("--url answered {status}; is it homeostat's address?");
    }
    let answer: Value = serde_json::from_slice(&body).context("--url: this isn't homeostat's answer")?;
    let rows = answer["data"].as_array().context("--url: this isn't homeostat's answer: `data` is missing")?;
    let of =
        |row: &Value| Recorded::of(row["incident"].clone(), row["decision"].clone(), &row["label"], &row["actions"]);
    rows.iter().map(of).collect()
}

/// Opens the journal for reading, beside a running service.
fn open_at(path: &Path) -> anyhow::Result<Journal> {
    Journal::open_to_read(&path.join("journal.db")).context("the journal")
}
