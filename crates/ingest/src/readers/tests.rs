use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::matrix::{Labels, Sample};

/// What was announced, and the samples of each.
#[derive(Default, Debug)]
struct Seen {
    series: Vec<(Option<String>, Labels)>,
    samples: Vec<(usize, i64, f64)>,
}

impl SampleSink for Seen {
    fn series(&mut self, what: What<'_>, labels: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
        let feature = match what {
            What::Raw => None,
            What::Feature(feature) => Some(feature.to_owned()),
        };
        let series = (feature, labels.clone());
        let idx = self.series.iter().position(|known| *known == series);
        Ok(Some(SeriesIdx(idx.unwrap_or_else(|| {
            self.series.push(series);
            self.series.len() - 1
        }))))
    }

    fn sample(&mut self, series: SeriesIdx, sample: Sample) -> Result<(), ReadError> {
        self.samples.push((series.0, sample.at.as_millis(), sample.value));
        Ok(())
    }
}

fn read_as(bytes: &[u8], feature: Option<&str>) -> Result<(Format, Seen), ReadError> {
    let mut seen = Seen::default();
    let options = ReadOptions { format: None, feature: feature.map(str::to_owned) };
    let format = read_samples(Cursor::new(bytes.to_vec()), &options, &mut seen)?;
    Ok((format, seen))
}

fn read(text: &str) -> Result<(Format, Seen), ReadError> {
    read_as(text.as_bytes(), None)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text).expect("packed");
    packed.finish().expect("packed")
}

