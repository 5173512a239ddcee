//! From a file to a [`Config`], or to all its problems.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use homeostat_core::{Exclusion, IncidentType, Mode};
use homeostat_ingest::QuerySet;
use homeostat_remediate::{Policy, lint_confidence, lint_metrics};
use homeostat_settings::{Findings, Node, Place, Problem, Reader, Timezone, expand, hide_variables, parse_documents};

use crate::calibration::{calibration, highest_confidence};

use super::storage::{JOURNAL_RETENTION_DEFAULT, Storage};
use super::{
    Config, Detection, Limits, ListenAddress, detection, exclude, holidays, leader_election, queries, remediation,
    source,
};
use crate::config::JournalPlace;

/// Shortest step. Below a second Prometheus itself hardly scrapes, and a cycle must fit into it.
const STEP_MIN: Duration = Duration::from_secs(1);
/// Longest step: with an hour between rows nothing is found in time to matter.
const STEP_MAX: Duration = Duration::from_secs(3600);
/// Training more often than hourly learns nothing new and asks for all the history each time.
const RETRAIN_EVERY_MIN: Duration = Duration::from_secs(3600);
/// Longest `offset`. What is older than five minutes is stale to the tracker, so every incident would be stale from its first
/// row on and nothing would ever be done about it.
const OFFSET_MAX: Duration = Duration::from_secs(300);
/// Steps of history for each workload: 20 160 are two weeks of minutes. More would take time and disk for seasons that aren't
/// modelled.
pub(crate) const HISTORY_ROWS_MAX: usize = 50_000;
/// Where `serve` listens unless told otherwise. Loopback: there is no authentication yet.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9476);

/// A config, and what is legal in it but probably not meant.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The config.
    pub(crate) config: Config,
    /// Lint.
    pub(crate) warnings: Vec<String>,
}

/// Reads a config file and the policy files it names. Paths in it are relative to the file's own directory.
pub(crate) fn load(path: &Path) -> Result<Loaded, Vec<Problem>> {
    load_with_variables_shown(path).map_err(|mut problems| {
        hide_variables(&std::fs::read_to_string(path).unwrap_or_default(), &mut problems);
        problems
    })
}

fn load_with_variables_shown(path: &Path) -> Result<Loaded, Vec<Problem>> {
    let file = path.display().to_string();
    let one = |line, message: String| vec![Problem { file: file.clone(), place: Place { line, column: 1 }, message }];
    let text = std::fs::read_to_string(path).map_err(|error| one(1, format!("can't be read: {error}")))?;
    let text = expand(&file, &text)?;
    let documents = parse_documents(&file, &text).map_err(|problem| vec![problem])?;
    let [root] = documents.as_slice() else {
        return Err(one(1, format!("a config is one YAML document, this file has {}", documents.len())));
    };
    let base = path.parent().map(Path::to_owned).unwrap_or_default();
    let mut findings = Findings::new();
    let mut warnings = Vec::new();
    let config = read(&file, root, &base, &mut findings, &mut warnings);
    warnings.extend(findings.warnings().iter().map(ToString::to_string));
    let problems = findings.into_problems();
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded { config, warnings }),
        Some(_) | None => Err(problems),
    }
}

/// The keys that are asked for while `text` is read, and its problems.
#[cfg(test)]
pub(super) fn keys_of(text: &str, base: &Path) -> (Vec<homeostat_settings::Key>, Vec<Problem>) {
    const FILE: &str = "config.yaml";
    let text = expand(FILE, text).unwrap_or_default();
    let documents = parse_documents(FILE, &text).unwrap_or_default();
    let mut findings = Findings::new();
    for root in &documents {
        read(FILE, root, base, &mut findings, &mut Vec::new());
    }
    (findings.keys().to_vec(), findings.into_problems())
}

/// As [`load`], with all problems in one error, for commands that need the config to go on.
pub(crate) fn load_or_explain(path: &Path) -> anyhow::Result<Config> {
    let loaded = explained(path)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded.config)
}

/// As [`load_or_explain`], for a process whose parent has shown the warnings.
pub(crate) fn load_without_warnings(path: &Path) -> anyhow::Result<Config> {
    explained(path).map(|loaded| loaded.config)
}

fn explained(path: &Path) -> anyhow::Result<Loaded> {
    load(path).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the config can't be used:\n{}", lines.join("\n"))
    })
}

