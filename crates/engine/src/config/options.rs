//! `detection`: the options of each detector, and when incidents open and close.
//!
//! Ranges are the detectors' own: what they refuse is a problem of the file, told with its place.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

#[cfg(feature = "onnx")]
use homeostat_detect::{AutoencoderSpec, MODEL_BYTES_MAX};
use homeostat_detect::{DbscanSpec, DetectorSpec, Epsilon, ForecastSpec, ForestSpec, Hysteresis};
use homeostat_settings::{Reader, Value};

/// What each detector is told, whether it votes or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    forest: ForestSpec,
    dbscan: DbscanSpec,
    forecast: ForecastSpec,
    #[cfg(feature = "onnx")]
    autoencoder: AutoencoderSpec,
    /// When incidents open and close.
    pub(crate) opening: Hysteresis,
}

impl Options {
    /// The detector of this name with these options; `None` if this program has none of that name.
    pub(crate) fn of(&self, detector: &str) -> Option<DetectorSpec> {
        let spec = match DetectorSpec::by_name(detector)? {
            DetectorSpec::Residual => DetectorSpec::Residual,
            DetectorSpec::Pca => DetectorSpec::Pca,
            DetectorSpec::Forest(_) => DetectorSpec::Forest(self.forest.clone()),
            DetectorSpec::Dbscan(_) => DetectorSpec::Dbscan(self.dbscan.clone()),
            DetectorSpec::Forecast(_) => DetectorSpec::Forecast(self.forecast.clone()),
            #[cfg(feature = "onnx")]
            DetectorSpec::Autoencoder(_) => DetectorSpec::Autoencoder(self.autoencoder.clone()),
        };
        Some(spec)
    }

    /// Reads the section; what is absent or wrong keeps its default. Files are named from `base`.
    #[cfg_attr(not(feature = "onnx"), expect(unused_variables, reason = "only a network of one's own is a file"))]
    pub(super) fn read(reader: &mut Reader<'_>, base: &Path) -> Self {
        let default = Self::default();
        Self {
            forest: reader.section("forest", forest).flatten().unwrap_or(default.forest),
            dbscan: reader.section("dbscan", dbscan).flatten().unwrap_or(default.dbscan),
            forecast: reader.section("forecast", forecast).flatten().unwrap_or(default.forecast),
            #[cfg(feature = "onnx")]
            autoencoder: reader
                .section("autoencoder", |reader| autoencoder(reader, base))
                .flatten()
                .unwrap_or(default.autoencoder),
            opening: reader.section("opening", opening).flatten().unwrap_or(default.opening),
        }
    }
}

/// What a detector's own check says, or a problem with the section.
fn checked<T>(reader: &mut Reader<'_>, section: &str, result: Result<T, impl Display>) -> Option<T> {
    match result {
        Ok(options) => Some(options),
        Err(why) => {
            let place = reader.place();
            reader.problem(place, format!("detection.{section}: {why}"));
            None
        }
    }
}

fn forest(reader: &mut Reader<'_>) -> Option<ForestSpec> {
    let default = ForestSpec::default();
    let n_trees = size(reader, "trees", default.n_trees());
    let sample_rows_max = size(reader, "sample_rows_max", default.sample_rows_max());
    checked(reader, "forest", ForestSpec::new(n_trees, sample_rows_max))
}

/// A count whose range the detector checks.
fn size(reader: &mut Reader<'_>, key: &'static str, default: usize) -> usize {
    reader.count(key, 0..=u32::MAX).map_or(default, |count| count as usize)
}

/// As DBSCAN has them unless told otherwise.
const SAMPLE_ROWS_MAX: usize = 2_000;
const CORE_ROWS_MAX: usize = 1_000;

fn dbscan(reader: &mut Reader<'_>) -> Option<DbscanSpec> {
    let epsilon = reader.get("epsilon", epsilon).unwrap_or(Epsilon::Knee);
    let min_points = reader.get("min_points", |value| match value {
        Value::Text(text) if text == "auto" => Ok(None),
        Value::Integer(number) => usize::try_from(*number).map(Some).map_err(|_| format!("{number} is below 0")),
        other => Err(format!("must be `auto` or a whole number, not {}", other.kind())),
    });
    let sample_rows_max = size(reader, "sample_rows_max", SAMPLE_ROWS_MAX);
    let core_rows_max = size(reader, "core_rows_max", CORE_ROWS_MAX.min(sample_rows_max));
    let spec = DbscanSpec::default()
        .with_epsilon(epsilon)
        .and_then(|spec| spec.with_rows_max(sample_rows_max, core_rows_max))
        .and_then(|spec| match min_points.flatten() {
            Some(min_points) => spec.with_min_points(min_points),
            None => Ok(spec),
        });
    checked(reader, "dbscan", spec)
}