fn zstandard(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

const OPEN_METRICS: &str = "# HELP up Whether it is up.\n# TYPE up gauge\nup{job=\"shop\",pod=\"a\\\"b\"} 1 1700000000.25\n\
    up{job=\"shop\",pod=\"a\\\"b\"} NaN 1700000015 # {trace=\"x\"} 0.5\nsize_bytes 1.5e+09 1700000000\n# EOF\n";

fn up() -> Labels {
    labels(&[("__name__", "up"), ("job", "shop"), ("pod", "a\"b")])
}

#[test]
fn open_metrics_gives_its_samples() {
    let (format, seen) = read(OPEN_METRICS).expect("read");
    assert_eq!(format, Format::OpenMetrics);
    assert_eq!(seen.series, [(None, up()), (None, labels(&[("__name__", "size_bytes")]))]);
    assert_eq!(seen.samples[0], (0, 1_700_000_000_250, 1.0));
    assert!(seen.samples[1].2.is_nan() && seen.samples[1].1 == 1_700_000_015_000);
    assert_eq!(seen.samples[2], (1, 1_700_000_000_000, 1.5e9));
}

#[test]
fn a_tsdb_dump_gives_its_samples_and_leaves_histograms_out() {
    let text = "{__name__=\"up\", job=\"shop\", pod=\"a\\\"b\"} 1 1700000000250\n\
        {__name__=\"lat\"} {count:5, sum:18.4, (0.5,1]:2} 1700000000000\n{__name__=\"up\", job=\"shop\", pod=\"a\\\"b\"} +Inf 1700000001000\n";
    let (format, seen) = read(text).expect("read");
    assert_eq!((format, &seen.series[0]), (Format::TsdbDump, &(None, up())));
    assert_eq!(seen.samples, [(0, 1_700_000_000_250, 1.0), (0, 1_700_000_001_000, f64::INFINITY)]);
}

#[test]
fn victoria_metrics_gives_its_samples() {
    let text = r#"{"metric":{"__name__":"up","job":"shop","pod":"a\"b"},"values":[1,null,"Infinity"],"timestamps":[1,2,3]}
        {"metric":{"__name__":"x"},"values":[0.5],"timestamps":[7]}"#;
    let (format, seen) = read(text).expect("read");
    assert_eq!((format, &seen.series[0]), (Format::VictoriaMetrics, &(None, up())));
    assert_eq!((seen.samples[0], seen.samples[2], seen.samples[3]), ((0, 1, 1.0), (0, 3, f64::INFINITY), (1, 7, 0.5)));
    assert!(seen.samples[1].2.is_nan(), "null is how NaN is written");
    let lame = r#"{"metric":{"__name__":"up"},"values":[1],"timestamps":[]}"#;
    assert!(matches!(read(lame), Err(ReadError::Malformed { .. })));
}

#[test]
fn answers_are_read_one_after_another_for_whom_they_answer() {
    let page = |at: u32| {
        format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"pod":"a"}},"values":[[{at},"1.5"]]}}]}}}}"#
        )
    };
    let text = format!("{}\n{}", page(60), page(120));
    let (format, seen) = read_as(text.as_bytes(), Some("cpu")).expect("read");
    assert_eq!(format, Format::QueryRange);
    assert_eq!(seen.series, [(Some("cpu".to_owned()), labels(&[("pod", "a")]))]);
    assert_eq!(seen.samples, [(0, 60_000, 1.5), (0, 120_000, 1.5)]);
    assert_eq!(read(&text).expect("read").1.series[0].0, None, "without a name they are raw");
    for (answer, part) in [
        (r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#, "parse error"),
        (r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#, "ask query_range"),
        (r#"{"status":"success"}"#, "isn't a query_range answer"),
        (
            r#"{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":["store 2 is down"]}"#,
            "store 2",
        ),
        (r#"{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[]}}"#, "partial"),
    ] {
        let error = read(answer).expect_err("no matrix").to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_wide_table_is_a_column_a_feature() {
    let text = "timestamp,subject,cpu,memory,label\n1700000000,shop/deployment/cart,0.5,,1\n2023-11-14T22:14:20Z,\"a,b\",1,2,0\n";
    let (format, seen) = read(text).expect("read");
    assert_eq!(format, Format::Csv);
    let named = |feature: &str, subject: &str| (Some(feature.to_owned()), labels(&[("subject", subject)]));
    let cart = "shop/deployment/cart";
    assert_eq!(
        seen.series,
        [named("cpu", cart), named("memory", cart), named("cpu", "a,b"), named("memory", "a,b")],
        "what really happened is no feature"
    );
    assert!(seen.samples[1].2.is_nan(), "an empty cell is a gap");
    assert_eq!(seen.samples[2..], [(2, 1_700_000_060_000, 1.0), (3, 1_700_000_060_000, 2.0)]);
}

#[test]
fn a_long_table_is_a_row_a_sample() {
    let raw = "time,__name__,job,value\n1700000000,up,shop,1\n1700000060,up,shop,0\n";
    let (_, seen) = read(raw).expect("read");
    assert_eq!(seen.series, [(None, labels(&[("__name__", "up"), ("job", "shop")]))]);
    assert_eq!(seen.samples.len(), 2);
    let features = "time,feature,workload,value\n1700000000,cpu,cart,1\n";
    let (_, seen) = read(features).expect("read");
    assert_eq!(seen.series, [(Some("cpu".to_owned()), labels(&[("workload", "cart")]))]);
}

#[test]
fn packing_is_seen_by_its_first_bytes() {
    let plain = read(OPEN_METRICS).expect("read").1;
    let twice: Vec<u8> = {
        let half = OPEN_METRICS.len() / 2;
        [zstandard(&OPEN_METRICS.as_bytes()[..half]), zstandard(&OPEN_METRICS.as_bytes()[half..])].concat()
    };
    for packed in [gzipped(OPEN_METRICS.as_bytes()), zstandard(OPEN_METRICS.as_bytes()), twice] {
        let (format, seen) = read_as(&packed, None).expect("read");
        assert_eq!((format, seen.series), (Format::OpenMetrics, plain.series.clone()));
        assert_eq!(seen.samples.len(), plain.samples.len());
    }
}

#[test]
fn a_file_that_was_cut_is_said_to_be_cut() {
    let whole: String =
        (0..2000).map(|idx| format!("up 1 {}.5\n", 1_700_000_000 + idx)).collect::<String>() + "# EOF\n";
    let table: String = "time,cpu\n".to_owned() + &(0..2000).map(|idx| format!("{idx},0.{idx}\n")).collect::<String>();
    let dump: String = (0..2000).map(|idx| format!("{{__name__=\"up\"}} 1 {idx}\n")).collect();
    let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[60,"1"]]}]}}"#;
    let cut = |bytes: &[u8]| bytes[..bytes.len() - bytes.len() / 3].to_vec();
    for packed in [
        cut(&gzipped(whole.as_bytes())),
        cut(&zstandard(whole.as_bytes())),
        cut(&gzipped(table.as_bytes())),
        cut(&zstandard(table.as_bytes())),
        cut(whole.as_bytes()),
        dump.as_bytes()[..dump.len() - 3].to_vec(),
        cut(answer.as_bytes()),
        answer.as_bytes()[..answer.len() - 1].to_vec(),
        br#"{"metric":{"__name__":"up"},"values":[1,2],"timest"#.to_vec(),
    ] {
        let error = read_as(&packed, None).expect_err("cut");
        assert!(matches!(error, ReadError::CutShort { .. }), "{error:?}");
    }
}