fn read(file: &str, root: &Node, base: &Path, findings: &mut Findings, warnings: &mut Vec<String>) -> Option<Config> {
    let mut reader = Reader::new(file, "", root, findings);
    let mode = reader.parsed::<Mode>("mode").unwrap_or_default();
    let times = reader.section("global", Times::read).unwrap_or_default();
    let limits = reader.section("limits", Limits::read).unwrap_or_default();
    let source = source::read(&mut reader, base, times.step);
    let subjects = queries::read_subjects(&mut reader);
    let params = queries::preset_params(times.step, times.scrape_interval, &subjects);
    let queries = queries::read(&mut reader, &params, &subjects);
    let replicas = queries::read_replicas(&mut reader, &params, &subjects);
    let rollouts = queries::read_rollouts(&mut reader, &params, subjects.kind);
    let detection = detection::read(&mut reader, base);
    let detection = Detection { timezone: times.timezone, exclude: times.exclude, ..detection };
    if times.retrain_every.is_some() && detection.bundle.is_some() {
        let place = reader.place_of("bundle");
        reader.problem(
            place,
            "bundle: with global.retrain_every the bundle's models would be replaced; choose one of them, and \
             train the bundle anew by a timer of your own",
        );
    }
    let topology = detection::read_topology(&mut reader);
    let calendar = detection::read_calendar(&mut reader);
    let remediation = remediation::read(&mut reader, base, mode, warnings);
    let is_of_bad_deployments = |policy: &Policy| policy.incident_type == IncidentType::BadDeployment;
    if rollouts.is_none() && remediation.policies.iter().any(is_of_bad_deployments) {
        warnings.push(format!(
            "{file}: rollouts: nothing says when workloads were rolled out, so no incident is called bad-deployment and the \
             policies for it do nothing; set `rollouts: {{enabled: true}}` where kube-state-metrics is scraped, or an expr"
        ));
    }
    warnings.extend(policy_warnings(file, &remediation.policies, &detection, queries.as_ref()));
    let storage = reader.section("storage", Storage::read).unwrap_or_default();
    let leader_election = leader_election::read(&mut reader);
    if storage.journal == JournalPlace::Kubernetes && remediation.kubernetes.is_none() {
        let place = reader.place_of("storage");
        reader.problem(
            place,
            "storage.journal: kubernetes needs the section `kubernetes`, which may be empty: `kubernetes: {}`",
        );
    }
    if leader_election.is_some() && storage.journal == JournalPlace::Sqlite {
        reader.reject(
            "leader_election",
            "needs `storage: {journal: kubernetes}`: with a journal on its own disk a replica that takes over knows nothing of \
             what the one before it did",
        );
    }
    if let (Some(elected), Some(kubernetes)) = (&leader_election, &remediation.kubernetes)
        && let Err(why) = elected.fits(kubernetes.timeout)
    {
        reader.reject("leader_election", why);
    }
    let server = reader.section("server", read_server).unwrap_or_default();
    reader.finish();
    Some(Config {
        mode,
        step: times.step,
        history: times.history,
        retrain_every: times.retrain_every,
        offset: times.offset,
        scrape_interval: times.scrape_interval,
        limits,
        source: source?,
        queries: queries?,
        subjects,
        replicas,
        rollouts,
        detection,
        topology,
        calendar,
        policies: remediation.policies,
        rego: remediation.rego,
        policy_files: remediation.policy_files,
        channels: remediation.channels,
        kubernetes: remediation.kubernetes,
        own_workload: remediation.own_workload,
        storage: base.join(storage.path.as_deref().unwrap_or("homeostat-data")),
        journal: storage.journal,
        leader_election,
        journal_retention: storage.journal_retention.unwrap_or(JOURNAL_RETENTION_DEFAULT),
        listen_address: server.listen_address.unwrap_or(LISTEN_DEFAULT),
        probe_address: server.probe_address,
    })
}

