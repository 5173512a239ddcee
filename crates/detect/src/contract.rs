//! The contract every detector keeps, as tests; `detector_contract!` runs them on one detector.
//!
//! What a detector finds is tested beside it. This is about what it never does: panic, forget, grow, or depend on
//! anything but its history, its seed and the rows so far.

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, Schema, Scoring, Seed, Signal, Subject, Timestamp, Window};
use ndarray::{Array2, s};
use rand::Rng;

use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::{ExtractedFeatures, FeatureExtractor};
use crate::fitted::{Fitted, RestoredFile};
use crate::load_options::LoadOptions;
use crate::row_buffer::Channel;
use crate::scaler::Scaler;

/// Runs the contract on one detector of the list: a module's name, and its type.
macro_rules! detector_contract {
    ($module:ident, $Type:ident) => {
        mod $module {
            use super::super::$Type;

            #[test]
            fn its_name_is_its_files() {
                assert_eq!(<$Type as $crate::fitted::Fitted>::NAME, stringify!($module));
            }
            #[test]
            fn gaps_are_scored_or_not_ready_and_never_a_failure() {
                $crate::contract::gaps::<$Type>();
            }
            #[test]
            fn two_trainings_are_the_same_byte_for_byte() {
                $crate::contract::deterministic::<$Type>();
            }
            #[test]
            fn a_larger_fault_never_scores_lower() {
                $crate::contract::monotone::<$Type>();
            }
            #[test]
            fn memory_stays_bounded() {
                $crate::contract::bounded::<$Type>();
            }
            #[test]
            fn the_next_scores_after_save_and_load_are_the_same_bit_for_bit() {
                $crate::contract::saved_and_loaded::<$Type>();
            }
            #[test]
            fn a_batch_says_of_each_subject_what_a_single_score_says() {
                $crate::contract::batched::<$Type>();
            }
            #[test]
            fn another_number_of_features_is_refused() {
                $crate::contract::other_shape::<$Type>();
            }
            #[test]
            fn extreme_rows_are_scored() {
                $crate::contract::extreme_rows::<$Type>();
            }
            #[test]
            fn extreme_histories_train_or_say_why_not() {
                $crate::contract::extreme_histories::<$Type>();
            }
        }
    };
}
pub(crate) use detector_contract;

/// One step of all histories here.
const STEP: Duration = Duration::from_secs(60);

/// Features of the usual history.
const N_FEATURES: usize = 3;

/// Training rows of the usual history; rows after these are scored.
const N_TRAIN: usize = 1_000;

/// More than any detector of [`N_FEATURES`] features may hold: 1 000 subjects fit in 4 GiB.
const MEMORY_BYTES_MAX: usize = 4 << 20;

/// Standard normal noise (twelve even draws less six), a little carried over from row to row, `(n_rows, n_features)`.
pub(crate) fn noise(n_rows: usize, n_features: usize, seed: Seed) -> Array2<f64> {
    let mut rng = seed.fork("noise").rng();
    let mut values: Array2<f64> =
        Array2::from_shape_fn((n_rows, n_features), |_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0);
    for row in 1..n_rows {
        for feature_idx in 0..n_features {
            values[[row, feature_idx]] += 0.5 * values[[row - 1, feature_idx]];
        }
    }
    values
}

