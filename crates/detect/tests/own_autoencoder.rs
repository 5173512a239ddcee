//! Autoencoders that users bring as ONNX files, as `torch.onnx.export` writes them: good ones run on every backend and
//! score; of a bad one the user is told what is wrong with it, before anything is trained.
//!
//! The files are in `models/`, made by the script beside them.

#![cfg(feature = "onnx")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test says so by failing, or skips aloud"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, Schema, Scoring, Seed, Signal, Subject, Timestamp, Window};
use homeostat_detect::{
    Autoencoder, AutoencoderSpec, Detector, ExtractedFeatures, FeatureExtractor, OnnxError, OnnxRuntime, Scaler,
    TrainError,
};
use ndarray::Array2;
use proptest::prelude::*;

const STEP: Duration = Duration::from_secs(60);

/// Columns of the models here: 4 rows of 3 features.
const N_COLUMNS: usize = 12;

const GOOD: [&str; 4] = ["torch-opset17", "torch-opset20", "torch-tanh", "torch-batch-norm"];

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models")
}

fn model(name: &str) -> Arc<[u8]> {
    std::fs::read(models().join(format!("{name}.onnx"))).expect("a model").into()
}

fn own(onnx: Arc<[u8]>) -> Result<AutoencoderSpec, TrainError> {
    AutoencoderSpec::default().with_own_model(onnx)
}

fn runtimes() -> Vec<OnnxRuntime> {
    let native = std::env::var_os("ORT_DYLIB_PATH")
        .map(|path| OnnxRuntime::native(Path::new(&path)).expect("ORT_DYLIB_PATH names a library"));
    if native.is_none() {
        eprintln!("SKIP native backend: ORT_DYLIB_PATH isn't set");
    }
    [OnnxRuntime::embedded()].into_iter().chain(native).collect()
}