/// What about the policies depends on the rest of the config.
fn policy_warnings(file: &str, policies: &[Policy], detection: &Detection, queries: Option<&QuerySet>) -> Vec<String> {
    let calibration = detection.calibration.clone().or_else(|| calibration().ok());
    let mut warnings = calibration.map_or_else(Vec::new, |calibration| {
        lint_confidence(policies, |incident_type| highest_confidence(&calibration, incident_type))
    });
    if let Some(queries) = queries {
        let signal = |metric: &str| {
            let features = queries.schema().features();
            features.iter().find(|feature| feature.name == metric).map(|feature| feature.signal)
        };
        warnings.extend(lint_metrics(policies, signal));
    }
    warnings.into_iter().map(|warning| format!("{file}: policy {warning}")).collect()
}

/// `global`: the times everything shares.
struct Times {
    step: Duration,
    history: Duration,
    retrain_every: Option<Duration>,
    offset: Duration,
    scrape_interval: Duration,
    timezone: Timezone,
    exclude: Vec<Exclusion>,
}

impl Default for Times {
    fn default() -> Self {
        // A minute is the usual scrape interval; two weeks show a weekly season twice; 30 s is what Prometheus's own
        // long-term stores wait before they call a sample complete.
        Self {
            step: Duration::from_secs(60),
            history: Duration::from_secs(14 * 86_400),
            retrain_every: None,
            offset: Duration::from_secs(30),
            scrape_interval: Duration::from_secs(30),
            timezone: Timezone::default(),
            exclude: Vec::new(),
        }
    }
}

impl Times {
    fn read(reader: &mut Reader<'_>) -> Self {
        let default = Self::default();
        let step = reader.duration("step").unwrap_or(default.step);
        // Whole seconds, because range queries are asked for with whole seconds.
        if !(STEP_MIN..=STEP_MAX).contains(&step) || step.subsec_nanos() != 0 {
            let place = reader.node("step").map_or(reader.place(), |node| node.place);
            reader.problem(place, "global.step: must lie between 1s and 1h, in whole seconds");
        }
        // Two weeks, or as much as short steps leave of them.
        let history_default = default.history.min(step.saturating_mul(HISTORY_ROWS_MAX as u32));
        let history = reader.duration("history").unwrap_or(history_default);
        if history.as_millis() / step.as_millis().max(1) > HISTORY_ROWS_MAX as u128 {
            let place = reader.node("history").map_or(reader.place(), |node| node.place);
            reader.problem(
                place,
                format!(
                    "global.history: must be at most {HISTORY_ROWS_MAX} steps, that is {} with this step",
                    homeostat_core::format_duration(step.saturating_mul(HISTORY_ROWS_MAX as u32))
                ),
            );
        }
        if history < step.saturating_mul(60) {
            let place = reader.node("history").map_or(reader.place(), |node| node.place);
            reader.problem(place, "global.history: must be at least 60 steps, or nothing can be learned from it");
        }
        let retrain_every = reader.duration("retrain_every");
        if retrain_every.is_some_and(|every| every < RETRAIN_EVERY_MIN) {
            let place = reader.node("retrain_every").map_or(reader.place(), |node| node.place);
            reader.problem(place, "global.retrain_every: must be at least 1h; days to weeks are usual");
        }
        let offset = reader.duration("offset").unwrap_or(default.offset);
        if offset > OFFSET_MAX {
            let place = reader.node("offset").map_or(reader.place(), |node| node.place);
            reader.problem(place, "global.offset: must be at most 5m: older data says nothing of now");
        }
        Self {
            step,
            history,
            retrain_every,
            offset,
            scrape_interval: reader.duration("scrape_interval").unwrap_or(default.scrape_interval),
            timezone: reader.parsed::<Timezone>("timezone").unwrap_or_default().with_holidays(holidays::read(reader)),
            exclude: exclude::read(reader),
        }
    }
}

/// `server`: where to listen.
#[derive(Default)]
struct Server {
    listen_address: Option<SocketAddr>,
    probe_address: Option<ListenAddress>,
}

fn read_server(reader: &mut Reader<'_>) -> Server {
    let listen = reader.parsed::<ListenAddress>("listen_address");
    let listen_address = listen.as_ref().and_then(ListenAddress::for_api);
    if let Some(elsewhere) = listen.filter(|_| listen_address.is_none()) {
        reader.reject(
            "listen_address",
            format_args!(
                "{elsewhere} isn't loopback; there is no authentication yet, so the API listens on 127.0.0.1 or [::1] only. \
                 For probes and metrics use server.probe_address"
            ),
        );
    }
    Server { listen_address, probe_address: reader.parsed("probe_address") }
}
