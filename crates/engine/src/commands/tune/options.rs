//! The options that are searched: their names, their values, and each value as config.

use anyhow::bail;
use homeostat_evaluate::{Space, Trial, TunedOption};

/// A value's name, and what it writes into the config: a path and its YAML.
type Named = (&'static str, &'static [(&'static str, &'static str)]);

/// What is searched. The first value of each is the default and writes nothing.
///
/// Only what has a reason to depend on the data is here: how many rows or trees a model may have is a question of memory,
/// and what a model was measured to be indifferent to would only dilute the search.
const OPTIONS: [(&str, &[Named]); 11] = [
    (
        "detectors",
        &[
            ("all six", &[]),
            ("forest+dbscan+forecast+autoencoder", &[("detectors", "[forest, dbscan, forecast, autoencoder]")]),
            ("no forest", &[("detectors", "[residual, dbscan, forecast, pca, autoencoder]")]),
            ("no dbscan", &[("detectors", "[residual, forest, forecast, pca, autoencoder]")]),
            ("no forecast", &[("detectors", "[residual, forest, dbscan, pca, autoencoder]")]),
            ("no autoencoder", &[("detectors", "[residual, forest, dbscan, forecast, pca]")]),
            ("no pca", &[("detectors", "[residual, forest, dbscan, forecast, autoencoder]")]),
            ("residual+dbscan+forecast", &[("detectors", "[residual, dbscan, forecast]")]),
        ],
    ),
    (
        "forest.sample_rows_max",
        &[
            ("256", &[]),
            ("64", &[("detection.forest.sample_rows_max", "64")]),
            ("1024", &[("detection.forest.sample_rows_max", "1024")]),
        ],
    ),
    (
        "dbscan.epsilon",
        &[
            ("knee", &[]),
            ("quantile .8", &[("detection.dbscan.epsilon", "quantile 0.8")]),
            ("quantile .95", &[("detection.dbscan.epsilon", "quantile 0.95")]),
            ("quantile .99", &[("detection.dbscan.epsilon", "quantile 0.99")]),
        ],
    ),
    (
        "dbscan.min_points",
        &[
            ("auto", &[]),
            ("3", &[("detection.dbscan.min_points", "3")]),
            ("12", &[("detection.dbscan.min_points", "12")]),
        ],
    ),
    (
        "forecast.season_cycles_min",
        &[
            ("3", &[]),
            ("2", &[("detection.forecast.season_cycles_min", "2")]),
            ("5", &[("detection.forecast.season_cycles_min", "5")]),
        ],
    ),
    (
        "forecast.slow_half_life",
        &[
            ("6h", &[]),
            ("1h", &[("detection.forecast.slow_half_life", "1h")]),
            ("1d", &[("detection.forecast.slow_half_life", "1d")]),
        ],
    ),
    (
        "forecast.accept_after",
        &[
            ("1d", &[]),
            ("6h", &[("detection.forecast.accept_after", "6h")]),
            ("3d", &[("detection.forecast.accept_after", "3d")]),
        ],
    ),
    (
        "autoencoder.epochs_max",
        &[
            ("80", &[]),
            ("30", &[("detection.autoencoder.epochs_max", "30")]),
            ("200", &[("detection.autoencoder.epochs_max", "200")]),
        ],
    ),
    (
        "autoencoder.learning_rate",
        &[
            ("0.003", &[]),
            ("0.001", &[("detection.autoencoder.learning_rate", "0.001")]),
            ("0.01", &[("detection.autoencoder.learning_rate", "0.01")]),
        ],
    ),
    (
        "opening.rows",
        &[
            ("2 of 3", &[]),
            ("1 of 1", &[("detection.opening.open_rows", "1"), ("detection.opening.of_rows", "1")]),
            ("3 of 5", &[("detection.opening.open_rows", "3"), ("detection.opening.of_rows", "5")]),
        ],
    ),
    (
        "opening.at_once",
        &[("4", &[]), ("2", &[("detection.opening.at_once", "2.0")]), ("10", &[("detection.opening.at_once", "10.0")])],
    ),
];