#[test]
fn a_wrong_byte_in_a_packing_is_never_a_wrong_number() {
    for pack in [gzipped, zstandard] {
        let text: String =
            "time,cpu\n".to_owned() + &(0..500).map(|idx| format!("{idx},0.{idx}\n")).collect::<String>();
        let mut packed = pack(text.as_bytes());
        let middle = packed.len() / 2;
        packed[middle] ^= 0x10;
        assert!(read_as(&packed, None).is_err());
    }
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    for bytes in [&b""[..], b" \n\n", &gzipped(b""), &zstandard(b"\n"), b"time,cpu\n"] {
        assert!(matches!(read_as(bytes, None), Err(ReadError::Empty)), "{bytes:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, line, part) in [
        ("# TYPE up gauge\nup 1\n# EOF\n", 2, "no timestamp"),
        ("# TYPE up gauge\nup 1 1700000000000\n# EOF\n", 2, "milliseconds"),
        ("# TYPE up gauge\nup x 1\n# EOF\n", 2, "isn't a number"),
        ("# TYPE up gauge\nup{a=1} 1 1\n# EOF\n", 2, "no quoted value"),
        ("up 1 1\n# EOF\nup 1 2\n", 3, "after # EOF"),
        ("{__name__=\"up\"} 1 1\n{__name__=\"up\" 1 1\n", 2, "labels in braces"),
        ("{__name__=\"up\"} 1 1.5\n", 1, "isn't a number of milliseconds"),
        ("time,cpu\n1,2\n2,3,4\n", 3, "3 cells, the header has 2"),
        ("time,cpu\n1,2\nx,3\n", 3, "invalid timestamp"),
        ("time,cpu\n1,2\n2,much\n", 3, "\"much\" isn't a number"),
        ("time,cpu,cpu\n1,2,3\n", 1, "two columns"),
        ("time,pod\n1,a\n", 1, "no feature column"),
        ("time,cpu\n1,2\n2,\"3\n", 3, "no closing quote"),
    ] {
        match read(text) {
            Err(ReadError::Malformed { line: found, why }) => {
                assert!(found == line && why.contains(part), "{text:?}: line {found}: {why}");
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }
}

#[test]
fn what_sinks_refuse_ends_the_reading() {
    struct Full;
    impl SampleSink for Full {
        fn series(&mut self, _: What<'_>, _: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
            Err(ReadError::TooMuch { what: "series", limit: 0 })
        }
        fn sample(&mut self, _: SeriesIdx, _: Sample) -> Result<(), ReadError> {
            Ok(())
        }
    }
    let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[60,"1"]]}]}}"#;
    for text in [OPEN_METRICS, answer, "time,cpu\n1,2\n"] {
        let read = read_samples(Cursor::new(text.as_bytes().to_vec()), &ReadOptions::default(), &mut Full);
        assert!(matches!(read, Err(ReadError::TooMuch { .. })), "{read:?}");
    }
}

