//! The forest's own generator: fast, eight bytes of state.

use homeostat_core::Seed;
use serde::{Deserialize, Serialize};

/// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
///
/// Written out, because its numbers are part of what a seed means: another version of a library must not change forests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: Seed) -> Self {
        Self(seed.value())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly in `0..n`; `n` must not be 0. By multiplication (Lemire 2019) without its rejection step: the bias is
    /// `n / 2^64`, nothing at the sizes here.
    pub(super) fn below(&mut self, n: usize) -> usize {
        debug_assert!(n > 0);
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Evenly in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