/// A window of these values, a minute apart, in which both directions matter.
pub(crate) fn window(values: Array2<f64>) -> Window {
    let feature = |idx: usize| Feature {
        name: format!("feature-{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    let schema = Schema::new((0..values.ncols()).map(feature).collect()).expect("a schema");
    let grid = Grid::new(Timestamp::from_secs(0), STEP, values.nrows()).expect("a grid");
    Window::new(Subject::deployment("shop", "cart"), grid, Arc::new(schema), values).expect("a window")
}

/// The values extracted for training, and an extractor that has seen them all.
pub(crate) fn history(values: Array2<f64>) -> (FeatureExtractor, ExtractedFeatures) {
    let window = window(values);
    let scaler = Scaler::fit(&window);
    let extracted = ExtractedFeatures::new(&window, &scaler);
    let mut extractor = FeatureExtractor::new(scaler, STEP);
    for step_idx in 0..window.grid().n_steps() {
        extractor.push(window.grid().at(step_idx), window.row(step_idx).iter().copied());
    }
    (extractor, extracted)
}

/// Pushes the next row, one step after the newest, and scores it.
pub(crate) fn next_score(
    detector: &mut impl Detector,
    extractor: &mut FeatureExtractor,
    row: &[f64],
) -> Result<Scoring, ScoreError> {
    let at = extractor.row_buffer().newest_at().map_or(Timestamp::from_secs(0), |newest| newest + extractor.step());
    extractor.push(at, row.iter().copied());
    detector.score(extractor.row_buffer())
}

/// The score, where there is one.
pub(crate) fn scored(scoring: Result<Scoring, ScoreError>) -> Option<f64> {
    match scoring.expect("no failure") {
        Scoring::Scored(raw) => Some(raw.value()),
        Scoring::NotReady(_) => None,
    }
}

/// The usual history, an extractor at its end, a detector trained on it, and the rows that follow.
fn usual<T: Fitted>() -> (T, FeatureExtractor, Array2<f64>) {
    let values = noise(N_TRAIN + 300, N_FEATURES, Seed::new(11));
    let (extractor, extracted) = history(values.slice(s![..N_TRAIN, ..]).to_owned());
    let detector = T::train(&T::Spec::default(), &extracted, Seed::new(7)).expect("a model of the usual history");
    (detector, extractor, values.slice(s![N_TRAIN.., ..]).to_owned())
}

/// A detector as it is stored: its own part, and the shared file.
fn stored<T: Fitted>(detector: &T) -> (Vec<u8>, Vec<u8>) {
    let own = postcard::to_stdvec(&detector.own().expect("a stored form")).expect("bytes");
    (own, detector.file().expect("a stored form").bytes)
}

fn restored<T: Fitted>((own, bytes): &(Vec<u8>, Vec<u8>)) -> T {
    let own = postcard::from_bytes(own).expect("what was saved");
    T::restore(own, RestoredFile { bytes, known: None }, &LoadOptions::default()).expect("what was saved")
}

fn memory_bytes<T: Fitted>(detector: &T) -> usize {
    detector.own_bytes() + detector.shared_part().map_or(0, |part| part.bytes)
}

pub(crate) fn gaps<T: Fitted>() {
    let mut rng = Seed::new(21).rng();
    let mut values = noise(N_TRAIN + 300, N_FEATURES, Seed::new(11));
    values.mapv_inplace(|value| if rng.random::<f64>() < 0.1 { f64::NAN } else { value });
    values.slice_mut(s![400..430, ..]).fill(f64::NAN);
    values.slice_mut(s![N_TRAIN + 50..N_TRAIN + 90, ..]).fill(f64::NAN);
    values.slice_mut(s![N_TRAIN + 120..N_TRAIN + 200, 0]).fill(f64::NAN);
    let (mut extractor, extracted) = history(values.slice(s![..N_TRAIN, ..]).to_owned());
    let mut detector = T::train(&T::Spec::default(), &extracted, Seed::new(7)).expect("a model despite gaps");
    let mut n_scored = 0;
    for (step_idx, row) in values.slice(s![N_TRAIN.., ..]).rows().into_iter().enumerate() {
        let score = scored(next_score(&mut detector, &mut extractor, &row.to_vec()));
        if row.iter().all(|value| value.is_nan()) {
            assert_eq!(score, None, "row {step_idx} has nothing to score");
        }
        n_scored += usize::from(score.is_some());
    }
    assert!(n_scored >= 100, "only {n_scored} of 300 rows with a tenth of gaps were scored");
    // Gaps pushed in by the extractor, for more steps than the row buffer holds.
    let much_later = extractor.row_buffer().newest_at().expect("rows") + STEP * 100;
    extractor.push(much_later, vec![0.0; N_FEATURES].into_iter());
    detector.score(extractor.row_buffer()).expect("no failure");
}

pub(crate) fn deterministic<T: Fitted>() {
    let (first, ..) = usual::<T>();
    let (second, ..) = usual::<T>();
    assert!(stored(&first) == stored(&second), "the same history and seed must give the same model");
}

pub(crate) fn monotone<T: Fitted>() {
    let (mut detector, mut extractor, rows) = usual::<T>();
    let sizes = [0.0, 4.0, 8.0, 16.0];
    let mut by_size = vec![Vec::new(); sizes.len()];
    for (step_idx, row) in rows.rows().into_iter().take(120).enumerate() {
        if step_idx % 8 == 7 {
            for (scores, size) in by_size.iter_mut().zip(sizes) {
                let (mut detector, mut extractor) = (detector.clone(), extractor.clone());
                let during = (0..T::FAULT_ROWS_MIN).map(|row_idx| rows.row(step_idx + row_idx).to_vec());
                let last = during.map(|mut row| {
                    row[1] += size * extractor.scaler().deviation(1, Channel::Level);
                    scored(next_score(&mut detector, &mut extractor, &row))
                });
                scores.extend(last.last().flatten());
            }
        }
        next_score(&mut detector, &mut extractor, &row.to_vec()).expect("no failure");
    }
    let medians: Vec<f64> = by_size
        .iter_mut()
        .map(|scores| {
            scores.sort_by(f64::total_cmp);
            scores[scores.len() / 2]
        })
        .collect();
    assert!(medians.windows(2).all(|pair| pair[0] <= pair[1]), "medians at {sizes:?} deviations: {medians:?}");
    assert!(medians[0] < medians[3], "a fault of 16 deviations must show: {medians:?}");
}

pub(crate) fn bounded<T: Fitted>() {
    let (mut detector, mut extractor, rows) = usual::<T>();
    next_score(&mut detector, &mut extractor, &rows.row(0).to_vec()).expect("no failure");
    let at_first = memory_bytes(&detector);
    for row in rows.rows() {
        next_score(&mut detector, &mut extractor, &row.to_vec()).expect("no failure");
    }
    assert_eq!(memory_bytes(&detector), at_first, "it grew while scoring");
    assert!((1..MEMORY_BYTES_MAX).contains(&at_first), "{at_first} bytes");
}

pub(crate) fn saved_and_loaded<T: Fitted>() {
    let (mut detector, mut extractor, rows) = usual::<T>();
    for row in rows.rows().into_iter().take(100) {
        next_score(&mut detector, &mut extractor, &row.to_vec()).expect("no failure");
    }
    let saved = stored(&detector);
    let mut loaded: T = restored(&saved);
    assert!(stored(&loaded) == saved, "saving again must give the same bytes");
    let mut other = extractor.clone();
    for (step_idx, row) in rows.rows().into_iter().skip(100).take(50).enumerate() {
        let before = scored(next_score(&mut detector, &mut extractor, &row.to_vec()));
        let after = scored(next_score(&mut loaded, &mut other, &row.to_vec()));
        assert!(before.is_some());
        assert_eq!(before.map(f64::to_bits), after.map(f64::to_bits), "row {step_idx} after loading");
    }
}

/// Those that share a model score many subjects at once, each as if it were alone.
pub(crate) fn batched<T: Fitted>() {
    let (mut detector, extractor, rows) = usual::<T>();
    let mut subjects = vec![extractor; 40];
    for (idx, (subject, row)) in subjects.iter_mut().zip(rows.rows()).enumerate() {
        let gap = |(feature_idx, value): (usize, &f64)| if idx % 3 == feature_idx { f64::NAN } else { *value };
        let cells: Vec<f64> = row.iter().enumerate().map(gap).collect();
        let at = subject.row_buffer().newest_at().expect("rows") + STEP;
        subject.push(at, cells.into_iter());
    }
    let mut batch = Vec::new();
    let mut together = detector.clone();
    subjects.iter().for_each(|subject| together.score_later(subject.row_buffer(), &mut batch));
    together.score_waiting(&mut batch);
    let alone: Vec<_> = subjects.iter().map(|subject| detector.score(subject.row_buffer())).collect();
    assert_eq!(batch, alone);
    assert_eq!(detector.shared_part().is_some(), T::SHARES);
    many_rows_of_one::<T>();
}

/// In training the rows of a history are a batch.
fn many_rows_of_one<T: Fitted>() {
    let (mut detector, mut extractor, rows) = usual::<T>();
    let mut later = detector.clone();
    if T::SHARES {
        later.score(extractor.row_buffer()).expect("what was scored before has no part in a batch");
    }
    let (mut batch, mut alone) = (Vec::new(), Vec::new());
    for (idx, row) in rows.rows().into_iter().cycle().take(600).enumerate() {
        let gap = |value: &f64| if idx % 41 < 2 { f64::NAN } else { *value };
        let at = extractor.row_buffer().newest_at().expect("rows") + STEP;
        extractor.push(at, row.iter().map(gap).collect::<Vec<f64>>().into_iter());
        later.score_later(extractor.row_buffer(), &mut batch);
        alone.push(detector.score(extractor.row_buffer()));
    }
    later.score_waiting(&mut batch);
    assert_eq!(batch, alone);
}

pub(crate) fn other_shape<T: Fitted>() {
    let (mut detector, ..) = usual::<T>();
    let (other, _) = history(noise(50, N_FEATURES + 1, Seed::new(1)));
    let wanted = Err(ScoreError::Shape { found: N_FEATURES + 1, wanted: N_FEATURES });
    assert_eq!(detector.score(other.row_buffer()), wanted);
}

pub(crate) fn extreme_rows<T: Fitted>() {
    let (mut detector, mut extractor, rows) = usual::<T>();
    let extremes = [1e300, -1e300, f64::MAX, f64::MIN, 5e-324, -5e-324, f64::INFINITY, 0.0];
    for (row, extreme) in rows.rows().into_iter().zip(extremes.into_iter().cycle()).take(80) {
        scored(next_score(&mut detector, &mut extractor, &[extreme, row[1], -extreme]));
    }
    // Afterwards it must find back to scores of the usual size, not to infinity or nothing.
    let last =
        rows.rows().into_iter().map(|row| scored(next_score(&mut detector, &mut extractor, &row.to_vec()))).last();
    assert!(last.flatten().is_some());
}

pub(crate) fn extreme_histories<T: Fitted>() {
    let usual = noise(400, 2, Seed::new(4));
    let histories: [(&str, Array2<f64>); 9] = [
        ("one row", usual.slice(s![..1, ..]).to_owned()),
        ("twenty rows", usual.slice(s![..20, ..]).to_owned()),
        ("two hundred rows", usual.slice(s![..200, ..]).to_owned()),
        ("nothing but gaps", Array2::from_elem((400, 2), f64::NAN)),
        ("duplicates only", Array2::from_elem((400, 2), 3.25)),
        ("zeros", Array2::zeros((400, 2))),
        ("huge", usual.mapv(|value| value.signum() * 1e300)),
        ("largest", usual.mapv(|value| value.signum() * f64::MAX)),
        ("denormal", usual.mapv(|value| value * 1e-310)),
    ];
    for (what, values) in histories {
        let (mut extractor, extracted) = history(values.clone());
        let mut detector = match T::train(&T::Spec::default(), &extracted, Seed::new(7)) {
            Ok(detector) => detector,
            Err(error) => {
                assert!(!matches!(error, TrainError::BadOption { .. }), "{what}: no option is at fault: {error}");
                continue;
            }
        };
        for row in [values.row(0).to_vec(), vec![1e300, -1e300], vec![f64::NAN, 0.0], vec![0.0, 5e-324]] {
            next_score(&mut detector, &mut extractor, &row).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }
}
