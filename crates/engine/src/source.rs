//! From the config to models: the Prometheus client, the history that models are trained on, and saved bundles.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use homeostat_core::{Grid, Seed, Timestamp, Window, format_duration};
use homeostat_detect::{Bundle, Hysteresis};
use homeostat_ingest::{
    AnswerState, CLUSTER_LABEL, DataQuality, Feed, FeedConfig, FillError, FillLimits, History, Matrix,
    PrometheusConfig, PrometheusSource, QueryQuality, look_back, several_clusters,
};
use homeostat_settings::Timezone;

use crate::clock;
use crate::config::{Config, Detection, HISTORY_ROWS_MAX};
use crate::inputs::Answers;
use crate::progress::{Progress, Unit};
use crate::training::purpose::Purpose;
use crate::training::{self, Histories, InFile, TrainHooks, Trained, Work, train_with_hooks};

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
    prometheus.bytes_max = config.limits.answer_bytes;
    prometheus.delay = config.offset;
    prometheus.authorization.clone_from(&source.authorization);
    if let Some(path) = &source.ca_file {
        let read = std::fs::read_to_string(path);
        let pem = read.with_context(|| format!("datasources[0].tls_config.ca_file: reading {}", path.display()))?;
        prometheus.ca_pem = Some(pem);
    }
    Ok(prometheus)
}

/// The last moment of the history that the config asks for, now.
pub(crate) fn history_end(config: &Config) -> Timestamp {
    (clock::now() - config.offset).align_down(config.step)
}

/// Pulls the history that the config asks for and trains on it, subject by subject.
pub(crate) async fn train_on_history(
    config: &Config,
    source: &PrometheusSource,
    purpose: Purpose,
) -> Result<Trained, NotTrained> {
    let history = pull_history(config, source, history_end(config), &config.storage).await?;
    let never = |error: anyhow::Error| NotTrained::Never(format!("{error:#}"));
    let trained = match purpose {
        Purpose::Start => train_to_start(config, history).await,
        Purpose::Renewal => train(&config.detection, Box::new(InFile::new(history))).await,
    };
    let trained = trained.map_err(never)?;
    if trained.ensembles.is_empty() {
        let why = trained.failures.first().map_or_else(
            || {
                "the history has no workload; check that the queries return data and that `subjects` names their labels"
                    .to_owned()
            },
            |(subject, error)| format!("{subject}: {error}"),
        );
        return Err(NotTrained::NotYet(format!("no model could be trained: {why}")));
    }
    Ok(trained)
}

/// How long before the start a fault may have begun and is still found: the models don't learn that time, the service looks at it.
/// Two hours: most faults are noticed sooner, and of a week it is a hundredth.
const HELD_BACK: Duration = Duration::from_secs(2 * 3_600);

/// The same in rows at most, as looking at them takes time at the start: two hours of quarters of a minute.
const HELD_BACK_ROWS_MAX: usize = 480;

/// Trains on all but the end of a history, which the service looks at when it starts.
pub(crate) async fn train_to_start(config: &Config, history: History) -> anyhow::Result<Trained> {
    let n_rows = HELD_BACK.as_millis() / config.step.as_millis().max(1);
    let n_rows = usize::try_from(n_rows).unwrap_or(HELD_BACK_ROWS_MAX).min(HELD_BACK_ROWS_MAX);
    train(&config.detection, Box::new(InFile::new(history).holding_back(n_rows))).await
}

/// Pulls the history up to `end` into a file in `dir`. All of it or nothing: a model of half the features would be worse than
/// none. What a query gave is told.
pub(crate) async fn pull_history(
    config: &Config,
    source: &PrometheusSource,
    end: Timestamp,
    dir: &Path,
) -> Result<History, NotTrained> {
    let never = |error: anyhow::Error| NotTrained::Never(format!("{error:#}"));
    let start = (end - config.history).align_down(config.step);
    tracing::info!(from = %start, to = %end, server = source.server(), "pulling history");
    let grid = history_grid(config, start, end).map_err(never)?;
    let n_rows = (grid.n_steps() * config.queries.n_queries()) as u64;
    let history = History::new(config.queries.clone(), config.subjects.clone(), grid, config.limits.workloads_max, dir)
        .map_err(|error| never(error.into()))?
        .with_scrape_interval(config.scrape_interval);
    let bar = Progress::begin("pulling history", Unit::Count("rows"), n_rows);
    let limits = FillLimits {
        page_bytes: config.limits.answer_bytes / 2,
        pages_at_once: config.source.concurrency_max as usize,
    };
    let filled = history.filled(source, limits, &|n_rows| bar.add(n_rows as u64)).await;
    drop(bar);
    let history = filled.map_err(|error| match error {
        FillError::Partial { query, warning } => NotTrained::NotYet(format!(
            "Prometheus warns that the history of {query} may be partial, so nothing is trained on it: {warning}"
        )),
        error if error.is_passing() => NotTrained::NotYet(format!("no history: {error}")),
        error => NotTrained::Never(format!("no history: {error}")),
    })?;
    tell_quality(&quality_of(&history));
    tell_clusters(config, source, end).await;
    Ok(history)
}

