//! Training for the service, in a process of its own: the same program writes a bundle, which the service then loads.
//!
//! Training needs many times the memory that the models hold, and an allocator keeps much of it. A process that ends gives all
//! of it back, and one that is killed for want of memory takes nothing else with it (`docs/decisions/0080-training-is-a-process-of-its-own.md`).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use clap::Args;
use homeostat_core::{Exclusion, IncidentId, sha256_hex};
use homeostat_detect::{Bundle, Provenance};
use homeostat_ingest::PrometheusSource;
use homeostat_journal::Journal;
use serde::{Deserialize, Serialize};

use super::{PastIncidents, Trained, past_incidents, recipe};
use crate::calibration::calibration_of;
use crate::clock;
use crate::config::{self, Config, Detection};
use crate::outcome::{Outcome, print};
use crate::source::{self, NotTrained};
use crate::training::purpose::Purpose;

/// Where the bundle is written, in the storage directory; gone when it is loaded.
const DIRECTORY: &str = "training";
/// What the training leaves out beside what the config says, in the same directory.
const PAST_INCIDENTS: &str = "past-incidents.json";
/// How often the training looks whether the service that started it is still there.
const LOOK_FOR_PARENT: Duration = Duration::from_secs(1);

/// Makes models of the history that the config asks for.
#[async_trait]
pub(crate) trait Trainer: Send + Sync {
    /// Trains now.
    async fn train(&self, purpose: Purpose) -> Result<Trained, NotTrained>;
}

/// Trains in a process of its own.
pub(crate) struct ChildTrainer {
    /// The file that `config` was read from.
    file: PathBuf,
    config: Arc<Config>,
    /// Where past incidents are.
    journal: Arc<Journal>,
}

#[derive(Debug, Args)]
pub(crate) struct TrainModelsArgs {
    #[arg(long = "config.file")]
    file: PathBuf,
    #[arg(long)]
    output: PathBuf,
    /// What the service takes for the digest of what it needs of the config.
    #[arg(long)]
    expect: String,
    #[arg(long)]
    purpose: Purpose,
    /// Times that models don't learn, beside those of the config: JSON.
    #[arg(long)]
    left_out: PathBuf,
}

/// What the training says on its standard output when it is done.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Trained,
    NotYet(String),
    Never(String),
}

/// Digest of all that models depend on. Which runtime runs them isn't part of it.
fn digest(config: &Config) -> String {
    let detection = Detection { onnx_library: None, bundle: None, ..config.detection.clone() };
    let times = (config.step, config.history, config.offset);
    let text = format!("{times:?} {:?} {:?} {:?} {detection:?}", config.source, config.queries, config.subjects);
    sha256_hex(&[text.as_bytes()])
}

impl ChildTrainer {
    /// Of the config that was read from this file.
    pub(crate) fn new(file: &Path, config: Arc<Config>, journal: Arc<Journal>) -> Self {
        Self { file: file.to_owned(), config, journal }
    }

    /// What the journal knows of incidents in the history. A journal that can't be read keeps nobody from being watched.
    fn past_incidents(&self) -> Vec<Exclusion> {
        let end = source::history_end(&self.config);
        let local_time = &self.config.detection.timezone.local_time;
        let found = match self.journal.incidents() {
            Ok(incidents) => {
                // What can't be read now counts as not labelled.
                let verdict_of =
                    |id: &IncidentId| self.journal.label(id).ok().flatten().and_then(|label| label.verdict);
                past_incidents(&incidents, verdict_of, end - self.config.history, end, local_time)
            }
            Err(error) => {
                tracing::warn!(%error, "past incidents can't be read; models learn them as if they were usual");
                PastIncidents::default()
            }
        };
        for exclusion in &found.exclusions {
            let (from, to, reason) = (exclusion.from, exclusion.to, &exclusion.reason);
            tracing::info!(subject = exclusion.scope(), %from, %to, reason, "a past incident isn't learned");
        }
        for subject in &found.too_many {
            tracing::warn!(%subject, "more than a tenth of the history is incidents, so they are learned as usual");
        }
        found.exclusions
    }