/// `knee`, `quantile 0.95`, or a distance in training deviations.
fn epsilon(value: &Value) -> Result<Epsilon, String> {
    let wanted = "must be `knee`, `quantile 0.95`, or a distance in training deviations";
    match value {
        Value::Text(text) if text == "knee" => Ok(Epsilon::Knee),
        Value::Text(text) => {
            let quantile = text.strip_prefix("quantile ").and_then(|number| number.trim().parse().ok());
            quantile.map(Epsilon::Quantile).ok_or_else(|| format!("{wanted}, not {text:?}"))
        }
        Value::Integer(number) => Ok(Epsilon::Deviations(*number as f64)),
        Value::Float(number) => Ok(Epsilon::Deviations(*number)),
        other => Err(format!("{wanted}, not {}", other.kind())),
    }
}

/// As the forecast has them unless told otherwise.
const SLOW_HALF_LIFE: Duration = Duration::from_secs(6 * 3_600);
const ACCEPT_AFTER: Duration = Duration::from_secs(86_400);

fn forecast(reader: &mut Reader<'_>) -> Option<ForecastSpec> {
    let season_cycles_min = size(reader, "season_cycles_min", ForecastSpec::default().season_cycles_min());
    let slow_half_life = reader.duration("slow_half_life").unwrap_or(SLOW_HALF_LIFE);
    let accept_after = reader.duration("accept_after").unwrap_or(ACCEPT_AFTER);
    let spec = ForecastSpec::new(season_cycles_min, slow_half_life).and_then(|spec| spec.accepting_after(accept_after));
    checked(reader, "forecast", spec)
}

#[cfg(feature = "onnx")]
fn autoencoder(reader: &mut Reader<'_>, base: &Path) -> Option<AutoencoderSpec> {
    let default = AutoencoderSpec::default();
    let epochs_max = size(reader, "epochs_max", default.epochs_max());
    let windows_max = size(reader, "windows_max", default.windows_max());
    let learning_rate = reader.number("learning_rate", 0.0..=1.0).unwrap_or(default.learning_rate());
    let spec = checked(reader, "autoencoder", AutoencoderSpec::new(epochs_max, windows_max, learning_rate))?;
    let Some(path) = reader.text("model") else { return Some(spec) };
    let path = base.join(path);
    let place = reader.place_of("model");
    let own = read_model(&path)
        .and_then(|onnx| spec.with_own_model(onnx.into()).map_err(|error| error.to_string()))
        .map_err(|why| reader.problem(place, format!("detection.autoencoder.model: {}: {why}", path.display())));
    own.ok()
}

/// The ONNX file that the config names; its size is looked at first.
#[cfg(feature = "onnx")]
fn read_model(path: &Path) -> Result<Vec<u8>, String> {
    let n_bytes = std::fs::metadata(path).map_err(|error| format!("can't be read: {error}"))?.len();
    if n_bytes > MODEL_BYTES_MAX as u64 {
        return Err(format!("has {n_bytes} bytes, {MODEL_BYTES_MAX} are the most that is loaded"));
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
    let objection = rule.objection();
    checked(reader, "opening", objection.map_or(Ok(rule), Err))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(options.forest, ForestSpec::new(50, 512).expect("in range"));
        let dbscan =
            DbscanSpec::default().with_epsilon(Epsilon::Quantile(0.9)).and_then(|spec| spec.with_min_points(8));
        assert_eq!(options.dbscan, dbscan.and_then(|spec| spec.with_rows_max(2_000, 500)).expect("in range"));
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let forecast = ForecastSpec::new(2, hours(12)).and_then(|spec| spec.accepting_after(hours(72)));
        assert_eq!(options.forecast, forecast.expect("in range"));
        assert_eq!(options.opening, Hysteresis { open_rows: 3, of_rows: 5, at_once: 8.0, ..Hysteresis::default() });
        #[cfg(feature = "onnx")]
        assert_eq!(options.autoencoder, AutoencoderSpec::new(40, 1000, 0.01).expect("in range"));
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
        assert_eq!(options.autoencoder, AutoencoderSpec::default().with_own_model(onnx).expect("a good model"));
        for (file, part) in [("bad-names.onnx", "wanted is \"window\""), ("none.onnx", "can't be read")] {
            let (options, problems) = read_from(file);
            assert!(
                problems.len() == 1 && problems[0].starts_with("t.yaml:1:") && problems[0].contains(part),
                "{problems:?}"
            );
            assert_eq!(options.autoencoder, AutoencoderSpec::default());
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
