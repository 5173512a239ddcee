//! From the config to models: the Prometheus client, the history that models are trained on, and saved bundles.

use std::path::Path;

use anyhow::{Context, bail};
use homeostat_core::{Seed, Timestamp, Window};
use homeostat_detect::{Bundle, Hysteresis, LoadOptions};
use homeostat_ingest::{Feed, FeedConfig, Matrix, PrometheusConfig, PrometheusSource};

use crate::clock;
use crate::config::{Config, Detection};
use crate::progress::{Progress, Unit};
use crate::training::{self, Trained};

/// Rows of history for each subject: 20 160 are two weeks of minutes. More would take memory for seasons we don't model.
const HISTORY_ROWS_MAX: u128 = 50_000;
/// Subjects trained at most in one process; each takes about a second and a few hundred KiB.
const SUBJECTS_MAX: usize = 10_000;

/// Why there are no models.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTrained {
    /// It may pass by itself: nobody answers yet, or there is too little history yet. Try again later.
    #[error("{0}")]
    NotYet(String),
    /// Somebody must change something first.
    #[error("{0}")]
    Never(String),
}

/// The client that every cycle asks with. Its deadline is a step, or one timeout where that is longer: after that the next
/// cycle's question is the better one.
pub(crate) fn config_of_cycles(config: &Config) -> anyhow::Result<PrometheusConfig> {
    let mut prometheus = config_of(config)?;
    prometheus.deadline = prometheus.deadline.min(config.step.max(prometheus.timeout));
    Ok(prometheus)
}

/// The client's config.
pub(crate) fn config_of(config: &Config) -> anyhow::Result<PrometheusConfig> {
    let source = &config.source;
    let url = source.url.parse().context("datasources[0].url")?;
    let mut prometheus = PrometheusConfig::new(url, Seed::new(config.detection.seed).fork("retry"));
    prometheus.timeout = source.timeout;
    prometheus.concurrency_max = source.concurrency_max as usize;
    prometheus.limits.series_max = source.series_max as usize;
    prometheus.delay = config.offset;
    Ok(prometheus)
}

/// The last moment of the history that the config asks for, now.
pub(crate) fn history_end(config: &Config) -> Timestamp {
    (clock::now() - config.offset).align_down(config.step)
}

/// Pulls the history that the config asks for and trains on it.
pub(crate) async fn train_on_history(config: &Config, source: &PrometheusSource) -> Result<Trained, NotTrained> {
    let windows = pull_history(config, source, history_end(config)).await?;
    let never = |error: anyhow::Error| NotTrained::Never(format!("{error:#}"));
    let trained = train(&config.detection, windows).await.map_err(never)?;
    if trained.ensembles.is_empty() {
        let why = trained.failures.first().map_or_else(
            || {
                "the history holds no subject; check that the queries answer and that `subjects` names their labels"
                    .to_owned()
            },
            |(subject, error)| format!("{subject}: {error}"),
        );
        return Err(NotTrained::NotYet(format!("no model could be trained: {why}")));
    }
    Ok(trained)
}

/// Pulls the history up to `end`. All of it or nothing: a model of half the features would be worse than none.
pub(crate) async fn pull_history(
    config: &Config,
    source: &PrometheusSource,
    end: Timestamp,
) -> Result<Vec<Window>, NotTrained> {
    let start = (end - config.history).align_down(config.step);
    tracing::info!(from = %start, to = %end, server = source.server(), "pulling history");
    let pulled = source.pull(&config.queries, start, end, config.step).await;
    // What needs a change of the config outweighs what passes.
    if let Some((query, error)) = pulled.failed.iter().find(|(_, error)| !error.is_passing()) {
        return Err(NotTrained::Never(format!("no history for the query {query}: {error}")));
    }
    if let Some((query, error)) = pulled.failed.first() {
        let others = pulled.failed.len() - 1;
        let others = if others > 0 { format!(" and {others} more") } else { String::new() };
        return Err(NotTrained::NotYet(format!("no history for the query {query}{others}: {error}")));
    }
    if let Some((query, warning)) = pulled.partial(&config.queries).next() {
        let why = format!(
            "Prometheus warns that the history of {query} may be partial, so nothing is trained on it: {warning}"
        );
        return Err(NotTrained::NotYet(why));
    }
    let never = |error: anyhow::Error| NotTrained::Never(format!("{error:#}"));
    history_windows(config, &pulled.matrices, start, end).map_err(never)
}