/// Waves with a spike in the last row's first feature, extracted: a history and the row buffer at its end.
fn history(n_features: usize) -> (ExtractedFeatures, FeatureExtractor) {
    let features = (0..n_features).map(|idx| Feature {
        name: format!("f{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    });
    let schema = Arc::new(Schema::new(features.collect()).expect("a schema"));
    let grid = Grid::new(Timestamp::from_secs(0), STEP, 300).expect("a grid");
    let values = Array2::from_shape_fn((300, n_features), |(row, feature)| (row as f64 / (3.0 + feature as f64)).sin());
    let window = Window::new(Subject::deployment("shop", "cart"), grid, schema, values).expect("a window");
    let scaler = Scaler::fit(&window);
    let mut extractor = FeatureExtractor::new(scaler.clone(), STEP);
    for row in 0..300 {
        extractor.push(grid.at(row), window.row(row).iter().copied());
    }
    (ExtractedFeatures::new(&window, &scaler), extractor)
}

#[test]
fn a_torch_model_says_on_every_backend_what_the_reference_says() {
    let window: Vec<f32> = (0..2 * N_COLUMNS).map(|idx| (idx as f32).sin()).collect();
    for name in GOOD {
        let text = std::fs::read_to_string(models().join(format!("{name}.txt"))).expect("what the reference said");
        let wanted: Vec<f32> = text.lines().map(|line| line.parse().expect("a number")).collect();
        for runtime in runtimes() {
            let mut session =
                runtime.session(&model(name), N_COLUMNS).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut out = Vec::new();
            session.run(&window, 2, &mut out).expect("it runs");
            assert_eq!(out.len(), wanted.len());
            for (a, b) in out.iter().zip(&wanted) {
                assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{name}, {}: {a} against {b}", runtime.backend());
            }
        }
    }
}

#[test]
fn a_torch_model_drops_in_for_the_trained_one() {
    let (extracted, mut extractor) = history(3);
    for name in GOOD {
        let spec = own(model(name)).expect("a usable model");
        let mut detector = Autoencoder::train(&spec, &extracted, Seed::new(1)).expect("it fits");
        assert_eq!(detector.model().meta().n_rows, 4, "12 columns are 4 rows of 3 features");
        assert_eq!(detector.model().onnx(), &*model(name), "it is kept as it came");
        let before = detector.score(extractor.row_buffer()).expect("it scores");
        assert!(matches!(before, Scoring::Scored(_)), "{before:?}");
        assert!(detector.errors().iter().all(Option::is_some));
        let mut loaded = Autoencoder::load(detector.saved(), &OnnxRuntime::embedded()).expect("it loads");
        assert_eq!(loaded.score(extractor.row_buffer()), Ok(before));
    }
    // Whether it can see a fault is the model's matter; that the fault reaches it is ours.
    let mut detector =
        Autoencoder::train(&own(model("torch-tanh")).expect("a model"), &extracted, Seed::new(1)).expect("it fits");
    let score = |detector: &mut Autoencoder, extractor: &FeatureExtractor| match detector.score(extractor.row_buffer())
    {
        Ok(Scoring::Scored(raw)) => raw.value(),
        other => panic!("{other:?}"),
    };
    let calm = score(&mut detector, &extractor);
    extractor.push(Timestamp::from_secs(300 * 60), [40.0, 0.0, 0.0].into_iter());
    assert!(score(&mut detector, &extractor) > calm + 10.0);
}

#[test]
fn of_a_model_that_cant_be_used_the_user_is_told_why() {
    for (name, why) in [
        ("bad-names", "named \"input\", wanted is \"window\""),
        ("bad-fixed-batch", "takes exactly 1 rows; export it with an open batch dimension"),
        ("bad-dynamic-columns", "doesn't say how many columns"),
        ("bad-three-dimensions", "has 3 dimensions, wanted are 2"),
        ("bad-narrow-output", "isn't as wide as its input: 11 columns"),
        (
            "bad-mismatched-layers",
            "Gemm \"/decoder.0/Gemm\" can't work on shapes (batch, 3 columns) and (8 rows, 4 columns)",
        ),
        ("bad-external-data", "kept outside the file; save the model with its weights"),
        ("bad-opset", "operator set 11 isn't supported; export it with one from 13 to 20"),
        ("bad-operator", "operator \"Softmax\" isn't supported; known are Add"),
        ("bad-blown-up", "Add \"/Add\" can't work on shapes (4096 rows, 1 columns) and (1 rows, 4096 columns)"),
        ("bad-deep", "too many"),
    ] {
        let error = own(model(name)).expect_err(name);
        assert!(matches!(error, TrainError::BadOption { .. }), "{name}: {error:?}");
        let said = error.to_string();
        assert!(said.contains("your ONNX model can't be used") && said.contains(why), "{name}: {said}");
        // The other way in, a bundle, is as strict.
        let error = OnnxRuntime::embedded().session(&model(name), N_COLUMNS).err().expect(name);
        assert!(matches!(error, OnnxError::Model { .. }));
    }
}

#[test]
fn a_model_for_another_number_of_features_is_refused_by_name_of_the_numbers() {
    let spec = own(model("torch-opset17")).expect("a usable model");
    for n_features in [5, 24] {
        let (extracted, _) = history(n_features);
        let error = Autoencoder::train(&spec, &extracted, Seed::new(1)).expect_err("12 columns are no rows of 5");
        assert!(matches!(error, TrainError::BadOption { .. }));
        let said = error.to_string();
        assert!(said.contains("12 columns") && said.contains(&format!("{n_features} features")), "{said}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = model("torch-opset17");
    for len in 0..whole.len() {
        // Fields at the end that say nothing of the graph (the operator set) may be missing; then that is said.
        let error = own(whole[..len].into()).expect_err("a cut file");
        assert!(matches!(error, TrainError::BadOption { .. }), "cut at {len}: {error}");
    }
}

#[test]
fn the_checked_in_models_are_what_the_script_makes() {
    let python = std::env::var_os("HOMEOSTAT_PYTHON").unwrap_or_else(|| "python3".into());
    let dir = tempfile::tempdir().expect("a directory");
    let run = |args: &[&std::ffi::OsStr]| {
        let mut command = Command::new(&python);
        if let Some(path) = std::env::var_os("HOMEOSTAT_PYTHONPATH") {
            command.env("PYTHONPATH", path);
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1").args(args).output()
    };
    if !run(&["-c".as_ref(), "import onnx".as_ref()]).is_ok_and(|output| output.status.success()) {
        eprintln!(
            "SKIP models from their script: no Python with onnx; name one in HOMEOSTAT_PYTHON or HOMEOSTAT_PYTHONPATH"
        );
        return;
    }
    let output = run(&[models().join("make.py").as_ref(), dir.path().as_ref()]).expect("it ran before");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut n_models = 0;
    for entry in std::fs::read_dir(dir.path()).expect("a directory") {
        let made = entry.expect("an entry").path();
        if made.extension().is_some_and(|ending| ending == "onnx") {
            let kept = models().join(made.file_name().expect("a name"));
            let same = std::fs::read(&made).expect("made") == std::fs::read(&kept).expect("kept");
            assert!(same, "{} is not what make.py makes", kept.display());
            n_models += 1;
        }
    }
    assert_eq!(n_models, 15);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_change_to_a_torch_model_makes_it_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut bytes = model("torch-batch-norm").to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if own(bytes.clone().into()).is_ok() && let Ok(mut session) = OnnxRuntime::embedded().session(&bytes, N_COLUMNS) {
            let mut out = Vec::new();
            let _ = session.run(&[0.5; N_COLUMNS], 1, &mut out);
        }
    }
}
