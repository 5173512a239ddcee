use homeostat_core::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::matrix::{Dropped, Labels, Sample, Series};
use crate::query::tests::query;
use crate::query::{Aggregation, OnMissing};

fn queries(names: &[&str]) -> QuerySet {
    QuerySet::new(names.iter().map(|name| query(name, Aggregation::Max, OnMissing::Gap)).collect()).expect("queries")
}

fn matrix(points: &[(i64, f64)]) -> Matrix {
    let labels = Labels::from([("pod".to_owned(), "a\"\n\\ä".to_owned())]);
    let samples = points.iter().map(|(ms, value)| Sample { at: Timestamp::from_millis(*ms), value: *value }).collect();
    Matrix::new(vec![Series::new(labels, samples).0], Dropped::default())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn read(dir: &Path, names: &[&str]) -> Result<Vec<Matrix>, ExportError> {
    read_export(dir, &queries(names), &DecodeLimits::default())
}

const ANSWER: &str =
    r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[60,"2"]]}]}}"#;

#[test]
fn what_was_written_is_read_back() {
    let dir = folder();
    let pulled = vec![
        matrix(&[(0, 1.5), (60_001, -0.0)]).with_notes(vec!["partial".into()], vec!["a note".into()]),
        matrix(&[]),
        Matrix::default(),
    ];
    let names = ["cpu", "memory", "traffic"];
    write_export(dir.path(), &queries(&names), &pulled).expect("written");
    assert_eq!(read(dir.path(), &names).expect("read"), pulled);
    let left: Vec<_> = std::fs::read_dir(dir.path()).expect("a folder").collect();
    assert_eq!(left.len(), 3, "nothing unfinished is left: {left:?}");
}

#[test]
fn plain_files_and_several_pages_are_read() {
    let dir = folder();
    let pages = format!("{ANSWER}\n{}\n", ANSWER.replace("[0,", "[120,"));
    std::fs::write(dir.path().join("cpu.json"), pages).expect("written");
    let found = read(dir.path(), &["cpu"]).expect("read");
    assert_eq!(found[0].n_samples(), 3);
}

#[test]
fn missing_files_are_named_all_at_once() {
    let dir = folder();
    std::fs::write(dir.path().join("cpu.json"), ANSWER).expect("written");
    let error = read(dir.path(), &["cpu", "memory", "traffic"]).expect_err("two are missing");
    let shown = error.to_string();
    assert!(shown.contains("memory, traffic") && !shown.contains("cpu"), "{shown}");
}

#[test]
fn two_files_for_one_query_are_refused() {
    let dir = folder();
    write_export(dir.path(), &queries(&["cpu"]), &[matrix(&[(0, 1.0)])]).expect("written");
    std::fs::write(dir.path().join("cpu.json"), ANSWER).expect("written");
    assert!(matches!(read(dir.path(), &["cpu"]), Err(ExportError::Ambiguous { .. })));
}

#[test]
fn an_empty_file_is_an_error_and_an_empty_answer_is_not() {
    let dir = folder();
    for blank in ["", "  \n"] {
        std::fs::write(dir.path().join("cpu.json"), blank).expect("written");
        assert!(matches!(read(dir.path(), &["cpu"]), Err(ExportError::Empty { .. })), "{blank:?}");
    }
    let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    std::fs::write(dir.path().join("cpu.json"), answer).expect("written");
    assert_eq!(read(dir.path(), &["cpu"]).expect("no series"), [Matrix::default()]);
}

#[test]
fn every_truncation_is_an_error() {
    let dir = folder();
    let file = dir.path().join("cpu.json.gz");
    write_export(dir.path(), &queries(&["cpu"]), &[matrix(&[(0, 1.0), (60_000, 2.0)])]).expect("written");
    let whole = std::fs::read(&file).expect("read");
    for length in 1..whole.len() {
        std::fs::write(&file, &whole[..length]).expect("written");
        let found = read(dir.path(), &["cpu"]);
        assert!(matches!(found, Err(ExportError::CutShort { .. })), "{length} of {}: {found:?}", whole.len());
    }
    std::fs::remove_file(&file).expect("removed");
    for length in 1..ANSWER.len() {
        std::fs::write(dir.path().join("cpu.json"), &ANSWER[..length]).expect("written");
        assert!(matches!(read(dir.path(), &["cpu"]), Err(ExportError::CutShort { .. })), "{length}");
    }
}

#[test]
fn what_is_no_answer_is_named() {
    let dir = folder();
    let error = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    for (text, wanted) in [("hello", "isn't a query_range answer"), (error, "parse error")] {
        std::fs::write(dir.path().join("cpu.json"), text).expect("written");
        let shown = read(dir.path(), &["cpu"]).expect_err("no answer").to_string();
        assert!(shown.contains("cpu.json") && shown.contains(wanted), "{shown}");
    }
    std::fs::rename(dir.path().join("cpu.json"), dir.path().join("cpu.json.gz")).expect("renamed");
    assert!(read(dir.path(), &["cpu"]).is_err(), "not packed at all");
}

#[test]
fn a_file_that_unpacks_to_too_much_stops_at_the_limit() {
    let dir = folder();
    let file = dir.path().join("bomb.json.gz");
    let mut packed = GzEncoder::new(File::create(&file).expect("a file"), Compression::best());
    packed.write_all(&vec![b' '; 1_000_000]).expect("written");
    packed.finish().expect("finished");
    let found = read_file(&file, &DecodeLimits::default(), 999_999);
    assert!(matches!(found, Err(ExportError::TooLarge { limit: 999_999, .. })), "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_matrix_comes_back_bit_for_bit(
        points in proptest::collection::vec((-5_000_000_000_000i64..5_000_000_000_000, any::<f64>()), 0..40),
    ) {
        let dir = folder();
        let wanted = matrix(&points);
        write_export(dir.path(), &queries(&["cpu"]), std::slice::from_ref(&wanted)).expect("written");
        let found = read(dir.path(), &["cpu"]).expect("read");
        let bits = |matrix: &Matrix| -> Vec<(i64, u64)> {
            matrix.series().iter().flat_map(Series::samples).map(|s| (s.at.as_millis(), s.value.to_bits())).collect()
        };
        prop_assert_eq!(bits(&found[0]), bits(&wanted));
    }
}
