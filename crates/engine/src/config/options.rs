//! `detection`: the options of each detector, and when incidents open and close.
//!
//! Ranges are the detectors' own: what they refuse is a problem of the file, told with its place.

use std::path::Path;

use homeostat_detect::{DetectorSpec, Hysteresis, OptionFiles};
use homeostat_settings::Reader;

/// What each detector is told, whether it votes or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// Every detector of this program.
    detectors: Vec<DetectorSpec>,
    /// When incidents open and close.
    pub(crate) opening: Hysteresis,
}

impl Default for Options {
    fn default() -> Self {
        Self { detectors: DetectorSpec::all(), opening: Hysteresis::default() }
    }
}

impl Options {
    /// The detector of this name with these options; `None` if this program has none of that name.
    pub(crate) fn of(&self, detector: &str) -> Option<DetectorSpec> {
        self.detectors.iter().find(|spec| spec.name() == detector).cloned()
    }

    /// Reads the section; what is absent or wrong keeps its default. Files are named from `base`.
    pub(super) fn read(reader: &mut Reader<'_>, base: &Path) -> Self {
        let detectors = DetectorSpec::read_all(reader, &OptionFiles { base, read: &read_file });
        Self { detectors, opening: reader.section("opening", opening).flatten().unwrap_or_default() }
    }
}

/// A file that an option names; its size is looked at first.
fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let n_bytes = std::fs::metadata(path).map_err(|error| format!("can't be read: {error}"))?.len();
    if n_bytes > bytes_max as u64 {
        return Err(format!("has {n_bytes} bytes, {bytes_max} are the most that is loaded"));
    }
    std::fs::read(path).map_err(|error| format!("can't be read: {error}"))
}

fn opening(reader: &mut Reader<'_>) -> Option<Hysteresis> {
    let default = Hysteresis::default();
    let rule = Hysteresis {
        open_rows: reader.count("open_rows", 0..=u32::MAX).unwrap_or(default.open_rows),
        of_rows: reader.count("of_rows", 0..=u32::MAX).unwrap_or(default.of_rows),
        at_once: reader.number("at_once", 0.0..=f64::MAX).unwrap_or(default.at_once),
        close_rows: reader.count("close_rows", 0..=u32::MAX).unwrap_or(default.close_rows),
        close_below: reader.number("close_below", 0.0..=f64::MAX).unwrap_or(default.close_below),
    };
    let Some(why) = rule.objection() else { return Some(rule) };
    let place = reader.place();
    reader.problem(place, format!("detection.opening: {why}"));
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[cfg(feature = "onnx")]
    use homeostat_detect::AutoencoderSpec;
    use homeostat_detect::{DbscanSpec, Epsilon, ForecastSpec, ForestSpec};
    use homeostat_settings::{Findings, parse_documents};

    use super::*;

    fn read(text: &str) -> (Options, Vec<String>) {
        let documents = parse_documents("t.yaml", text).expect("YAML");
        let mut problems = Findings::new();
        let mut reader = Reader::new("t.yaml", "", &documents[0], &mut problems);
        let options = reader.section("detection", |reader| Options::read(reader, Path::new(""))).unwrap_or_default();
        reader.finish();
        (options, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_empty_section_is_the_detectors_own_defaults() {
        let all = "detection: {forest: {}, dbscan: {}, forecast: {}, autoencoder: {}, opening: {}}";
        for text in ["detection: {}", all] {
            let (options, problems) = read(text);
            assert_eq!(problems, Vec::<String>::new());
            for spec in DetectorSpec::all_default() {
                assert_eq!(options.of(spec.name()), Some(spec), "{text}");
            }
            assert_eq!(options.opening, Hysteresis::default());
        }
    }

    #[test]
    fn every_option_reaches_its_detector() {
        let (options, problems) = read(
            "detection:\n  forest: {trees: 50, sample_rows_max: 512}\n  dbscan: {epsilon: quantile 0.9, min_points: 8, core_rows_max: 500}\n  \
             forecast: {season_cycles_min: 2, slow_half_life: 12h, accept_after: 3d}\n  \
             autoencoder: {epochs_max: 40, windows_max: 1000, learning_rate: 0.01}\n  opening: {open_rows: 3, of_rows: 5, at_once: 8}\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        let forest = DetectorSpec::Forest(ForestSpec::new(50, 512).expect("in range"));
        assert_eq!(options.of("forest"), Some(forest));
        let dbscan =
            DbscanSpec::default().with_epsilon(Epsilon::Quantile(0.9)).and_then(|spec| spec.with_min_points(8));
        let dbscan = dbscan.and_then(|spec| spec.with_rows_max(2_000, 500)).expect("in range");
        assert_eq!(options.of("dbscan"), Some(DetectorSpec::Dbscan(dbscan)));
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let forecast = ForecastSpec::new(2, hours(12)).and_then(|spec| spec.accepting_after(hours(72)));
        assert_eq!(options.of("forecast"), Some(DetectorSpec::Forecast(forecast.expect("in range"))));
        assert_eq!(options.opening, Hysteresis { open_rows: 3, of_rows: 5, at_once: 8.0, ..Hysteresis::default() });
        #[cfg(feature = "onnx")]
        assert_eq!(
            options.of("autoencoder"),
            Some(DetectorSpec::Autoencoder(AutoencoderSpec::new(40, 1000, 0.01).expect("in range")))
        );
    }

    #[test]
    #[cfg(feature = "onnx")]
    fn a_network_of_ones_own_is_read_and_checked_with_the_config() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../detect/tests/models");
        let read_from = |file: &str| {
            let text = format!("detection: {{autoencoder: {{model: {file}}}}}\n");
            let documents = parse_documents("t.yaml", &text).expect("YAML");
            let mut problems = Findings::new();
            let mut reader = Reader::new("t.yaml", "", &documents[0], &mut problems);
            let options = reader.section("detection", |reader| Options::read(reader, &models)).unwrap_or_default();
            reader.finish();
            (options, problems.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (options, problems) = read_from("torch-tanh.onnx");
        assert_eq!(problems, Vec::<String>::new());
        let onnx = std::fs::read(models.join("torch-tanh.onnx")).expect("a model").into();
        let own = AutoencoderSpec::default().with_own_model(onnx).expect("a good model");
        assert_eq!(options.of("autoencoder"), Some(DetectorSpec::Autoencoder(own)));
        for (file, part) in [("bad-names.onnx", "wanted is \"window\""), ("none.onnx", "can't be read")] {
            let (options, problems) = read_from(file);
            assert!(
                problems.len() == 1 && problems[0].starts_with("t.yaml:1:") && problems[0].contains(part),
                "{problems:?}"
            );
            assert_eq!(options.of("autoencoder"), DetectorSpec::by_name("autoencoder"));
        }
    }

    #[test]
    fn what_a_detector_refuses_is_a_problem_with_its_place() {
        let (_, problems) = read(
            "detection:\n  forest: {trees: 0}\n  dbscan: {epsilon: knie}\n  forecast: {slow_half_life: 1s}\n  \
             opening: {open_rows: 4}\n  forst: {}\n",
        );
        for (line, part) in [
            ("t.yaml:2:", "n_trees must be 1 to 1000"),
            ("t.yaml:3:", "must be `knee`"),
            ("t.yaml:4:", "slow_half_life must be 1m to 30d"),
            ("t.yaml:5:", "open_rows must be between 1 and of_rows"),
            ("t.yaml:6:", "did you mean forest?"),
        ] {
            assert!(problems.iter().any(|one| one.starts_with(line) && one.contains(part)), "{part}: {problems:#?}");
        }
    }
}
