//! Which code walks the trees: one portable kernel, and faster ones for processors that have the instructions.
//!
//! All give the same path sums, bit for bit: they compare integers and add integers.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use ndarray::ArrayView2;

use super::keys::Keying;
use super::tree::Trees;

/// Rows a kernel takes at once. Their keys stay in the first-level cache (10 KiB at 40 columns) while all trees pass by,
/// and four vectors of sixteen rows hide each other's latency.
pub(super) const BLOCK_ROWS: usize = 64;

/// How an isolation forest's trees are walked. The scores are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Eight rows interleaved; any processor.
    Portable,
    /// Eight rows in a vector's lanes, x86-64 processors since 2013.
    Avx2,
    /// Sixteen rows in a vector's lanes, nodes looked up in registers.
    Avx512,
}

impl Kernel {
    /// Those this machine can run, the fastest last.
    pub fn available() -> Vec<Self> {
        [Self::Portable, Self::Avx2, Self::Avx512].into_iter().filter(|kernel| kernel.is_available()).collect()
    }

    /// The fastest this machine can run.
    pub fn fastest() -> Self {
        [Self::Avx512, Self::Avx2].into_iter().find(|kernel| kernel.is_available()).unwrap_or(Self::Portable)
    }

    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Asked of the processor once; the standard library remembers the answer.
    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Avx512 => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Self::Portable
    }
}

/// A kernel that this machine has been seen to run, and what it writes to.
#[derive(Clone, Debug)]
pub(super) struct Workbench {
    /// Private: only [`Workbench::new`] sets it, after asking the processor.
    kernel: Kernel,
    /// A row in the making, and the keys of a block in the kernel's own order.
    row: Vec<u32>,
    keys: Vec<u32>,
}

/// What a kernel found out of a block.
pub(super) struct BlockSums {
    /// Each row's path lengths, summed over the trees. Of rows with holes: nothing of meaning.
    pub(super) path_sums: [u32; BLOCK_ROWS],
    /// Bit `i` for row `i`: it has holes.
    pub(super) holes: u64,
}

impl Workbench {
    /// `None` if this machine can't run the kernel.
    pub(super) fn new(kernel: Kernel) -> Option<Self> {
        kernel.is_available().then(|| Self { kernel, row: Vec::new(), keys: Vec::new() })
    }

    pub(super) fn fastest() -> Self {
        Self::new(Kernel::fastest()).unwrap_or(Self { kernel: Kernel::Portable, row: Vec::new(), keys: Vec::new() })
    }

    pub(super) fn kernel(&self) -> Kernel {
        self.kernel
    }

    pub(super) fn memory_bytes(&self) -> usize {
        (self.row.capacity() + self.keys.capacity()) * size_of::<u32>()
    }

    /// The path sums of up to [`BLOCK_ROWS`] rows, in standard layout. `keying` must be that of the trees.
    #[allow(unsafe_code, reason = "the call of a kernel for this processor")]
    pub(super) fn block(&mut self, trees: &Trees<'_>, keying: &Keying, rows: ArrayView2<'_, f64>) -> BlockSums {
        match self.kernel {
            Kernel::Portable => portable::block(trees, keying, rows, &mut self.keys),
            // Safety: `Workbench::new` has seen that this processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { avx2::block(trees, keying, rows, &mut self.row, &mut self.keys) },
            // Safety: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { avx512::block(trees, keying, rows, &mut self.row, &mut self.keys) },
            // Never made: `is_available` says no.
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 | Kernel::Avx512 => portable::block(trees, keying, rows, &mut self.keys),
        }
    }

    /// The path sum of one row; `None` if it has holes. The same portable code with every kernel: with the trees of one row
    /// in lanes nothing is left to look up in registers, and plain loads are as fast as gathers.
    pub(super) fn row(&mut self, trees: &Trees<'_>, keying: &Keying, row: &[f64]) -> Option<u32> {
        portable::row(trees, keying, row, &mut self.row)
    }
}

/// Writes the keys of rows in the order vectors load them, `[group of LANES rows][column][lane]`, and says which have
/// holes. Inlined into each kernel, to be compiled for its processor.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fill_in_lanes<const LANES: usize>(
    keying: &Keying,
    rows: ArrayView2<'_, f64>,
    row_keys: &mut Vec<u32>,
    keys: &mut Vec<u32>,
) -> u64 {
    let n_columns = keying.n_columns();
    // Lanes without a row keep what was there before: any keys do.
    row_keys.resize(n_columns, 0);
    keys.resize(BLOCK_ROWS * n_columns, 0);
    let mut holes = 0;
    for (row_idx, row) in rows.rows().into_iter().enumerate().take(BLOCK_ROWS) {
        let Some(row) = row.to_slice() else { continue };
        holes |= u64::from(keying.fill(row, row_keys)) << row_idx;
        let group = &mut keys[row_idx / LANES * LANES * n_columns..];
        for (places, key) in group.chunks_exact_mut(LANES).zip(row_keys.iter()) {
            places[row_idx % LANES] = *key;
        }
    }
    holes
}
