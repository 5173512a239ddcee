//! Decoding: no bytes make it panic, and no answer gets past its limits.

#![no_main]

use homeostat_ingest::{DecodeLimits, decode_matrix, decode_pages};
use libfuzzer_sys::fuzz_target;

const LIMITS: DecodeLimits = DecodeLimits { series_max: 4, samples_max: 8 };

/// What comes before and after the values of an answer, so that most inputs reach the samples.
const FRAME: (&str, &str) = (
    r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"a"},"values":["#,
    "]}]}}",
);

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&[FRAME.0.as_bytes(), bytes, FRAME.1.as_bytes()].concat());
});

fn check(bytes: &[u8]) {
    if let Ok(matrix) = decode_matrix(bytes, &LIMITS) {
        assert!(matrix.series().len() <= LIMITS.series_max && matrix.n_samples() <= LIMITS.samples_max);
        for series in matrix.series() {
            assert!(series.samples().windows(2).all(|pair| pair[0].at < pair[1].at));
            assert!(series.samples().iter().all(|sample| sample.value.is_finite()));
        }
        assert_eq!(decode_pages(bytes, &LIMITS), Ok(matrix), "one answer is a page");
    }
    // Several pages: the limits hold for each.
    drop(decode_pages(bytes, &LIMITS));
}
