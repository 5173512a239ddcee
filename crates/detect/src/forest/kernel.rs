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

/// Rows that kernels but the widest take at once. Their keys stay in the first-level cache (10 KiB at 40 columns) while all
/// trees pass by.
const BLOCK_ROWS: usize = 64;

/// Rows that any kernel takes at once at most.
const BLOCK_ROWS_MAX: usize = 128;

/// Rows in the lanes of the widest vectors.
#[cfg(target_arch = "x86_64")]
const LANES: usize = 16;

/// The keys of one column of as many rows, in one line of cache: a vector that reaches into two lines is loaded twice, and
/// scoring takes a tenth longer.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Line([u32; LANES]);

/// How an isolation forest's trees are walked. The scores are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Eight rows interleaved; any processor.
    Portable,
    /// Eight rows in a vector's lanes, x86-64 processors since 2013.
    Avx2,
    /// Sixteen rows in a vector's lanes, nodes looked up in registers; x86-64 processors with VBMI2 (Intel since 2019, AMD
    /// since 2022). Those with less of AVX-512 take [`Kernel::Avx2`].
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
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vbmi2")
            }
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
    /// These keys as the widest kernel loads them.
    #[cfg(target_arch = "x86_64")]
    lines: Vec<Line>,
}

/// What a kernel found out of a block.
pub(super) struct BlockSums {
    /// Each row's path lengths, summed over the trees. Of rows with gaps: nothing of meaning.
    pub(super) path_sums: [u32; BLOCK_ROWS_MAX],
    /// Bit `i` for row `i`: it has gaps.
    pub(super) gaps: u128,
}

impl Workbench {
    /// `None` if this machine can't run the kernel.
    pub(super) fn new(kernel: Kernel) -> Option<Self> {
        kernel.is_available().then(|| Self::of(kernel))
    }

    pub(super) fn fastest() -> Self {
        Self::new(Kernel::fastest()).unwrap_or_else(|| Self::of(Kernel::Portable))
    }

    /// The caller has seen that this machine can run the kernel.
    fn of(kernel: Kernel) -> Self {
        Self {
            kernel,
            row: Vec::new(),
            keys: Vec::new(),
            #[cfg(target_arch = "x86_64")]
            lines: Vec::new(),
        }
    }

    pub(super) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Rows that [`Workbench::block`] takes at once.
    pub(super) fn block_rows(&self) -> usize {
        match self.kernel {
            Kernel::Portable | Kernel::Avx2 => BLOCK_ROWS,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => avx512::BLOCK_ROWS,
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx512 => BLOCK_ROWS,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        let lines = self.lines.capacity() * size_of::<Line>();
        #[cfg(not(target_arch = "x86_64"))]
        let lines = 0;
        (self.row.capacity() + self.keys.capacity()) * size_of::<u32>() + lines
    }

    /// The path sums of up to [`Workbench::block_rows`] rows, in standard layout. `keying` must be that of the trees; `next`
    /// is what will be asked for after them, if that is known.
    #[allow(unsafe_code, reason = "the call of a kernel for this processor")]
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "only vector kernels look ahead"))]
    pub(super) fn block(
        &mut self,
        trees: &Trees<'_>,
        keying: &Keying,
        rows: ArrayView2<'_, f64>,
        next: &[f64],
    ) -> BlockSums {
        match self.kernel {
            Kernel::Portable => portable::block(trees, keying, rows, &mut self.keys),
            // Safety: `Workbench::new` has seen that this processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { avx2::block(trees, keying, rows, next, &mut self.row, &mut self.keys) },
            // Safety: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { avx512::block(trees, keying, rows, next, &mut self.lines) },
            // Never made: `is_available` says no.
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 | Kernel::Avx512 => portable::block(trees, keying, rows, &mut self.keys),
        }
    }

    /// Writes the keys of a row; says whether there are gaps.
    #[allow(unsafe_code, reason = "the call of code for this processor")]
    pub(super) fn fill(&self, keying: &Keying, row: &[f64], keys: &mut [u32]) -> bool {
        match self.kernel {
            Kernel::Portable => keying.fill(row, keys),
            // Safety: `Workbench::new` has seen that this processor has AVX2, which AVX-512 includes.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 | Kernel::Avx512 => unsafe { avx2::fill(keying, row, keys) },
            // Never made: `is_available` says no.
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 | Kernel::Avx512 => keying.fill(row, keys),
        }
    }

    /// The path sum of one row; `None` if it has gaps. The same portable code with every kernel: with the trees of one row
    /// in lanes nothing is left to look up in registers, and plain loads are as fast as gathers.
    pub(super) fn row(&mut self, trees: &Trees<'_>, keying: &Keying, row: &[f64]) -> Option<u32> {
        let mut keys = std::mem::take(&mut self.row);
        keys.resize(portable::padded(keying.n_columns()), 0);
        let has_gaps = self.fill(keying, row, &mut keys);
        let path_sum = if has_gaps { None } else { Some(portable::row(trees, &keys)) };
        self.row = keys;
        path_sum
    }
}

/// Trees walked between two looks ahead.
#[cfg(target_arch = "x86_64")]
const TREES_A_TURN: usize = 10;

/// Asks for the `turn`th of `n_turns` parts of the rows that are scored next, so that they come nearer while trees are walked:
/// no processor foresees which are next. Within a kernel's innermost loop it would keep the compiler from interleaving what
/// hides latency.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "a hint to the processor")]
fn look_ahead(next: &[f64], turn: usize, n_turns: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    /// Values of a line of cache.
    const VALUES_A_LINE: usize = 8;
    let n = next.len().div_ceil(n_turns.max(1)).next_multiple_of(VALUES_A_LINE);
    for line in next.iter().skip(turn * n).take(n).step_by(VALUES_A_LINE) {
        // Safety: every x86-64 processor has the instruction, and it reads nothing that a program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast()) };
    }
}

/// Writes the keys of rows in the order vectors load them, `[group of LANES rows][column][lane]`, and says which have
/// gaps. Inlined into each kernel, to be compiled for its processor.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fill_in_lanes<const LANES: usize>(
    keying: &Keying,
    rows: ArrayView2<'_, f64>,
    row_keys: &mut Vec<u32>,
    keys: &mut Vec<u32>,
) -> u128 {
    let n_columns = keying.n_columns();
    // Lanes without a row keep what was there before: any keys do.
    row_keys.resize(n_columns, 0);
    keys.resize(BLOCK_ROWS * n_columns, 0);
    let mut gaps = 0;
    for (row_idx, row) in rows.rows().into_iter().enumerate().take(BLOCK_ROWS) {
        let Some(row) = row.to_slice() else { continue };
        gaps |= u128::from(keying.fill(row, row_keys)) << row_idx;
        let group = &mut keys[row_idx / LANES * LANES * n_columns..];
        for (places, key) in group.chunks_exact_mut(LANES).zip(row_keys.iter()) {
            places[row_idx % LANES] = *key;
        }
    }
    gaps
}
