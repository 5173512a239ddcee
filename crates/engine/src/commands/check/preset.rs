//! `homeostat check preset NAME`: the PromQL of a preset, as it will be asked.

use std::time::Duration;

use clap::Args;
use homeostat_core::{format_duration, parse_duration};
use homeostat_ingest::{OnMissing, PRESET_NAMES, PresetParams, preset};

use crate::outcome::{Outcome, print};

#[derive(Debug, Args)]
pub(crate) struct PresetArgs {
    /// The preset's name. Default: print all names.
    pub(crate) name: Option<String>,
    /// The config's global.step.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(crate) step: Duration,
    /// The config's global.scrape_interval.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) scrape_interval: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

pub(crate) fn run(args: &PresetArgs) -> Outcome {
    let params = PresetParams::for_intervals(args.scrape_interval, args.step);
    let Some(name) = &args.name else {
        for name in PRESET_NAMES {
            let about = preset(name, &params).map_or("", |preset| preset.about);
            print(&format!("{name}: {about}\n"));
        }
        return Outcome::Done;
    };
    let preset = match preset(name, &params) {
        Ok(preset) => preset,
        Err(error) => return Outcome::Usage(error.to_string()),
    };
    let mut text = format!(
        "# {}\n# With global.step {} and global.scrape_interval {}. A query of the same name in `queries` replaces one of these.\nqueries:\n",
        preset.about,
        format_duration(args.step),
        format_duration(args.scrape_interval),
    );
    for query in &preset.queries {
        let on_missing = if query.on_missing == OnMissing::Zero { "\n    on_missing: zero" } else { "" };
        // In single quotes YAML knows one escape only.
        let expr = query.expr.replace('\'', "''");
        text.push_str(&format!(
            "  {}:\n    signal: {}{on_missing}\n    expr: '{expr}'\n",
            query.name,
            query.signal.name()
        ));
    }
    print(&text);
    Outcome::Done
}
