use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, Seed, Signal, Timestamp, Window};
use ndarray::Array2;
use rand::Rng;

use super::*;
use crate::ensemble::EnsembleSpec;
use crate::hysteresis::Hysteresis;

fn schema(names: &[&str]) -> Schema {
    let feature = |name: &&str| Feature {
        name: (*name).into(),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    Schema::new(names.iter().map(feature).collect()).expect("a schema")
}

fn window(name: &str, from: i64, n_rows: usize) -> Window {
    let mut rng = Seed::new(5).fork(name).fork(&from.to_string()).rng();
    let values = Array2::from_shape_fn((n_rows, 2), |_| rng.random::<f64>());
    let grid = Grid::new(Timestamp::from_secs(60 * from), Duration::from_secs(60), n_rows).expect("a grid");
    Window::new(Subject::deployment("shop", name), grid, Arc::new(schema(&["a", "b"])), values).expect("a window")
}

/// Two subjects with every detector.
fn bundle() -> Bundle {
    let ensembles = ["cart", "redis"].map(|name| {
        let ensemble = Ensemble::train(&EnsembleSpec::default(), &window(name, 0, 400), Seed::new(1));
        (Subject::deployment("shop", name), ensemble.expect("enough history"))
    });
    let provenance = Provenance {
        trained_at: Timestamp::from_secs(24_000),
        source: "a test".into(),
        history_start: Timestamp::from_secs(0),
        history_end: Timestamp::from_secs(23_940),
    };
    let opening = Hysteresis { open_rows: 3, of_rows: 4, ..Hysteresis::default() };
    let recipe = Recipe::of(&EnsembleSpec { hysteresis: opening, ..EnsembleSpec::default() }, false, Seed::new(1));
    Bundle { provenance, recipe, ensembles: BTreeMap::from(ensembles), calibration_json: "{}".to_owned() }
}

fn load(dir: &Path) -> Result<Bundle, BundleLoadError> {
    Bundle::load(dir, |_| None, &LoadOptions::default())
}

/// A saved bundle, and every file in it.
fn saved() -> (tempfile::TempDir, PathBuf, Vec<PathBuf>) {
    let room = tempfile::tempdir().expect("a directory");
    let dir = room.path().join("bundle");
    bundle().save(&dir).expect("room to write");
    let manifest: BundleManifest =
        serde_json::from_slice(&fs::read(dir.join(MANIFEST)).expect("a file")).expect("JSON");
    let files = manifest.files.keys().map(|name| dir.join(name)).collect();
    (room, dir, files)
}

#[test]
fn the_next_scores_after_loading_are_the_same_bit_for_bit() {
    let room = tempfile::tempdir().expect("a directory");
    let dir = room.path().join("bundle");
    let mut before = bundle();
    before.save(&dir).expect("room to write");
    let mut after = load(&dir).expect("what was saved");
    assert_eq!((&after.provenance, &after.recipe), (&before.provenance, &before.recipe));
    for (subject, ensemble) in &mut before.ensembles {
        let next = window(&subject.name, 400, 60);
        let loaded = after.ensembles.get_mut(subject).expect("the same subjects");
        assert_eq!(loaded.assess_rows(&next), ensemble.assess_rows(&next), "{subject}");
    }
}

#[test]
fn a_file_cut_in_half_is_named() {
    let (_room, dir, files) = saved();
    let wanted = if cfg!(feature = "onnx") { 11 } else { 9 };
    assert_eq!(files.len(), wanted, "two subjects with models of their own, and the calibration: {files:?}");
    for path in files {
        let whole = fs::read(&path).expect("a file");
        fs::write(&path, &whole[..whole.len() / 2]).expect("room to write");
        let error = load(&dir).expect_err("half a file");
        assert!(matches!(&error, BundleLoadError::Damaged { path: named, .. } if *named == path), "{error}");
        fs::write(&path, &whole).expect("room to write");
    }
    assert!(load(&dir).is_ok());
}

#[test]
fn a_flipped_bit_and_a_missing_file_are_named() {
    let (_room, dir, files) = saved();
    for path in files {
        let whole = fs::read(&path).expect("a file");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        fs::write(&path, &flipped).expect("room to write");
        assert!(matches!(load(&dir), Err(BundleLoadError::Damaged { .. })), "{}", path.display());
        fs::remove_file(&path).expect("a file");
        assert!(matches!(load(&dir), Err(BundleLoadError::Missing { .. })), "{}", path.display());
        fs::write(&path, &whole).expect("room to write");
    }
}

#[test]
fn another_format_says_to_train_again_and_half_a_manifest_is_damaged() {
    let (_room, dir, _) = saved();
    let manifest = fs::read_to_string(dir.join(MANIFEST)).expect("a file");
    fs::write(dir.join(MANIFEST), manifest.replacen("\"format\": 6", "\"format\": 4", 1)).expect("room to write");
    let error = load(&dir).expect_err("another format");
    assert!(matches!(error, BundleLoadError::OtherFormat { found: 4, .. }));
    assert!(error.to_string().contains("train again"), "{error}");
    fs::write(dir.join(MANIFEST), &manifest[..manifest.len() / 2]).expect("room to write");
    assert!(matches!(load(&dir), Err(BundleLoadError::Damaged { .. })));
}

#[test]
fn another_schema_is_refused_and_the_difference_named() {
    let (_room, dir, _) = saved();
    let load_for =
        |names: &'static [&'static str]| Bundle::load(&dir, |_| Some(schema(names)), &LoadOptions::default());
    assert!(load_for(&["a", "b"]).is_ok());
    for (names, difference) in [(&["a", "c"][..], "b where c is wanted"), (&["a"][..], "2 features where 1 are wanted")]
    {
        let error = load_for(names).expect_err("another schema");
        assert!(error.to_string().contains(difference), "{error}");
    }
}