/// Warns of several clusters behind one server, where nothing says how to keep them apart: most queries aggregate their label
/// away, so their answers don't show it.
pub(crate) async fn tell_clusters(config: &Config, source: &PrometheusSource, at: Timestamp) {
    if config.subjects.cluster_label.is_some() {
        return;
    }
    let expr = format!("count by ({CLUSTER_LABEL}) (up)");
    // Whether there is an answer decides nothing: it is a question beside those that matter.
    let Ok(answer) = source.range(&expr, at, at, config.step).await else { return };
    let mut clusters: Vec<&str> =
        answer.series().iter().filter_map(|series| series.labels().get(CLUSTER_LABEL)).map(String::as_str).collect();
    clusters.dedup();
    if clusters.len() > 1 {
        clusters.truncate(CLUSTERS_TOLD);
        tracing::warn!("{}", several_clusters(&clusters));
    }
}

/// Clusters that are named.
const CLUSTERS_TOLD: usize = 5;

/// What the history's queries gave, as the quality of one pull.
pub(crate) fn quality_of(history: &History) -> DataQuality {
    let n_subjects_known = history.subjects().len();
    let of = |(query, totals): (&homeostat_ingest::Query, &homeostat_ingest::QueryTotals)| {
        let mut quality = QueryQuality {
            query: query.name.clone(),
            n_series: totals.n_series,
            n_subjects: totals.n_subjects,
            n_subjects_known,
            last_sample: totals.last_sample,
            series_unmatched: totals.series_unmatched,
            samples_off_grid: totals.samples_off_grid,
            dropped: totals.dropped,
            notes: totals.notes.clone(),
            ..QueryQuality::default()
        };
        quality.judge_of(query);
        quality
    };
    let queries: Vec<QueryQuality> = history.queries().queries().iter().zip(history.totals()).map(of).collect();
    DataQuality {
        last_sample: queries.iter().filter_map(|query| query.last_sample).max(),
        queries,
        n_subjects_known,
        had_subjects: n_subjects_known > 0,
        ..DataQuality::default()
    }
}

/// Logs what the queries gave: a table where something is wrong, a line where nothing is.
pub(crate) fn tell_quality(quality: &DataQuality) {
    let is_wrong = |query: &QueryQuality| query.state != AnswerState::Usable || query.series_unmatched > 0;
    if quality.queries.iter().any(is_wrong) {
        tracing::warn!("some queries give no usable data:\n{}", quality.table().trim_end());
    } else {
        let workloads = quality.n_subjects_known;
        tracing::info!(queries = quality.queries.len(), workloads, "every query has data");
    }
}

/// The steps of a history, refused where there are more than models are trained on.
fn history_grid(config: &Config, start: Timestamp, end: Timestamp) -> anyhow::Result<Grid> {
    let n_rows = end.since(start).as_millis() / config.step.as_millis().max(1) + 1;
    if n_rows > HISTORY_ROWS_MAX as u128 + 1 {
        bail!(
            "the history has {n_rows} steps of {}, at most {HISTORY_ROWS_MAX} are accepted: shorten global.history (or the export), or lengthen global.step",
            format_duration(config.step)
        );
    }
    Ok(Grid::new(start, config.step, usize::try_from(n_rows)?)?)
}

/// Windows of the whole range, one for each subject.
pub(crate) fn history_windows(
    config: &Config,
    answers: &Answers,
    start: Timestamp,
    end: Timestamp,
) -> anyhow::Result<Vec<Window>> {
    let grid = history_grid(config, start, end)?;
    let mut feed = Feed::new(FeedConfig {
        queries: config.queries.clone(),
        rule: config.subjects.clone(),
        step: config.step,
        n_steps: grid.n_steps(),
        subjects_max: config.limits.workloads_max,
    })?
    .with_scrape_interval(config.scrape_interval);
    let pushed = feed.push(&answers.matrices, start, end)?;
    if let Some(scrapes) = &answers.scrapes {
        feed.push_scrapes(scrapes, end);
    }
    if pushed.subjects_refused > 0 {
        bail!(
            "the files name {} workloads more than limits.workloads_max ({}); raise it, or narrow the queries",
            pushed.subjects_refused,
            config.limits.workloads_max
        );
    }
    tell_quality(&pushed.quality);
    Ok(feed.windows_at(end)?)
}

