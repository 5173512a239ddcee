//! What there is to fit: each subject's models, and before them those that a group of subjects shares. And what each of it
//! depends on, as a digest: the same digest, the same models.

use homeostat_core::{Seed, Window, sha256_hex};
use homeostat_detect::{Ensemble, EnsembleSpec, SharedModels, TrainError, groups};

/// All subjects to fit, with the options.
pub(crate) struct Work<'a> {
    pub(crate) windows: &'a [Window],
    pub(crate) spec: &'a EnsembleSpec,
    pub(crate) seed: Seed,
    /// Groups of at least two that share models, as indices into the windows.
    pub(crate) groups: Vec<Vec<usize>>,
    /// The group of each window, as an index into the groups.
    group_of: Vec<Option<usize>>,
}

impl<'a> Work<'a> {
    /// Subjects of a kind ([`groups`]) share models if `share` says so.
    pub(crate) fn new(windows: &'a [Window], spec: &'a EnsembleSpec, share: bool, seed: Seed) -> Self {
        let groups = if share { groups(windows) } else { Vec::new() };
        let groups: Vec<Vec<usize>> = groups.into_iter().filter(|group| group.len() > 1).collect();
        let mut group_of = vec![None; windows.len()];
        for (group_idx, group) in groups.iter().enumerate() {
            for idx in group {
                group_of[*idx] = Some(group_idx);
            }
        }
        Self { windows, spec, seed, groups, group_of }
    }

    /// The group whose models this subject shares.
    pub(crate) fn group_of(&self, idx: usize) -> Option<usize> {
        self.group_of[idx]
    }

    /// Fits what a group shares. Without it each subject fits its own, and says itself what is wrong with its history.
    pub(crate) fn shared(&self, group_idx: usize) -> Option<SharedModels> {
        let histories: Vec<&Window> = self.groups[group_idx].iter().map(|idx| &self.windows[*idx]).collect();
        let first = histories[0].subject().to_string();
        SharedModels::train(self.spec, &histories, self.seed.fork("group").fork(&first)).ok()
    }

    /// Fits a subject's own models. The result doesn't depend on when or where: each group and each subject has a seed of
    /// its own.
    pub(crate) fn ensemble(&self, idx: usize, shared: &SharedModels) -> Result<Ensemble, TrainError> {
        let window = &self.windows[idx];
        Ensemble::train_with(shared, self.spec, window, self.seed.fork(&window.subject().to_string()))
    }

    /// For each subject the digest of all that its models depend on: `program` (this build), the options, the seed, its
    /// history, and the histories of those it shares models with.
    pub(crate) fn keys(&self, program: &str) -> anyhow::Result<Vec<String>> {
        let options = serde_json::to_vec(self.spec)?;
        let seed = self.seed.value().to_le_bytes();
        let histories: Vec<String> = self.windows.iter().map(digest).collect();
        let of_groups: Vec<String> = self
            .groups
            .iter()
            .map(|group| sha256_hex(&group.iter().map(|idx| histories[*idx].as_bytes()).collect::<Vec<_>>()))
            .collect();
        let key = |(idx, history): (usize, &String)| {
            let group = self.group_of(idx).map_or("", |group_idx| of_groups[group_idx].as_str());
            sha256_hex(&[program.as_bytes(), &options, &seed, group.as_bytes(), history.as_bytes()])
        };
        Ok(histories.iter().enumerate().map(key).collect())
    }
}

/// The digest of a history: whose, of what, when, and every value.
fn digest(window: &Window) -> String {
    let about = format!("{} {:?} {:?}", window.subject(), window.grid(), window.schema());
    let values: Vec<u8> = window.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    sha256_hex(&[about.as_bytes(), &values])
}