/// The same series in every format.
fn written(series: &[(Labels, Vec<(i64, f64)>)]) -> [String; 5] {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let mut texts: [String; 5] = Default::default();
    texts[3].push_str("time,__name__,job,value\n");
    texts[4].push_str(r#"{"status":"success","data":{"resultType":"matrix","result":["#);
    for (idx, (labels, samples)) in series.iter().enumerate() {
        let (name, job) = (&labels["__name__"], &labels["job"]);
        for (at, value) in samples {
            let secs = *at as f64 / 1000.0;
            texts[0].push_str(&format!("{name}{{job=\"{}\"}} {value} {secs}\n", escaped(job)));
            texts[1].push_str(&format!("{{__name__=\"{name}\", job=\"{}\"}} {value} {at}\n", escaped(job)));
            texts[3].push_str(&format!("{secs},{name},\"{}\",{value}\n", job.replace('"', "\"\"")));
        }
        let metric = serde_json::to_string(labels).expect("JSON");
        let values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
        let stamps: Vec<i64> = samples.iter().map(|(at, _)| *at).collect();
        texts[2].push_str(&format!("{{\"metric\":{metric},\"values\":{values:?},\"timestamps\":{stamps:?}}}\n"));
        let pairs: Vec<String> =
            samples.iter().map(|(at, value)| format!("[{},\"{value}\"]", *at as f64 / 1000.0)).collect();
        let comma = if idx == 0 { "" } else { "," };
        texts[4].push_str(&format!("{comma}{{\"metric\":{metric},\"values\":[{}]}}", pairs.join(",")));
    }
    texts[0].push_str("# EOF\n");
    texts[4].push_str("]}}");
    texts
}

fn any_series() -> impl Strategy<Value = Vec<(Labels, Vec<(i64, f64)>)>> {
    let samples = prop::collection::btree_map(0_i64..4_000_000_000_000, -1e300_f64..1e300, 1..20);
    prop::collection::btree_map(("[a-z_:][a-z0-9_:]{0,8}", "[ -~äß€]{1,12}"), samples, 1..6).prop_map(|series| {
        let one = |((name, job), samples): ((String, String), std::collections::BTreeMap<i64, f64>)| {
            (labels(&[("__name__", &name), ("job", job.trim_start().trim_end())]), samples.into_iter().collect())
        };
        let all: Vec<(Labels, Vec<(i64, f64)>)> = series.into_iter().map(one).collect();
        // A label of blanks alone would be empty, which is no label; and two jobs may become one.
        let mut kept: Vec<(Labels, Vec<(i64, f64)>)> = Vec::new();
        for (labels, samples) in all {
            if !labels["job"].is_empty() && kept.iter().all(|(known, _)| *known != labels) {
                kept.push((labels, samples));
            }
        }
        kept
    })
}

proptest! {
    #[test]
    fn every_format_gives_the_same_samples_bit_for_bit(series in any_series()) {
        prop_assume!(!series.is_empty());
        let mut wanted = Vec::new();
        for (labels, samples) in &series {
            wanted.extend(samples.iter().map(|(at, value)| (labels.clone(), *at, value.to_bits())));
        }
        for text in written(&series) {
            let (format, seen) = read(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            let found: Vec<_> = seen
                .samples
                .iter()
                .map(|(idx, at, value)| (seen.series[*idx].1.clone(), *at, value.to_bits()))
                .collect();
            prop_assert_eq!(&found, &wanted, "{} {}", format, text);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), format in 0_usize..5) {
        let options = ReadOptions { format: Some(Format::ALL[format]), feature: None };
        let _ = read_samples(Cursor::new(bytes), &options, &mut Seen::default());
    }

    #[test]
    fn no_change_to_a_good_file_makes_a_reader_panic(at in 0_usize..170, byte in any::<u8>()) {
        for text in written(&[(up_of("a"), vec![(60_000, 1.0), (120_000, 2.0)]), (up_of("b"), vec![(60_000, 3.0)])]) {
            let mut bytes = text.into_bytes();
            let idx = at % bytes.len();
            bytes[idx] = byte;
            let _ = read_as(&bytes, None);
        }
    }
}

fn up_of(job: &str) -> Labels {
    labels(&[("__name__", "up"), ("job", job)])
}

/// What a file says beside its samples.
#[derive(Default)]
struct Noted {
    seen: Seen,
    notes: Vec<String>,
}

impl SampleSink for Noted {
    fn series(&mut self, what: What<'_>, labels: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
        self.seen.series(what, labels)
    }

    fn sample(&mut self, series: SeriesIdx, sample: Sample) -> Result<(), ReadError> {
        self.seen.sample(series, sample)
    }

    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }
}

fn noted(bytes: &[u8]) -> Result<Noted, ReadError> {
    let mut noted = Noted::default();
    let options = ReadOptions { feature: Some("queue".into()), ..ReadOptions::default() };
    read_samples(Cursor::new(bytes.to_vec()), &options, &mut noted)?;
    Ok(noted)
}

fn features(seen: &Seen) -> Vec<&str> {
    seen.series.iter().filter_map(|(feature, _)| feature.as_deref()).collect()
}

#[test]
fn a_text_among_numbers_is_named_by_line_and_column_wherever_it_stands() {
    for (text, line) in [
        ("time,cpu,mem\n60,1,oops\n120,1,300\n180,1,301\n", "line 2: column mem"),
        ("time,cpu,mem\n60,1,300\n120,1,oops\n180,1,301\n", "line 3: column mem"),
        ("time,cpu,mem\n60,1,1.2.3\n120,1,300\n", "line 2: column mem: \"1.2.3\" isn't a number"),
    ] {
        let error = noted(text.as_bytes()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(line), "{text}: {error}");
    }
    let gap = noted(b"time,cpu,mem\n60,1,N/A\n120,1,300\n").expect("N/A is a gap");
    assert_eq!(features(&gap.seen), ["cpu", "mem"]);
    let label = noted(b"time,zone,cpu\n60,eu,1\n120,us,2\n").expect("a label");
    assert_eq!(features(&label.seen), ["cpu", "cpu"]);
    assert!(label.notes[0].contains("column zone holds text (line 2: \"eu\")"), "{:?}", label.notes);
}

#[test]
fn tables_of_other_programs_are_read_as_they_are() {
    let wanted = [(0, 60_000, 1.5), (1, 60_000, 300.0), (0, 120_000, 2.5), (1, 120_000, 301.0)];
    let utf16: Vec<u8> =
        "\u{feff}time\tcpu\tmem\n60\t1.5\t300\n120\t2.5\t301\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [
        b"time;cpu;mem\n60;1,5;300\n120;2,5;301\n".to_vec(),
        b"\xef\xbb\xbftime,cpu,mem\r\n60,1.5,300 B\r\n120,2.5,301 B\r\n".to_vec(),
        b",time,cpu,mem\n0,60,1.5,300\n1,120,2.5,301\n".to_vec(),
        b"Unnamed: 0,time,cpu,mem\n0,60,1500ms,300\n1,120,2.5,301\n".to_vec(),
        utf16,
    ] {
        let noted = noted(&bytes).unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(&bytes)));
        assert_eq!(features(&noted.seen), ["cpu", "mem"], "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(noted.seen.samples, wanted, "{}", String::from_utf8_lossy(&bytes));
    }
    let units = noted(b"time,cpu,mem\n60,1,12.5 MiB\n120,2,1 GiB\n").expect("units");
    assert_eq!(units.seen.samples[1].2, 13_107_200.0);
    assert!(units.notes[0].contains("column mem has units (MiB)"), "{:?}", units.notes);
}

