//! The options that are searched: their names, their values, and each value as config.

use anyhow::bail;
use homeostat_detect::{DetectorSpec, TunedSetting, TunedValue};
use homeostat_evaluate::{Space, Trial, TunedOption};

/// One of the options: its name, and its values. The first of these is the default and writes nothing.
struct Tuned {
    name: &'static str,
    values: Vec<Value>,
}

/// A value's name, and what it writes into the config: paths and their YAML.
struct Value {
    name: String,
    writes: Vec<(&'static str, String)>,
}

impl Tuned {
    fn of((name, values): &TunedSetting) -> Self {
        let value = |(name, writes): &TunedValue| Value {
            name: (*name).to_owned(),
            writes: writes.iter().map(|(path, yaml)| (*path, (*yaml).to_owned())).collect(),
        };
        Self { name, values: values.iter().map(value).collect() }
    }
}

/// When incidents open.
const OPENING: [TunedSetting; 2] = [
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

/// Which detectors vote: all, all but one, and the smaller sets that have done well.
fn detectors() -> Tuned {
    let all: Vec<&str> = DetectorSpec::all_default().iter().map(DetectorSpec::name).collect();
    let value = |name: String, detectors: &[&str]| Value {
        name,
        writes: vec![("detectors", format!("[{}]", detectors.join(", ")))],
    };
    let few: [&[&str]; 2] = [&["forest", "dbscan", "forecast", "autoencoder"], &["residual", "dbscan", "forecast"]];
    let few = few.iter().filter(|few| few.iter().all(|name| all.contains(name)));
    let without = all.iter().map(|left_out| {
        let others: Vec<&str> = all.iter().copied().filter(|name| name != left_out).collect();
        value(format!("no {left_out}"), &others)
    });
    let default = Value { name: "all".to_owned(), writes: Vec::new() };
    let values = std::iter::once(default).chain(without).chain(few.map(|few| value(few.join("+"), few)));
    Tuned { name: "detectors", values: values.collect() }
}

/// What is searched.
///
/// Only what has a reason to depend on the data is here: how many rows or trees a model may have is a question of memory,
/// and what a model was measured to be indifferent to would only dilute the search.
fn tuned() -> Vec<Tuned> {
    let of_detectors = DetectorSpec::tuned().into_iter().flatten();
    std::iter::once(detectors()).chain(of_detectors.chain(&OPENING).map(Tuned::of)).collect()
}

/// The options of these names, or all.
pub(super) fn space(wanted: &[String]) -> anyhow::Result<Space> {
    let known = tuned();
    if let Some(unknown) = wanted.iter().find(|name| !known.iter().any(|known| known.name == name.as_str())) {
        let names: Vec<&str> = known.iter().map(|known| known.name).collect();
        bail!("--option: unknown {unknown:?}; use one of {}", names.join(", "));
    }
    let has = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    let options = known.into_iter().filter(|option| has(option.name)).map(|option| TunedOption {
        name: option.name.to_owned(),
        values: option.values.into_iter().map(|value| value.name).collect(),
    });
    Ok(Space::new(options.collect()))
}

/// The config's top-level keys that a trial writes, as YAML; nothing for the defaults.
pub(super) fn yaml(space: &Space, trial: &Trial) -> String {
    let known = tuned();
    let mut settings: Vec<(&str, &str)> = Vec::new();
    for (idx, option) in space.options().iter().enumerate() {
        let value = known
            .iter()
            .find(|known| known.name == option.name)
            .and_then(|known| known.values.get(trial.value_idx(idx)));
        settings.extend(value.iter().flat_map(|value| &value.writes).map(|(path, yaml)| (*path, yaml.as_str())));
    }
    // In the order of `tuned`, settings of one section are neighbours.
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
        for Tuned { name, values } in tuned() {
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
        let written = "detectors: [residual, forest, dbscan, forecast, pca, autoencoder, envelope]\ndetection:\n  forest: {sample_rows_max: 256}\n  \
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