    async fn try_train(&self, dir: &Path, purpose: Purpose) -> anyhow::Result<Result<Trained, NotTrained>> {
        // What a process that was killed left there.
        if dir.exists() {
            std::fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let bundle = dir.join("bundle");
        let left_out = dir.join(PAST_INCIDENTS);
        std::fs::write(&left_out, serde_json::to_vec(&self.past_incidents())?)
            .with_context(|| format!("writing {}", left_out.display()))?;
        // Not by its path, where a newer version may have been put meanwhile.
        let program =
            if cfg!(target_os = "linux") { PathBuf::from("/proc/self/exe") } else { std::env::current_exe()? };
        let child = tokio::process::Command::new(program)
            .arg("train-models")
            .args(["--config.file".as_ref(), self.file.as_os_str()])
            .args(["--output".as_ref(), bundle.as_os_str()])
            .args(["--expect", &digest(&self.config)])
            .args(["--purpose", purpose.name()])
            .args(["--left-out".as_ref(), left_out.as_os_str()])
            .args(crate::logging::flags())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the training")?;
        let output = child.wait_with_output().await.context("waiting for the training")?;
        match serde_json::from_slice(&output.stdout) {
            Ok(Answer::Trained) => {}
            Ok(Answer::NotYet(why)) => return Ok(Err(NotTrained::NotYet(why))),
            Ok(Answer::Never(why)) => return Ok(Err(NotTrained::Never(why))),
            Err(_no_answer) => {
                let why = format!(
                    "the training broke off ({}); if it was killed, it may have lacked memory: shorten global.history, \
                     or train elsewhere and name the bundle",
                    output.status
                );
                return Ok(Err(NotTrained::NotYet(why)));
            }
        }
        let config = Arc::clone(&self.config);
        let loaded = tokio::task::spawn_blocking(move || source::load_bundle(&bundle, &config)).await;
        Ok(Ok(loaded.context("loading the models")??))
    }
}

#[async_trait]
impl Trainer for ChildTrainer {
    async fn train(&self, purpose: Purpose) -> Result<Trained, NotTrained> {
        let dir = self.config.storage.join(DIRECTORY);
        let trained = self.try_train(&dir, purpose).await;
        if let Err(error) = std::fs::remove_dir_all(&dir) {
            tracing::debug!(%error, "the training's directory can't be removed");
        }
        // A full disk or a missing file may be put right while the service waits.
        trained.unwrap_or_else(|error| Err(NotTrained::NotYet(format!("{error:#}"))))
    }
}

/// The other side: trains, writes the bundle, and says what came of it.
pub(crate) async fn run(args: &TrainModelsArgs) -> Outcome {
    end_with_parent();
    let answer = match train(args).await {
        Ok(()) => Answer::Trained,
        Err(NotTrained::NotYet(why)) => Answer::NotYet(why),
        Err(NotTrained::Never(why)) => Answer::Never(why),
    };
    match serde_json::to_string(&answer) {
        Ok(text) => {
            print(&text);
            Outcome::Done
        }
        Err(error) => Outcome::Failed(error.into()),
    }
}

async fn train(args: &TrainModelsArgs) -> Result<(), NotTrained> {
    let never = |error: anyhow::Error| NotTrained::Never(format!("{error:#}"));
    let not_yet = |error: anyhow::Error| NotTrained::NotYet(format!("{error:#}"));
    let mut config = config::load_without_warnings(&args.file).map_err(never)?;
    if digest(&config) != args.expect {
        let why = "the config file has changed since the service started: restart the service to train by the new one";
        return Err(NotTrained::Never(why.to_owned()));
    }
    config.detection.onnx_library = None;
    let left_out = std::fs::read(&args.left_out).context("reading past incidents").map_err(not_yet)?;
    let left_out: Vec<Exclusion> =
        serde_json::from_slice(&left_out).context("reading past incidents").map_err(not_yet)?;
    config.detection.exclude.extend(left_out);
    let prometheus = PrometheusSource::new(source::config_of(&config).map_err(never)?)
        .map_err(|error| NotTrained::Never(error.to_string()))?;
    let trained = source::train_on_history(&config, &prometheus, args.purpose).await?;
    let (history_start, history_end) = trained.history.unwrap_or_default();
    let source = prometheus.server().to_owned();
    let provenance = Provenance { trained_at: clock::now(), source, history_start, history_end };
    let recipe = recipe(&config.detection, Some(&config)).map_err(never)?;
    let calibration = calibration_of(&config).and_then(|calibration| Ok(calibration.to_json()?)).map_err(never)?;
    let bundle = Bundle { provenance, recipe, ensembles: trained.ensembles, calibration_json: calibration };
    bundle.save(&args.output).map_err(|error| not_yet(error.into()))
}

/// Ends this process when the service is gone, even if it was killed: nobody would load these models.
fn end_with_parent() {
    let parent = std::os::unix::process::parent_id();
    tokio::spawn(async move {
        while std::os::unix::process::parent_id() == parent {
            tokio::time::sleep(LOOK_FOR_PARENT).await;
        }
        std::process::exit(1);
    });
}

#[cfg(test)]
pub(crate) mod testing {
    //! Training within a test's own process, which can't start itself as the program.