#[test]
fn a_new_bundle_replaces_the_old_one_and_leaves_nothing_behind() {
    let (room, dir, _) = saved();
    // What a crash in the middle of writing leaves.
    fs::create_dir_all(room.path().join("bundle.tmp/half")).expect("room to write");
    let mut newer = bundle();
    newer.provenance.source = "another history".into();
    newer.save(&dir).expect("room to write");
    assert_eq!(load(&dir).expect("the new one").provenance.source, "another history");
    let names: Vec<_> =
        fs::read_dir(room.path()).expect("a directory").map(|one| one.expect("an entry").file_name()).collect();
    assert_eq!(names, ["bundle"]);
}

#[test]
fn a_write_that_was_interrupted_between_two_renames_says_where_the_old_one_is() {
    let (room, dir, _) = saved();
    fs::rename(&dir, room.path().join("bundle.old")).expect("a directory");
    let error = load(&dir).expect_err("nothing there");
    assert!(error.to_string().contains("bundle.old"), "{error}");
    assert!(load(&room.path().join("elsewhere")).expect_err("nothing there").to_string().contains("isn't a bundle"));
}

#[test]
fn subjects_of_any_name_get_directories_of_their_own_inside_the_bundle() {
    let names = ["../../etc", "a b", "a-b", "A-b", "", ".", &"x".repeat(300)];
    let all: std::collections::BTreeSet<String> =
        names.iter().map(|name| directory(&Subject::deployment("shop", *name))).collect();
    assert_eq!(all.len(), names.len());
    for name in all {
        assert!(name.len() <= 93 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{name}");
    }
}

#[test]
fn an_archive_says_the_same_as_the_directory_bit_for_bit() {
    let (room, dir, _) = saved();
    let path = room.path().join("bundle.tar.zst");
    bundle().save(&path).expect("room to write");
    let first = fs::read(&path).expect("a file");
    bundle().save(&path).expect("room to write");
    assert!(fs::read(&path).expect("a file") == first, "the same bundle gives the same bytes");
    let (mut of_dir, mut of_archive) = (load(&dir).expect("a bundle"), load(&path).expect("a bundle"));
    assert_eq!(of_dir.recipe, of_archive.recipe);
    for (subject, ensemble) in &mut of_dir.ensembles {
        let next = window(&subject.name, 400, 30);
        let other = of_archive.ensembles.get_mut(subject).expect("the same subjects");
        assert_eq!(other.assess_rows(&next), ensemble.assess_rows(&next), "{subject}");
    }
    let manifest = BundleManifest::read(&path).expect("a manifest");
    assert_eq!(manifest.subjects.len(), 2);
    assert!(manifest.subjects.iter().all(|entry| entry.fit.n_fit_rows == 266 && entry.fit.n_held_out_rows == 134));
    let entries = fs::read_dir(room.path()).expect("a directory").count();
    assert_eq!(entries, 2, "nothing else is left beside them");
}

#[test]
fn an_archive_cut_anywhere_or_with_a_flipped_bit_is_never_loaded() {
    let room = tempfile::tempdir().expect("a directory");
    let path = room.path().join("bundle.tar.zst");
    bundle().save(&path).expect("room to write");
    let whole = fs::read(&path).expect("a file");
    for share in 0..40 {
        fs::write(&path, &whole[..whole.len() * share / 40]).expect("room to write");
        assert!(load(&path).is_err(), "cut at {share}/40");
        let mut flipped = whole.clone();
        flipped[whole.len() * share / 40] ^= 0x10;
        fs::write(&path, &flipped).expect("room to write");
        if let Ok(loaded) = load(&path) {
            // A bit that means nothing, such as an owner's: then nothing else may differ.
            assert_eq!(loaded.provenance, bundle().provenance);
        }
    }
}

#[test]
fn what_was_saved_loaded_and_saved_again_is_the_same_bytes() {
    let room = tempfile::tempdir().expect("a directory");
    let (first, second) = (room.path().join("a.tar.zst"), room.path().join("b.tar.zst"));
    bundle().save(&first).expect("room to write");
    load(&first).expect("a bundle").save(&second).expect("room to write");
    assert!(fs::read(&first).expect("a file") == fs::read(&second).expect("a file"));
}

proptest::proptest! {
    #[test]
    fn no_change_to_an_archive_makes_loading_panic(changes in proptest::collection::vec((0.0..1.0f64, 0u8..=255), 1..8), cut in 0.1..1.0f64) {
        static WHOLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let room = tempfile::tempdir().expect("a directory");
        let path = room.path().join("b.tar.zst");
        let mut bytes = WHOLE.get_or_init(|| {
            bundle().save(&path).expect("room to write");
            fs::read(&path).expect("a file")
        }).clone();
        for (place, value) in &changes {
            let idx = (place * bytes.len() as f64) as usize;
            bytes[idx] = *value;
        }
        if cut < 0.5 {
            bytes.truncate((cut * 2.0 * bytes.len() as f64) as usize);
        }
        fs::write(&path, &bytes).expect("room to write");
        let _ = load(&path);
    }
}