/// Windows of the whole range, one for each subject.
pub(crate) fn history_windows(
    config: &Config,
    matrices: &[Option<Matrix>],
    start: Timestamp,
    end: Timestamp,
) -> anyhow::Result<Vec<Window>> {
    let n_rows = end.since(start).as_millis() / config.step.as_millis().max(1) + 1;
    if n_rows > HISTORY_ROWS_MAX {
        bail!(
            "the history holds {n_rows} steps, at most {HISTORY_ROWS_MAX} are accepted: shorten it (global.history, or the export) or lengthen global.step"
        );
    }
    let mut feed = Feed::new(FeedConfig {
        queries: config.queries.clone(),
        rule: config.subjects.clone(),
        step: config.step,
        n_steps: usize::try_from(n_rows)?,
        subjects_max: SUBJECTS_MAX,
    })?;
    feed.push(matrices, start, end)?;
    Ok(feed.windows_at(end)?)
}

/// Trains off the async threads: it takes seconds to minutes of computing.
pub(crate) async fn train(detection: &Detection, windows: Vec<Window>) -> anyhow::Result<Trained> {
    let runtime = training::onnx_runtime(detection.onnx_library.as_deref())?;
    tracing::info!(subjects = windows.len(), backend = runtime.backend(), "training");
    let detection = detection.clone();
    let trained = tokio::task::spawn_blocking(move || {
        let spec = training::ensemble_spec(&detection);
        let Detection { share_models, seed, .. } = detection;
        let bar = Progress::begin("training", Unit::Count("subjects"), windows.len() as u64);
        training::train(&windows, &spec, share_models, &runtime, Seed::new(seed), |_| bar.add(1))
    })
    .await
    .context("training")?;
    tell(&trained);
    Ok(trained)
}

/// Logs what couldn't be trained.
pub(crate) fn tell(trained: &Trained) {
    for (subject, error) in &trained.failures {
        tracing::warn!(%subject, %error, "not trained; this subject isn't watched");
    }
    for (subject, ensemble) in &trained.ensembles {
        for missing in ensemble.missing() {
            tracing::warn!(%subject, detector = missing.detector, why = missing.why, "trained without a detector");
        }
    }
    tracing::info!(subjects = trained.ensembles.len(), "trained");
}

/// Loads a bundle that fits the config.
pub(crate) fn load_bundle(path: &Path, config: &Config) -> anyhow::Result<Trained> {
    let options = LoadOptions { onnx: training::onnx_runtime(config.detection.onnx_library.as_deref())? };
    let bundle = Bundle::load(path, |_| Some((**config.queries.schema()).clone()), &options)?;
    tracing::info!(bundle = %path.display(), subjects = bundle.ensembles.len(), "models loaded");
    let opening = config.detection.options.opening;
    warn_of_other_rule(&bundle, opening);
    Ok(Trained { ensembles: bundle.ensembles, opening, ..Trained::default() })
}

/// The config's opening rule holds, as it is what somebody wrote down; that the boundaries were fitted to another is worth
/// knowing: the false-alarm budget isn't kept then.
pub(crate) fn warn_of_other_rule(bundle: &Bundle, opening: Hysteresis) {
    if bundle.recipe.opening != opening {
        tracing::warn!(
            trained = ?bundle.recipe.opening,
            config = ?opening,
            "the bundle was trained for another opening rule than the config's, so the false-alarm budget may not be kept: train again"
        );
    }
}

/// First and last step with a sample.
pub(crate) fn range(config: &Config, matrices: &[Option<Matrix>]) -> anyhow::Result<(Timestamp, Timestamp)> {
    let stamps = || {
        matrices
            .iter()
            .flatten()
            .flat_map(Matrix::series)
            .flat_map(|series| series.samples().iter().map(|sample| sample.at))
    };
    let (Some(first), Some(last)) = (stamps().min(), stamps().max()) else {
        bail!("the export holds no samples");
    };
    let start = first.align_down(config.step);
    let start = if start < first { start + config.step } else { start };
    let end = last.align_down(config.step);
    if end.since(start) < config.step * 2 {
        bail!("the export holds less than two steps of {}", homeostat_core::format_duration(config.step));
    }
    Ok((start, end))
}
