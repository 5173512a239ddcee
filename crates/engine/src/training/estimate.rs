//! What a training will take, told before it: the time by fitting a few subjects here and now, the memory and the size of the
//! bundle by what these take.

use std::time::{Duration, Instant};

use homeostat_detect::{Ensemble, Saver, SharedModels, TrainError};

use super::work::Work;
use super::{cores, on_all_cores};

/// Subjects fitted for each core, of those that share models and of those that don't: of fewer, the first one's cold caches
/// would be most of what is measured.
const SAMPLE_OF_CORE: usize = 3;

/// What was measured on the sample, for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Estimate {
    /// Subjects fitted.
    pub(crate) n_sample: usize,
    /// How long the sample took.
    pub(crate) sample_took: Duration,
    /// How long all will take.
    pub(crate) all_takes: Duration,
    /// What models of all subjects hold.
    pub(crate) models_bytes: usize,
    /// Their files in a bundle.
    pub(crate) bundle_bytes: usize,
    /// Why one of the sample can't be trained.
    pub(crate) failure: Option<TrainError>,
}

impl Estimate {
    /// Fits what the largest group shares, and a few of its subjects; and a few of those that share nothing.
    pub(crate) fn measure(work: &Work<'_>) -> Self {
        let began = Instant::now();
        let mut estimate = Self::default();
        let largest = (0..work.groups.len()).max_by_key(|idx| work.groups[*idx].len());
        if let Some(group_idx) = largest {
            let shared_began = Instant::now();
            let shared = work.shared(group_idx).unwrap_or_else(SharedModels::none);
            let each = shared_began.elapsed();
            let n_rounds = work.groups.len().div_ceil(cores());
            estimate.all_takes += each * u32::try_from(n_rounds).unwrap_or(u32::MAX);
            let n_all = work.groups.iter().map(Vec::len).sum();
            estimate.add(work, &work.groups[group_idx], &shared, n_all, work.groups.len());
        }
        let alone: Vec<usize> = (0..work.histories.len()).filter(|idx| work.group_of(*idx).is_none()).collect();
        estimate.add(work, &alone, &SharedModels::none(), alone.len(), alone.len());
        estimate.sample_took = began.elapsed();
        estimate
    }

    /// Fits some of `members`, which stand for `n_all` subjects with `n_models` sets of models among them.
    fn add(&mut self, work: &Work<'_>, members: &[usize], shared: &SharedModels, n_all: usize, n_models: usize) {
        let n = members.len().min(SAMPLE_OF_CORE * cores());
        if n == 0 {
            return;
        }
        // Evenly over all of them: the first may be of one kind.
        let sample: Vec<usize> = (0..n).map(|idx| members[idx * members.len() / n]).collect();
        let began = Instant::now();
        let fitted = on_all_cores(&sample, |idx| work.ensemble(*idx, shared));
        self.all_takes += began.elapsed().mul_f64(n_all as f64 / n as f64);
        self.n_sample += n;
        let mut ensembles: Vec<Ensemble> = Vec::new();
        for one in fitted {
            match one {
                Ok(ensemble) => ensembles.push(ensemble),
                Err(error) => self.failure = Some(error),
            }
        }
        let Some(first) = ensembles.first() else { return };
        let own: usize = ensembles.iter().flat_map(Ensemble::own_bytes).map(|(_, bytes)| bytes).sum();
        let whole: usize = first.memory_bytes().iter().map(|(_, bytes)| bytes).sum();
        let of_first: usize = first.own_bytes().iter().map(|(_, bytes)| bytes).sum();
        let times = |bytes: usize, n: usize, of: usize| (bytes as f64 * n as f64 / of as f64) as usize;
        self.models_bytes += times(own, n_all, n) + (whole - of_first) * n_models;
        let mut saver = Saver::default();
        let saved: Vec<_> = ensembles.iter().filter_map(|ensemble| saver.save(ensemble).ok()).collect();
        let states: usize = saved.iter().map(|saved| saved.state.len()).sum();
        let models: usize = saved.first().map_or(0, |saved| saved.models.values().map(|bytes| bytes.len()).sum());
        self.bundle_bytes += times(states, n_all, n) + models * n_models;
    }
}

/// What this process holds now, and the most it has held, in bytes; `None` where the system doesn't say.
pub(crate) fn resident_bytes() -> Option<(usize, usize)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let of = |name: &str| {
        let text = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(text.trim().trim_end_matches(" kB").parse::<usize>().ok()? * 1024)
    };
    Some((of("VmRSS:")?, of("VmHWM:")?))
}
