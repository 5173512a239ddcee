//! `homeostat export`: what a config asks of Prometheus, saved as files that `train`, `score` and `replay` read. For an
//! analysis on another machine, a bug report, or a history longer than the server keeps.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use homeostat_core::{Grid, Timestamp, format_duration, parse_duration};
use homeostat_ingest::{ExportFile, PrometheusSource, RangePages};

use crate::config;
use crate::flags::ConfigArgs;
use crate::outcome::print;
use crate::progress::{Progress, Unit};
use crate::source;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Output directory, with a file `QUERY.json.gz` for each query. It must be empty or not exist yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// End of the range, such as 2026-01-31T12:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<Timestamp>,
    /// Length of the range, such as 6h or 14d. Default: the config's global.history.
    #[arg(long, value_name = "DURATION", value_parser = |text: &str| parse_duration(text).map_err(|error| error.to_string()))]
    pub(crate) range: Option<std::time::Duration>,
}

pub(crate) async fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let config = config::load_or_explain(&args.config.file)?;
    if std::fs::read_dir(&args.output).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("--output {}: the directory isn't empty; choose another one", args.output.display());
    }
    let end = args.end.unwrap_or_else(|| source::history_end(&config)).align_down(config.step);
    let start = (end - args.range.unwrap_or(config.history)).align_down(config.step);
    let n_rows = end.since(start).as_millis() / config.step.as_millis().max(1) + 1;
    let grid = Grid::new(start, config.step, usize::try_from(n_rows)?)?;
    let prometheus = PrometheusSource::new(source::config_of(&config)?)?;
    let n_queries = config.queries.n_queries();
    let bar = Progress::begin("exporting", Unit::Count("rows"), (grid.n_steps() * n_queries) as u64);
    let mut n_samples = 0;
    for query in config.queries.queries() {
        let mut file = ExportFile::create(&args.output, &query.name)?;
        let mut pages = RangePages::new(grid, config.limits.answer_bytes / 2);
        while let Some((_, page)) = pages.next(&prometheus, &query.expr).await.with_context(|| query.name.clone())? {
            if let Some(warning) = page.warnings().first() {
                bail!("query {}: the server warns that its answer is partial: {warning}", query.name);
            }
            n_samples += page.n_samples();
            file.page(&page)?;
            bar.add(pages.n_rows_of_last() as u64);
        }
        file.finish()?;
    }
    drop(bar);
    print(&format!(
        "{n_samples} samples of {n_queries} queries from {start} to {end}, every {}, are in {dir}\n\
         train on them with: homeostat train {dir} --config.file {config} --output MODELS\n",
        format_duration(config.step),
        dir = args.output.display(),
        config = args.config.file.display(),
    ));
    Ok(())
}
