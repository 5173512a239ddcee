use homeostat_core::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::matrix::Sample;

fn decode(text: &str) -> Result<Matrix, DecodeError> {
    decode_matrix(text.as_bytes(), &DecodeLimits::default())
}

fn answer(result: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#)
}

fn sample(millis: i64, value: f64) -> Sample {
    Sample { at: Timestamp::from_millis(millis), value }
}

#[test]
fn what_prometheus_documents_is_read() {
    let text = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"up","job":"prometheus"},"values":[[1435781430.781,"1"],[1435781445.781,"0.5"]]},
        {"metric":{"__name__":"up","job":"node"},"values":[[1435781430,"1e-3"]]}]}}"#;
    let matrix = decode(text).expect("a matrix");
    assert_eq!(matrix.series().len(), 2);
    assert_eq!(matrix.series()[0].labels()["job"], "node", "series are sorted by labels");
    assert_eq!(matrix.series()[0].samples(), [sample(1_435_781_430_000, 1e-3)]);
    assert_eq!(matrix.series()[1].samples(), [sample(1_435_781_430_781, 1.0), sample(1_435_781_445_781, 0.5)]);
    assert_eq!((matrix.n_samples(), matrix.dropped(), matrix.is_partial()), (3, Dropped::default(), false));
}

#[test]
fn what_is_no_number_is_a_counted_gap() {
    let text = answer(r#"{"metric":{},"values":[[0,"NaN"],[60,"+Inf"],[120,"-Inf"],[180,"7"]]}"#);
    let matrix = decode(&text).expect("a matrix");
    assert_eq!(matrix.series()[0].samples(), [sample(180_000, 7.0)]);
    assert_eq!(matrix.dropped().not_finite, 3);
}

#[test]
fn disorder_and_duplicates_are_put_right_and_counted() {
    let text = answer(r#"{"metric":{},"values":[[60,"1"],[0,"2"],[60,"3"]]}"#);
    let matrix = decode(&text).expect("a matrix");
    assert_eq!(matrix.series()[0].samples(), [sample(0, 2.0), sample(60_000, 1.0)]);
    assert_eq!((matrix.dropped().duplicate, matrix.dropped().unordered), (1, 1));
}

#[test]
fn histograms_are_counted_and_unknown_keys_are_skipped() {
    let text = answer(
        r#"{"metric":{"le":"1"},"new":{"a":[1]},"histograms":[[0,{"count":"1","sum":"2","buckets":[]}],[60,{}]]}"#,
    );
    let matrix = decode(&text).expect("a matrix");
    assert_eq!((matrix.dropped().histogram, matrix.n_samples(), matrix.series().len()), (2, 0, 1));
}

#[test]
fn warnings_and_partial_answers_are_kept_and_infos_are_apart() {
    let text = r#"{"warnings":["store gone"],"infos":["not a counter"],"isPartial":true,
        "data":{"result":[],"resultType":"matrix"},"status":"success"}"#;
    let matrix = decode(text).expect("keys may come in any order");
    assert_eq!(matrix.warnings(), ["store gone", "the server says that this answer is partial"]);
    assert_eq!(matrix.infos(), ["not a counter"]);
    assert!(matrix.is_partial() && matrix.series().is_empty());
}

#[test]
fn escaped_text_is_read_as_plain_text() {
    let text = answer(r#"{"m\u0065tric":{"a\nb":"\u00e4"},"values":[[0,"\u002bInf"],[60,"\u0031"]]}"#);
    let matrix = decode(&text).expect("a matrix");
    assert_eq!(matrix.series()[0].labels()["a\nb"], "ä");
    assert_eq!(matrix.series()[0].samples(), [sample(60_000, 1.0)]);
}

#[test]
fn a_failed_query_keeps_the_servers_words() {
    let text = r#"{"status":"error","data":null,"errorType":"bad_data","error":"parse error: unexpected ("}"#;
    assert_eq!(
        decode(text),
        Err(DecodeError::Failed { kind: "bad_data".into(), message: "parse error: unexpected (".into() })
    );
}

#[test]
fn another_result_type_is_refused_by_name() {
    for (kind, result) in [("vector", r#"[{"metric":{},"value":[0,"1"]}]"#), ("scalar", r#"[0,"1"]"#)] {
        let text = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
        assert_eq!(decode(&text), Err(DecodeError::WrongType { found: kind.into() }));
    }
}

#[test]
fn what_is_not_a_whole_answer_is_malformed() {
    let whole = answer(r#"{"metric":{},"values":[[0,"1"]]}"#);
    let mut texts =
        ["<html>", "[]", "null", "{}", r#"{"status":"success"}"#, r#"{"status":"maybe"}"#].map(String::from).to_vec();
    texts.push(format!("{whole} {whole}"));
    texts.push(r#"{"status":"success","data":{"resultType":"matrix"}}"#.into());
    texts.push(answer(r#"{"metric":{},"values":[[0,"one"]]}"#));
    texts.push(answer(r#"{"metric":{},"values":[[0]]}"#));
    texts.push(answer(r#"{"metric":{},"values":[[0,"1",2]]}"#));
    texts.push(answer(r#"{"metric":{},"values":[[1e300,"1"]]}"#));
    for text in texts {
        assert!(matches!(decode(&text), Err(DecodeError::Malformed(_))), "{text}");
    }
}

#[test]
fn every_half_of_an_answer_is_cut_short() {
    let whole = answer(r#"{"metric":{"pod":"a"},"values":[[0,"1"]]}"#);
    for end in 0..whole.len() {
        assert!(matches!(decode(&whole[..end]), Err(DecodeError::CutShort(_))), "{}", &whole[..end]);
    }
}

#[test]
fn a_hundred_thousand_series_stop_at_the_limit_by_name() {
    let one = r#"{"metric":{},"values":[[0,"1"]]}"#;
    let text = answer(&vec![one; 100_000].join(","));
    let limits = DecodeLimits { series_max: 100, samples_max: 1_000_000 };
    let error = decode_matrix(text.as_bytes(), &limits).expect_err("too many series");
    assert_eq!(error, DecodeError::TooMuch { what: "series", limit: 100 });
    let limits = DecodeLimits { series_max: 1_000_000, samples_max: 99_999 };
    let error = decode_matrix(text.as_bytes(), &limits).expect_err("too many samples");
    assert_eq!(error, DecodeError::TooMuch { what: "samples", limit: 99_999 });
}

#[test]
fn exactly_the_limit_is_allowed() {
    let one = r#"{"metric":{},"values":[[0,"1"]]}"#;
    let limits = DecodeLimits { series_max: 1, samples_max: 1 };
    assert!(decode_matrix(answer(one).as_bytes(), &limits).is_ok());
}

#[test]
fn pages_one_after_another_are_one_matrix() {
    let page = |from: i64| answer(&format!(r#"{{"metric":{{}},"values":[[{from},"1"],[{},"2"]]}}"#, from + 60));
    let text = format!("{}\n{}\n", page(0), page(60));
    let matrix = decode_pages(text.as_bytes(), &DecodeLimits::default()).expect("two pages");
    assert_eq!(matrix.series()[0].samples(), [sample(0, 1.0), sample(60_000, 2.0), sample(120_000, 2.0)]);
    for cut in [&text[..text.len() - 5], ""] {
        let found = decode_pages(cut.as_bytes(), &DecodeLimits::default());
        assert!(matches!(found, Err(DecodeError::CutShort(_))), "{found:?}");
    }
}

/// Everything about a matrix, with the bits of its values: 0.0 and -0.0 are equal, but not the same.
fn bits(matrix: &Matrix) -> (Matrix, Vec<u64>) {
    let samples = matrix.series().iter().flat_map(|series| series.samples());
    (matrix.clone(), samples.map(|sample| sample.value.to_bits()).collect())
}

/// The quick way gives what the visitors give, or nothing. Whether it gave something.
fn quick_is_right_or_nothing(bytes: &[u8], limits: &DecodeLimits) -> bool {
    let quick = fast::matrix(bytes, Gathered::new(*limits, None));
    if let Some(quick) = &quick {
        let slow = decode_any(bytes, Gathered::new(*limits, None));
        assert_eq!(
            Ok(bits(quick)),
            slow.as_ref().map(bits).map_err(Clone::clone),
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
    let pages = fast::pages(bytes, limits);
    if let Some(pages) = &pages {
        assert_eq!(Ok(pages), decode_any_pages(bytes, limits).as_ref());
    }
    assert!(quick.is_none() || pages.is_some());
    quick.is_some()
}

#[test]
fn whoever_is_preferred_is_read_however_many_others_there_are() {
    use homeostat_core::Subject;

    use crate::subject_rule::SubjectRule;
    let series = |name: &str| format!(r#"{{"metric":{{"namespace":"shop","workload":"{name}"}},"values":[[0,"1"]]}}"#);
    let names: Vec<String> = (0..20).map(|idx| format!("w{idx}")).collect();
    let text = answer(&names.iter().map(|name| series(name)).collect::<Vec<_>>().join(","));
    let limits = DecodeLimits { series_max: 5, samples_max: 8 };
    assert!(decode_matrix(text.as_bytes(), &limits).is_err(), "without a preference it is too much");
    let known = ["w3", "w18"].map(|name| Subject::deployment("shop", name));
    let preferred = Arc::new(Preferred::new(SubjectRule::default(), known));
    let read = decode_preferring(text.as_bytes(), &limits, Some(&preferred)).expect("an answer");
    let read_names: Vec<&str> = read.series().iter().map(|series| series.labels()["workload"].as_str()).collect();
    assert_eq!(read_names, ["w0", "w1", "w18", "w2", "w3", "w4"]);
    assert_eq!(read.series_left_out(), 14);
    let slow = decode_any(text.as_bytes(), Gathered::new(limits, Some(preferred))).expect("an answer");
    assert_eq!(slow, read, "both ways alike");
}

#[test]
fn what_servers_write_goes_the_quick_way() {
    let series = r#"{"metric":{"__name__":"up","pod":"a\n\u00e4"},"values":[[1435781430.781,"1"],[1435781431,"NaN"],
        [1435781432, "0.30000000000000004"],[-1.5,"+Inf"],[1e2,"-1e-7"],[1435781433.12345,"-0"]]}"#;
    let victoria = format!(
        r#"{{"status":"success","isPartial":false,"data":{{"resultType":"matrix","result":[{series}]}},"stats":{{"seriesFetched":"1"}}}}"#
    );
    let histograms = r#"{"metric":{},"histograms":[[0,{"count":"1","sum":"2","buckets":[]}]]}"#;
    let notes = r#"{"status":"success","data":{"resultType":"matrix","result":[],"analysis":{}},"warnings":["w"],"infos":null}"#;
    let pretty = format!(
        "{{ \"status\" : \"success\" ,\n \"data\" : {{ \"resultType\" : \"matrix\" , \"result\" : [ {series} ] }} }}\n"
    );
    for text in [answer(""), answer(series), answer(histograms), notes.to_owned(), victoria, pretty] {
        assert!(quick_is_right_or_nothing(text.as_bytes(), &DecodeLimits::default()), "{text}");
    }
}

/// A number as a text, in all the ways that may come, and some that may not.
fn any_number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<f64>().prop_map(|value| value.to_string()),
        4 => (-1e6f64..1e6, 0usize..12).prop_map(|(value, places)| format!("{value:.places$}")),
        2 => any::<f64>().prop_map(|value| format!("{value:e}")),
        2 => any::<i32>().prop_map(|value| value.to_string()),
        1 => "-?[0-9]{0,25}(\\.[0-9]{0,25})?([eE][+-]?[0-9]{0,3})?",
        1 => prop_oneof![Just("NaN"), Just("+Inf"), Just("-Inf"), Just("0x1p3"), Just("1_0"), Just("infinity")]
            .prop_map(str::to_owned),
    ]
}

/// A time, nearly always one that a server writes.
fn any_time() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0i64..2_000_000_000).prop_map(|secs| secs.to_string()),
        4 => (0i64..2_000_000_000, 0u32..1000).prop_map(|(secs, ms)| format!("{secs}.{ms:03}")),
        2 => (-1e13f64..1e13).prop_map(|secs| secs.to_string()),
        1 => "-?[0-9]{0,14}(\\.[0-9]{0,6})?([eE][+-]?[0-9]{0,2})?",
    ]
}

proptest! {
    #[test]
    fn the_quick_way_gives_what_the_visitors_give(
        points in proptest::collection::vec((any_time(), any_number()), 0..8),
        gap in prop_oneof![Just(""), Just(" "), Just("\n\t")],
        samples_max in 0usize..12,
    ) {
        let pairs: Vec<String> = points.iter().map(|(time, value)| format!("[{time},{gap}\"{value}\"]")).collect();
        let one = format!(r#"{{"metric":{{"pod":"a"}},"values":[{}]}}"#, pairs.join(&format!(",{gap}")));
        let two = answer(&format!("{one},{one}"));
        quick_is_right_or_nothing(two.as_bytes(), &DecodeLimits { series_max: 2, samples_max });
        quick_is_right_or_nothing(format!("{two}{gap}{two}").as_bytes(), &DecodeLimits::default());
    }

    #[test]
    fn an_answer_with_bytes_changed_is_read_alike_both_ways(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..4),
    ) {
        let mut bytes = answer(r#"{"metric":{"a":"b","c":"d"},"values":[[1700000000,"0.123456789"],[1700000060.5,"NaN"],
            [1700000120,"1e3"]],"histograms":[[1,{}]],"x":null}"#).into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        quick_is_right_or_nothing(&bytes, &DecodeLimits::default());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_matrix(&bytes, &DecodeLimits::default());
    }

    #[test]
    fn an_answer_with_one_byte_changed_never_panics(at in 0usize..400, byte in any::<u8>()) {
        let text = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},
            "values":[[1,"1"],[2,"NaN"]],"histograms":[[1,{}]]}]},"warnings":["w"],"isPartial":false}"#;
        let mut bytes = text.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(matrix) = decode_matrix(&bytes, &DecodeLimits::default()) {
            for series in matrix.series() {
                prop_assert!(series.samples().iter().all(|sample| sample.value.is_finite()));
            }
        }
    }

    #[test]
    fn every_finite_sample_comes_back_exactly(
        points in proptest::collection::btree_map(-10_000_000_000_000i64..10_000_000_000_000, -1e300f64..1e300, 0..30),
    ) {
        let values: Vec<String> =
            points.iter().map(|(ms, value)| format!("[{},\"{value}\"]", *ms as f64 / 1000.0)).collect();
        let text = answer(&format!(r#"{{"metric":{{}},"values":[{}]}}"#, values.join(",")));
        let matrix = decode(&text).expect("a matrix");
        let found: Vec<(i64, f64)> =
            matrix.series()[0].samples().iter().map(|sample| (sample.at.as_millis(), sample.value)).collect();
        let wanted: Vec<(i64, f64)> = points.into_iter().collect();
        prop_assert_eq!(found, wanted);
    }
}
