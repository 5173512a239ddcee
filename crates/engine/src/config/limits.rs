//! `limits`: how much the process may take. Each says what it costs, so that it can be set to what there is.

use homeostat_settings::Reader;

/// How much may be watched and held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Workloads watched at most. What one costs `homeostat check config` says; of eight features it is some 100 KiB.
    pub(crate) workloads_max: usize,
    /// Bytes of one answer of Prometheus at most. Twice as much is held for each request under way
    /// (`datasources[].concurrency_max`): the text and the samples in it.
    pub(crate) answer_bytes: usize,
}

/// Ten thousand workloads are twice the largest clusters that Kubernetes is tested with.
const WORKLOADS_DEFAULT: u32 = 10_000;
/// The range that is accepted; a hundred thousand workloads take some 10 GiB.
const WORKLOADS_MAX: u32 = 100_000;
/// 32 MiB hold a million samples: with two requests under way that is 128 MiB at most.
const ANSWER_MIB_DEFAULT: u32 = 32;
/// More would only make the peak larger: longer ranges are asked for in pages.
const ANSWER_MIB_MAX: u32 = 512;

impl Default for Limits {
    fn default() -> Self {
        Self { workloads_max: WORKLOADS_DEFAULT as usize, answer_bytes: (ANSWER_MIB_DEFAULT as usize) << 20 }
    }
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let workloads_max = reader.count("workloads_max", 1..=WORKLOADS_MAX).unwrap_or(WORKLOADS_DEFAULT);
        let answer_mib = reader.count("answer_mib", 1..=ANSWER_MIB_MAX).unwrap_or(ANSWER_MIB_DEFAULT);
        Self { workloads_max: workloads_max as usize, answer_bytes: (answer_mib as usize) << 20 }
    }
}