#[test]
fn an_answer_says_what_of_it_cannot_be_used_and_only_missing_data_refuses_it() {
    let answer = |notes: &str, result: &str| {
        format!(
            "\u{feff}{{\"status\":\"success\",{notes}\"data\":{{\"resultType\":\"matrix\",\"result\":[{result}]}}}}"
        )
    };
    let series = r#"{"metric":{"pod":"a"},"values":[[60,"1.5"]]}"#;
    let annotated = answer(r#""warnings":["PromQL info: metric might not be a counter"],"infos":["x"],"#, series);
    let noted_one = noted(annotated.as_bytes()).expect("whole, with a mark at its beginning");
    assert_eq!(noted_one.seen.samples.len(), 1);
    assert!(noted_one.notes[0].contains("might not be a counter") && noted_one.notes.len() == 2);
    let partial = answer(r#""warnings":["store 2 is down"],"#, series);
    assert!(noted(partial.as_bytes()).is_err());
    let native = answer(
        "",
        r#"{"metric":{"pod":"a"},"histograms":[[60,{"count":"1","sum":"2"}],[120,{"count":"1","sum":"2"}]]}"#,
    );
    let noted_native = noted(native.as_bytes()).expect("read");
    assert!(noted_native.notes[0].contains("2 native histograms of queue"), "{:?}", noted_native.notes);
    assert!(noted_native.notes[0].contains("histogram_quantile()"));
    let dump = b"{__name__=\"lat\"} {count:5, sum:18.4, (0.5,1]:2} 1700000000000\n";
    assert!(noted(dump).expect("read").notes[0].contains("1 native histograms"));
}

#[test]
fn a_header_of_a_million_names_is_refused_at_once() {
    let names: Vec<String> = (0..1_000_000).map(|idx| format!("c{idx}")).collect();
    let began = std::time::Instant::now();
    let text = format!("time,{}\n60,1\n", names.join(","));
    assert!(noted(text.as_bytes()).is_err());
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}
