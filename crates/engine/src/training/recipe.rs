//! With which options models were trained, for the bundle.

use anyhow::Context;
use homeostat_core::Seed;
use homeostat_detect::Recipe;

use super::ensemble_spec;
use crate::config::{Config, Detection};

/// How models are made again.
pub(crate) fn recipe(detection: &Detection, config: Option<&Config>) -> anyhow::Result<Recipe> {
    let mut recipe = Recipe::of(&ensemble_spec(detection), detection.share_models, Seed::new(detection.seed));
    let timezone = &detection.timezone;
    recipe.timezone = (!timezone.is_utc()).then(|| timezone.name.clone());
    recipe.holidays = timezone.local_time.holidays().iter().map(ToString::to_string).collect();
    recipe.left_out.clone_from(&detection.exclude);
    if let Some(config) = config {
        let queries: Result<Vec<_>, _> = config.queries.queries().iter().map(serde_json::to_value).collect();
        recipe.queries = queries.context("a query as JSON")?;
    }
    Ok(recipe)
}