    use super::*;

    /// As the child does it, without the child.
    pub(crate) struct OwnProcess {
        pub(crate) config: Arc<Config>,
        pub(crate) source: PrometheusSource,
    }

    #[async_trait]
    impl Trainer for OwnProcess {
        async fn train(&self, purpose: Purpose) -> Result<Trained, NotTrained> {
            source::train_on_history(&self.config, &self.source, purpose).await
        }
    }
}

#[cfg(test)]
mod tests {
    use homeostat_journal::Note;

    use super::*;
    use crate::training::past_incidents::tests::incident;

    #[test]
    fn answers_survive_the_way_between_the_processes() {
        for answer in [Answer::Trained, Answer::NotYet("why".into()), Answer::Never("\"quoted\"".into())] {
            let text = serde_json::to_string(&answer).expect("JSON");
            assert_eq!(serde_json::from_str::<Answer>(&text).expect("read"), answer);
        }
    }

    #[test]
    fn what_models_depend_on_is_in_the_digest_and_the_runtime_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = |more: &str| {
            let file = dir.path().join("c.yaml");
            let text = format!("datasources: [{{url: 'http://127.0.0.1:9090'}}]\nqueries: {{latency: a}}\n{more}");
            std::fs::write(&file, text).expect("written");
            digest(&config::load(&file).expect("a config").config)
        };
        let plain = config("");
        assert_eq!(config("mode: recommend\nonnx: {library: /lib/x.so}\n"), plain);
        assert_ne!(config("global: {history: 7d}\n"), plain);
        assert_ne!(config("seed: 7\n"), plain);
        assert_ne!(config("global: {timezone: Europe/Berlin}\n"), plain);
        assert_ne!(config("global: {holidays: [{dates: [2026-12-25]}]}\n"), plain);
    }

    #[test]
    fn past_incidents_of_the_journal_are_left_out_of_the_training() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("c.yaml");
        std::fs::write(&file, "datasources: [{url: 'http://127.0.0.1:9090'}]\nqueries: {latency: a}\n")
            .expect("written");
        let config = Arc::new(config::load(&file).expect("a config").config);
        let journal = Arc::new(Journal::in_memory().expect("a journal"));
        let two_days_ago = clock::now().as_millis() / 1_000 - 2 * 86_400;
        let fault = incident("cart", two_days_ago, 3_600);
        journal.note(&Note::Incident(Box::new(fault.clone())), clock::now()).expect("noted");
        let left_out = ChildTrainer::new(&file, config, journal).past_incidents();
        assert_eq!(left_out.len(), 1);
        assert!(left_out[0].is_about(&fault.subject) && left_out[0].holds(fault.opened_at));
        assert!(left_out[0].reason.contains(fault.id.as_str()), "{}", left_out[0].reason);
    }
}