/// The options of these names, or all; what this program was built without is left out.
pub(super) fn space(wanted: &[String]) -> anyhow::Result<Space> {
    let known = || OPTIONS.iter().map(|(name, _)| *name);
    if let Some(unknown) = wanted.iter().find(|name| !known().any(|known| known == name.as_str())) {
        bail!("--option: unknown {unknown:?}; use one of {}", known().collect::<Vec<_>>().join(", "));
    }
    let has = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    let usable = |values: &&[Named]| {
        cfg!(feature = "onnx") || !values.iter().any(|value| value.1.iter().any(|set| set.1.contains("autoencoder")))
    };
    let options = OPTIONS.iter().filter(|(name, values)| has(name) && usable(values)).map(|(name, values)| {
        let values = values.iter().map(|value| value.0.to_owned()).collect();
        TunedOption { name: (*name).to_owned(), values }
    });
    Ok(Space::new(options.collect()))
}

/// The config's top-level keys that a trial writes, as YAML; nothing for the defaults.
pub(super) fn yaml(space: &Space, trial: &Trial) -> String {
    let mut settings: Vec<(&str, &str)> = Vec::new();
    for (idx, option) in space.options().iter().enumerate() {
        let values = OPTIONS.iter().find(|(name, _)| *name == option.name).map_or(&[][..], |(_, values)| values);
        settings.extend(values.get(trial.value_idx(idx)).map_or(&[][..], |value| value.1));
    }
    // In the order of OPTIONS, settings of one section are neighbours.
    let mut text = String::new();
    let mut open: Vec<&str> = Vec::new();
    for (path, value) in settings {
        let keys: Vec<&str> = path.split('.').collect();
        let Some((last, sections)) = keys.split_last() else { continue };
        let n_same = open.iter().zip(sections).take_while(|(one, other)| one == other).count();
        open.truncate(n_same);
        for section in &sections[n_same..] {
            text.push_str(&format!("{}{section}:\n", "  ".repeat(open.len())));
            open.push(section);
        }
        text.push_str(&format!("{}{last}: {value}\n", "  ".repeat(open.len())));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Detection, detection_of};
    use homeostat_core::Seed;

    #[test]
    fn every_value_of_every_option_is_a_config_of_its_own() {
        for (name, values) in OPTIONS {
            let space = space(&[name.to_owned()]).expect("a known option");
            let trials = space.draw(values.len(), Seed::new(1));
            assert_eq!(trials.len(), values.len(), "{name}");
            let read = |trial| detection_of(&yaml(&space, trial)).unwrap_or_else(|problems| panic!("{problems:?}"));
            let all: Vec<Detection> = trials.iter().map(read).collect();
            assert_eq!(all[0], Detection::default(), "{name}");
            for idx in 1..all.len() {
                assert!(!all[..idx].contains(&all[idx]), "{name}: {:?}", trials[idx]);
            }
        }
    }

    #[test]
    fn the_value_that_writes_nothing_is_named_as_the_default_is() {
        // Written out, the first value of each option is what holds without it.
        let written = "detectors: [residual, forest, dbscan, forecast, pca, autoencoder]\ndetection:\n  forest: {sample_rows_max: 256}\n  \
             dbscan: {epsilon: knee, min_points: auto}\n  \
             forecast: {season_cycles_min: 3, slow_half_life: 6h, accept_after: 1d}\n  \
             autoencoder: {epochs_max: 80, learning_rate: 0.003}\n  opening: {open_rows: 2, of_rows: 3, at_once: 4}\n";
        assert_eq!(detection_of(written).expect("a config"), Detection::default());
    }

    #[test]
    fn many_changes_nest_and_an_unknown_option_is_named() {
        let space = space(&[]).expect("all");
        for trial in space.draw(60, Seed::new(5)) {
            detection_of(&yaml(&space, &trial)).unwrap_or_else(|problems| panic!("{problems:?} {trial:?}"));
        }
        let error = super::space(&["forrest".to_owned()]).expect_err("unknown");
        assert!(error.to_string().contains("use one of detectors, forest.sample_rows_max"), "{error}");
    }
}
