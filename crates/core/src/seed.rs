//! Where randomness comes from.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A source of randomness that is passed in, never drawn from the machine.
///
/// Seeds fork by name: `seed.fork("forest")` doesn't change when another part draws once more, so adding
/// a detector never moves another's numbers.
///
/// ```
/// use homeostat_core::Seed;
///
/// let seed = Seed::new(7);
/// assert_eq!(seed.fork("forest"), seed.fork("forest"));
/// assert_ne!(seed.fork("forest"), seed.fork("dbscan"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seed(u64);

impl Seed {
    /// A seed from a number a person can write down.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// An independent seed for the part with this name.
    pub fn fork(self, name: &str) -> Self {
        // FNV-1a over the name, then splitmix64's finaliser over both: cheap, and every bit reaches every bit.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(mix(self.0 ^ mix(hash)))
    }

    /// A generator that gives the same numbers on every machine (ChaCha with 8 rounds).
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }
}

/// splitmix64's output function (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    #[test]
    fn forks_differ_by_name_and_repeat() {
        let seed = Seed::new(7);
        assert_ne!(seed.fork("forest"), seed.fork("dbscan"));
        assert_eq!(seed.fork("forest").rng().next_u64(), seed.fork("forest").rng().next_u64());
        assert_ne!(seed.fork("a").fork("b"), seed.fork("b").fork("a"));
    }
}
