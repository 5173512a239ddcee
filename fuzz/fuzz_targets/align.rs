//! Aligning: whatever series come, no window has a value that was not measured, and none is lost without being counted.

#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use homeostat_core::{Grid, Timestamp};
use homeostat_ingest::{OnMissing, Aggregation, Dropped, Labels, Matrix, Query, QuerySet, Sample, Series, SubjectRule, align};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    start: i64,
    step_ms: u32,
    n_steps: u8,
    aggregation: u8,
    zero: bool,
    warned: bool,
    series: Vec<(u8, Vec<(i64, f64)>)>,
}

fuzz_target!(|input: Input| {
    let step = Duration::from_millis(u64::from(input.step_ms));
    let Ok(grid) = Grid::new(Timestamp::from_millis(input.start).align_down(step), step, usize::from(input.n_steps)) else {
        return;
    };
    let query = Query {
        name: "q".into(),
        expr: "q".into(),
        signal: homeostat_core::Signal::Other,
        direction: homeostat_core::Direction::Both,
        deviation_min: 0.0,
        aggregation: [Aggregation::Max, Aggregation::Sum, Aggregation::Mean][usize::from(input.aggregation % 3)],
        on_missing: if input.zero { OnMissing::Zero } else { OnMissing::Gap },
        limit: None,
    };
    let queries = QuerySet::new(vec![query]).expect("one query is a set");
    let series = input.series.into_iter().map(|(workload, points)| {
        let labels: Labels = [("namespace", "shop".to_owned()), ("workload", format!("w{}", workload % 3))]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        let samples = points.into_iter().map(|(ms, value)| Sample { at: Timestamp::from_millis(ms), value }).collect();
        Series::new(labels, samples).0
    });
    let warnings = if input.warned { vec!["w".to_owned()] } else { vec![] };
    let matrix = Matrix::new(series.collect(), Dropped::default()).with_notes(warnings, vec![]);
    let n_samples = matrix.n_samples();
    let aligned = align(&queries, &[Some(matrix)], &SubjectRule::default(), &grid);
    assert!(aligned.windows.len() <= 3);
    for window in &aligned.windows {
        assert_eq!(window.values().dim(), (grid.n_steps(), 1));
        assert!(window.n_present() <= n_samples, "a value from nowhere");
    }
});
