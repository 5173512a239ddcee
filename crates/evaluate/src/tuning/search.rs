//! Which trial must be judged on which series next: successive halving, for every held-out set at once.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;

use super::Outcomes;
use super::choice::{Finished, Yardstick};
use super::plan::{Job, Rung, SearchSpec};

/// One of so many trials goes on to the next rung (Jamieson and Talwalkar 2016; Li et al. 2018 recommend 3 or 4).
const ETA: usize = 3;
/// Rungs at most: with three, the first judges on a ninth of the series. Fewer rows than that say nothing.
const RUNGS_MAX: u32 = 3;
/// Series of each set on the first rung, at least: a set's mean of one series is that series.
const SERIES_MIN: usize = 2;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Run these, in any order, and ask again.
    Run(Vec<Job>),
    /// Nothing is left to do.
    Done(Box<Finished>),
}

/// A search under way. It holds no outcomes: what comes next follows from those that are given.
#[derive(Clone, Debug)]
pub struct Search {
    spec: SearchSpec,
    rungs: Vec<Rung>,
    /// The set left out of each choice; the last leaves none out and is what gets written.
    folds: Vec<Option<String>>,
}

impl Search {
    /// Plans a search: each rung has thrice the series of the one before, the last has all.
    pub fn new(spec: SearchSpec) -> Self {
        let mut by_set: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (idx, set) in spec.sets.iter().enumerate() {
            by_set.entry(set).or_default().push(idx);
        }
        for (set, members) in &mut by_set {
            members.shuffle(&mut spec.seed.fork("order").fork(set).rng());
        }
        let mut folds: Vec<Option<String>> =
            if by_set.len() > 1 { by_set.keys().map(|set| Some((*set).to_owned())).collect() } else { Vec::new() };
        folds.push(None);
        let n_rungs = (1..=RUNGS_MAX).rev().find(|n| spec.n_trials >= 2 * ETA.pow(n - 1)).unwrap_or(1);
        let rungs = (0..n_rungs).map(|rung| {
            let divisor = ETA.pow(n_rungs - 1 - rung);
            let part = |n: usize| n.div_ceil(divisor).max(SERIES_MIN).min(n);
            Rung {
                series: by_set.values().flat_map(|members| members[..part(members.len())].iter().copied()).collect(),
                n_seeds: if rung + 1 == n_rungs { spec.seeds.len() } else { 1 },
            }
        });
        let rungs = rungs.collect();
        Self { spec, rungs, folds }
    }

    /// How many jobs there will be, about: sets disagree on what is good, and then more trials go on.
    pub fn n_jobs_about(&self) -> usize {
        let n_on = |rung: usize| self.spec.n_trials.div_ceil(ETA.pow(rung as u32)).max(1);
        self.rungs.iter().enumerate().map(|(idx, rung)| n_on(idx) * rung.series.len() * rung.n_seeds).sum()
    }

    /// What to do, given what is known. Outcomes that it never asked for are left alone.
    pub fn step(&self, known: &Outcomes) -> Step {
        let all: Vec<usize> = (0..self.spec.n_trials).collect();
        let mut alive: Vec<Vec<usize>> = vec![all; self.folds.len()];
        for (idx, rung) in self.rungs.iter().enumerate() {
            let trials: BTreeSet<usize> = alive.iter().flatten().copied().collect();
            let jobs: Vec<Job> = self.jobs(rung, &trials).filter(|job| !known.contains_key(job)).collect();
            if !jobs.is_empty() {
                return Step::Run(jobs);
            }
            if idx + 1 < self.rungs.len() {
                for (fold, alive) in self.folds.iter().zip(&mut alive) {
                    *alive = self.survivors(known, rung, fold.as_deref(), alive);
                }
            }
        }
        Step::Done(Box::new(Finished::of(&self.spec, &self.rungs, &self.folds, &alive, known)))
    }

    fn jobs<'a>(&'a self, rung: &'a Rung, trials: &'a BTreeSet<usize>) -> impl Iterator<Item = Job> + 'a {
        // Series first: all trials of a series are near each other, and so is what the machine has of it in memory.
        rung.series.iter().flat_map(move |series| {
            let seeds = self.spec.seeds.iter().take(rung.n_seeds);
            seeds.flat_map(move |seed| trials.iter().map(|trial| Job { trial: *trial, series: *series, seed: *seed }))
        })
    }

    /// The best third, and always the defaults: what is chosen must beat them on everything.
    fn survivors(&self, known: &Outcomes, rung: &Rung, left_out: Option<&str>, alive: &[usize]) -> Vec<usize> {
        let yardstick = Yardstick::new(&self.spec, rung, known, left_out);
        let mut ranked: Vec<(f64, usize)> = alive.iter().map(|trial| (yardstick.worth(*trial).value, *trial)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut kept: Vec<usize> = ranked.iter().take(alive.len().div_ceil(ETA)).map(|(_, trial)| *trial).collect();
        if !kept.contains(&0) {
            kept.push(0);
        }
        kept.sort_unstable();
        kept
    }
}
