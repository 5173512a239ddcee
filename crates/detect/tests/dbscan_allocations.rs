//! Scoring a row with DBSCAN's novelty detector allocates nothing, once it has scored one.

#![expect(unsafe_code, reason = "counting allocations takes an allocator of our own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, Schema, Scoring, Seed, Signal, Subject, Timestamp, Window};
use homeostat_detect::{Dbscan, DbscanSpec, Detector, Enriched, Enricher, Scaler};
use ndarray::Array2;

struct Counting;

thread_local! {
    static N_ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches only a thread's own cell, which
// needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        N_ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and the block came from `System`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        N_ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `realloc`'s contract, and the block came from `System`.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(work: impl FnOnce()) -> usize {
    let before = N_ALLOCATIONS.with(Cell::get);
    work();
    N_ALLOCATIONS.with(Cell::get) - before
}

const STEP: Duration = Duration::from_secs(60);

#[test]
fn a_row_is_scored_without_an_allocation_with_and_without_holes() {
    let feature = |idx: usize| Feature {
        name: format!("feature-{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    let schema = Schema::new((0..5).map(feature).collect()).expect("a schema");
    let grid = Grid::new(Timestamp::from_secs(0), STEP, 500).expect("a grid");
    let values = Array2::from_shape_fn((500, 5), |(row, column)| ((row * (7 + column)) as f64).sin());
    let window = Window::new(Subject::deployment("shop", "cart"), grid, Arc::new(schema), values).expect("a window");
    let scaler = Scaler::fit(&window);
    let enriched = Enriched::new(&window, &scaler);
    let mut dbscan = Dbscan::train(&DbscanSpec::default(), &enriched, Seed::new(1)).expect("a model");
    let mut enricher = Enricher::new(scaler, STEP);
    for step_idx in 0..64 {
        enricher.push(grid.at(step_idx), window.row(step_idx).iter().copied());
    }
    dbscan.score(enricher.trail()).expect("warm");
    let n_allocations = counted(|| {
        assert!(matches!(dbscan.score(enricher.trail()), Ok(Scoring::Scored(_))));
    });
    assert_eq!(n_allocations, 0);
    enricher.push(grid.at(64), [f64::NAN, 0.0, 1.0, 0.5, 1e300].into_iter());
    let n_allocations = counted(|| {
        assert!(matches!(dbscan.score(enricher.trail()), Ok(Scoring::Scored(_))));
    });
    assert_eq!(n_allocations, 0);
}
