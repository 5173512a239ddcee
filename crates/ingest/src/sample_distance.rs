//! How far samples are apart.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::matrix::Sample;

/// How often each distance of neighbours occurs.
pub(crate) fn distances<'a>(series: impl Iterator<Item = &'a [Sample]>) -> BTreeMap<Duration, usize> {
    let mut counts: BTreeMap<Duration, usize> = BTreeMap::new();
    for samples in series {
        for pair in samples.windows(2) {
            *counts.entry(pair[1].at.since(pair[0].at)).or_default() += 1;
        }
    }
    counts
}

/// Neighbours that are needed to tell another step from samples that are merely few.
const NEIGHBOURS_MIN: usize = 4;

/// The step that samples have, if it is plainly another than `step`: no two are one `step` apart, and most are equally far.
pub(crate) fn other_step<'a>(series: impl Iterator<Item = &'a [Sample]>, step: Duration) -> Option<Duration> {
    let counts = distances(series);
    let n_all: usize = counts.values().sum();
    let (usual, n_usual) = counts.iter().rev().max_by_key(|(_, n)| **n)?;
    (!counts.contains_key(&step) && n_all >= NEIGHBOURS_MIN && 2 * n_usual > n_all).then_some(*usual)
}
