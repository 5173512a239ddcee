//! What there is to fit: each subject's models, and before them those that a group of subjects shares. And what each of it
//! depends on, as a digest: the same digest, the same models.

use homeostat_core::{Seed, Window, sha256_hex};
use homeostat_detect::{Ensemble, EnsembleSpec, Kind, SharedModels, TrainError, grouped, kind, shared_sample};

use super::histories::Histories;
use super::on_all_cores;

/// All subjects to fit, with the options.
pub(crate) struct Work<'a> {
    pub(crate) histories: &'a dyn Histories,
    pub(crate) spec: &'a EnsembleSpec,
    pub(crate) seed: Seed,
    /// Groups of at least two that share models, as indices into the histories.
    pub(crate) groups: Vec<Vec<usize>>,
    /// The group of each history, as an index into the groups.
    group_of: Vec<Option<usize>>,
}

impl<'a> Work<'a> {
    /// Subjects of a kind ([`groups`]) share models if `share` says so.
    pub(crate) fn new(histories: &'a dyn Histories, spec: &'a EnsembleSpec, share: bool, seed: Seed) -> Self {
        let groups = if share { groups(histories) } else { Vec::new() };
        let groups: Vec<Vec<usize>> = groups.into_iter().filter(|group| group.len() > 1).collect();
        let mut group_of = vec![None; histories.len()];
        for (group_idx, group) in groups.iter().enumerate() {
            for idx in group {
                group_of[*idx] = Some(group_idx);
            }
        }
        Self { histories, spec, seed, groups, group_of }
    }

    /// The group whose models this subject shares.
    pub(crate) fn group_of(&self, idx: usize) -> Option<usize> {
        self.group_of[idx]
    }

    /// Fits what a group shares. Without it each subject fits its own, and says itself what is wrong with its history.
    pub(crate) fn shared(&self, group_idx: usize) -> Option<SharedModels> {
        let members = &self.groups[group_idx];
        // The very ones that would be taken of all: the others needn't be read.
        let histories: Vec<_> = shared_sample(members.len())
            .map(|idx| self.histories.window(members[idx]))
            .collect::<Result<_, _>>()
            .ok()?;
        let histories: Vec<&Window> = histories.iter().map(AsRef::as_ref).collect();
        let first = self.histories.subject(members[0]).to_string();
        SharedModels::train(self.spec, &histories, self.seed.fork("group").fork(&first)).ok()
    }

    /// Fits a subject's own models. The result doesn't depend on when or where: each group and each subject has a seed of
    /// its own.
    pub(crate) fn ensemble(&self, idx: usize, shared: &SharedModels) -> Result<Ensemble, TrainError> {
        let window = self.histories.window(idx).map_err(|error| unreadable(&error))?;
        Ensemble::train_with(shared, self.spec, &window, self.seed.fork(&window.subject().to_string()))
    }

    /// For each subject the digest of all that its models depend on: `program` (this build), the options, the seed, its
    /// history, and the histories of those it shares models with.
    pub(crate) fn keys(&self, program: &str) -> anyhow::Result<Vec<String>> {
        let options = serde_json::to_vec(self.spec)?;
        let seed = self.seed.value().to_le_bytes();
        let all: Vec<usize> = (0..self.histories.len()).collect();
        let histories: Vec<String> =
            on_all_cores(&all, |idx| self.histories.window(*idx).map(|window| digest(&window)))
                .into_iter()
                .collect::<anyhow::Result<_>>()?;
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

/// The groups that share models: see [`kind`]. What can't be read shares none, and says so when it is to be fitted.
fn groups(histories: &dyn Histories) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..histories.len()).collect();
    let kinds = on_all_cores(&all, |idx| histories.window(*idx).ok().map(|window| (*idx, kind(&window))));
    let (readable, kinds): (Vec<usize>, Vec<Kind>) = kinds.into_iter().flatten().unzip();
    grouped(&kinds).into_iter().map(|group| group.into_iter().map(|idx| readable[idx]).collect()).collect()
}

fn unreadable(error: &anyhow::Error) -> TrainError {
    TrainError::Failed { detector: "history", why: format!("{error:#}") }
}

/// The digest of a history: whose, of what, when, and every value.
fn digest(window: &Window) -> String {
    let about = format!("{} {:?} {:?}", window.subject(), window.grid(), window.schema());
    let values: Vec<u8> = window.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    sha256_hex(&[about.as_bytes(), &values])
}
