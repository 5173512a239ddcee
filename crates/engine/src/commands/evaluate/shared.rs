//! Models that the series of a set share, for `--share-models`: trained before any series is run.

use std::collections::BTreeMap;
use std::path::Path;

use homeostat_core::{Seed, Window};
use homeostat_detect::{EnsembleSpec, SharedModels, groups};
use homeostat_evaluate::{Dataset, Placement, SeriesEntry};

use super::files;

/// Shared models, by series.
pub(super) struct Shared {
    models: Vec<SharedModels>,
    /// By file and seed.
    of: BTreeMap<(String, u64), usize>,
    none: SharedModels,
}

impl Default for Shared {
    fn default() -> Self {
        Self { models: Vec::new(), of: BTreeMap::new(), none: SharedModels::none() }
    }
}

impl Shared {
    /// Trains for each set; series that are alone, and those that can't be read, share nothing.
    pub(super) fn train(
        dataset_dir: &Path,
        dataset: &Dataset,
        spec: &EnsembleSpec,
        seeds: &[u64],
        placement: Placement,
    ) -> anyhow::Result<Self> {
        let mut shared = Self::default();
        for set in dataset.sets() {
            let entries = dataset.entries().iter().filter(|entry| entry.set == set);
            // Of what can't be read the run itself will tell.
            let (entries, histories): (Vec<&SeriesEntry>, Vec<Window>) = entries
                .filter_map(|entry| Some((entry, files::read_series(dataset_dir, entry, placement).ok()?.history()?)))
                .unzip();
            for group in groups(&histories).into_iter().filter(|group| group.len() > 1) {
                let of_group: Vec<&Window> = group.iter().map(|idx| &histories[*idx]).collect();
                for seed in seeds {
                    let trained = SharedModels::train(spec, &of_group, Seed::new(*seed).fork(set));
                    let Ok(trained) = trained else { continue };
                    let model_idx = shared.models.len();
                    shared.models.push(trained);
                    shared.of.extend(group.iter().map(|idx| ((entries[*idx].path.clone(), *seed), model_idx)));
                }
            }
        }
        Ok(shared)
    }

    /// What this series shares with others.
    pub(super) fn of(&self, entry: &SeriesEntry, seed: u64) -> &SharedModels {
        let found = self.of.get(&(entry.path.clone(), seed)).and_then(|idx| self.models.get(*idx));
        found.unwrap_or(&self.none)
    }
}