/// Trains off the async threads: it takes seconds to minutes of computing.
pub(crate) async fn train(detection: &Detection, histories: Box<dyn Histories>) -> anyhow::Result<Trained> {
    let runtime = training::load_options(detection.onnx_library.as_deref())?;
    tracing::info!(subjects = histories.len(), backend = training::backend(&runtime), "training");
    let detection = detection.clone();
    let trained = tokio::task::spawn_blocking(move || {
        let histories = training::excluding(histories, &detection.exclude);
        let spec = training::ensemble_spec(&detection);
        let Detection { share_models, seed, .. } = detection;
        let bar = Progress::begin("training", Unit::Count("subjects"), histories.len() as u64);
        let work = Work::new(&*histories, &spec, share_models, Seed::new(seed));
        train_with_hooks(&work, &runtime, &TrainHooks { kept: None, found: &|_| {}, progress: &|_| bar.add(1) })
    })
    .await
    .context("training")?;
    tell(&trained);
    Ok(trained)
}

/// Logs what couldn't be trained.
pub(crate) fn tell(trained: &Trained) {
    for (subject, error) in &trained.failures {
        tracing::warn!(%subject, %error, "training failed; this subject isn't watched");
    }
    for (subject, ensemble) in &trained.ensembles {
        for missing in ensemble.missing() {
            tracing::warn!(%subject, detector = missing.detector, why = missing.why, "trained without one of the detectors");
        }
    }
    tracing::info!(subjects = trained.ensembles.len(), "trained");
}

/// Loads a bundle that fits the config.
pub(crate) fn load_bundle(path: &Path, config: &Config) -> anyhow::Result<Trained> {
    let options = training::load_options(config.detection.onnx_library.as_deref())?;
    let bundle = Bundle::load(path, |_| Some((**config.queries.schema()).clone()), &options)?;
    check_step(&bundle, config.step)?;
    tracing::info!(bundle = %path.display(), subjects = bundle.ensembles.len(), "models loaded");
    let opening = config.detection.options.opening;
    warn_of_other_rule(&bundle, opening);
    warn_of_other_zone(&bundle, &config.detection.timezone);
    Ok(Trained { ensembles: bundle.ensembles, opening, ..Trained::default() })
}

/// Models of one step can say nothing of rows of another.
pub(crate) fn check_step(bundle: &Bundle, step: Duration) -> anyhow::Result<()> {
    match bundle.ensembles.values().find(|ensemble| ensemble.step() != step) {
        Some(ensemble) => Err(StepMismatch { step, trained: ensemble.step() }.into()),
        None => Ok(()),
    }
}

/// The config's step isn't the models'.
#[derive(Debug, thiserror::Error)]
#[error(
    "global.step is {}, the models were trained on rows {} apart; set global.step to that, or train again",
    format_duration(*step),
    format_duration(*trained)
)]
pub(crate) struct StepMismatch {
    step: Duration,
    trained: Duration,
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

/// The models' own time zone and holidays hold: they learned their hours and weekdays by them.
fn warn_of_other_zone(bundle: &Bundle, timezone: &Timezone) {
    let utc = Timezone::default();
    let trained = bundle.recipe.timezone.as_deref().unwrap_or(&utc.name);
    if trained != timezone.name {
        tracing::warn!(
            trained,
            config = timezone.name,
            "the bundle was trained for another time zone than the config's global.timezone; its own holds: train again"
        );
    }
    let holidays = timezone.local_time.holidays().iter().map(ToString::to_string);
    let unknown: Vec<String> = holidays.filter(|holiday| !bundle.recipe.holidays.contains(holiday)).collect();
    if !unknown.is_empty() {
        tracing::warn!(
            holidays = unknown.join(", "),
            "the bundle was trained without these of the config's global.holidays, so they count as usual days: train again"
        );
    }
}

/// First and last step with a sample. Where values look back over more than their step, one step more before the first: that
/// nothing is known there says that what reaches before the files' beginning is no measurement.
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
        bail!("the export holds less than two steps of {}", format_duration(config.step));
    }
    let looks_back = look_back(&config.queries) > config.step;
    Ok((if looks_back { start - config.step } else { start }, end))
}
