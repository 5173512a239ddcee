//! What a trial is worth on some sets, which is chosen, and how the chosen does where it wasn't chosen.

use std::collections::BTreeMap;

use homeostat_core::Seed;

use super::plan::{Job, Rung, SearchSpec};
use super::space::Space;
use super::{Effect, Outcomes, Trial, TrialOutcome, effects};
use crate::evaluation::{DIFFERENCE_MIN, Estimate, RESAMPLES, bootstrapped, mean};

/// Realised false alarms, in budgets, that cost nothing yet: a count of few alarms is no closer than that.
const OVER_FREE: f64 = 1.1;
/// What each further budget of false alarms costs, in VUS-PR. Twice the budget costs .09, more than any option here has ever
/// gained; a cliff instead would let one noisy series decide.
const OVER_COST: f64 = 0.1;

/// What a trial is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// VUS-PR, mean over sets.
    pub vus_pr: f64,
    /// Realised false alarms for each series and day, mean over sets; `None` without alerts.
    pub false_alarms_per_day: Option<f64>,
    /// VUS-PR less what false alarms over the budget cost: what is searched for.
    pub value: f64,
}

/// Judges trials on the series of a rung, without one set.
pub(super) struct Yardstick<'a> {
    budget_per_day: f64,
    known: &'a Outcomes,
    seeds: &'a [u64],
    /// By set, the places of its series.
    sets: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Yardstick<'a> {
    pub(super) fn new(spec: &'a SearchSpec, rung: &Rung, known: &'a Outcomes, left_out: Option<&str>) -> Self {
        let mut sets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for series in &rung.series {
            let set = spec.sets.get(*series).map_or("", String::as_str);
            if Some(set) != left_out {
                sets.entry(set).or_default().push(*series);
            }
        }
        // The order in which series were drawn is no property of the metrics.
        sets.values_mut().for_each(|members| members.sort_unstable());
        Self {
            budget_per_day: spec.budget_per_day,
            known,
            seeds: &spec.seeds[..rung.n_seeds.min(spec.seeds.len())],
            sets,
        }
    }

    /// The same, of one set alone.
    fn only(&self, set: &str) -> Self {
        let sets = self.sets.iter().filter(|(name, _)| **name == set).map(|(name, all)| (*name, all.clone())).collect();
        Self { budget_per_day: self.budget_per_day, known: self.known, seeds: self.seeds, sets }
    }

    fn outcomes(&self, trial: usize, series: usize) -> impl Iterator<Item = &'a TrialOutcome> + '_ {
        self.seeds.iter().filter_map(move |seed| self.known.get(&Job { trial, series, seed: *seed }))
    }

    /// VUS-PR of a series, mean over seeds.
    fn vus_pr(&self, trial: usize, series: usize) -> Option<f64> {
        mean(self.outcomes(trial, series).filter_map(|outcome| outcome.vus_pr))
    }

    fn false_alarms_per_day(&self, trial: usize, members: &[usize]) -> Option<f64> {
        let all = members.iter().flat_map(|series| self.outcomes(trial, *series));
        let counted = all.filter_map(|outcome| Some((outcome.events.as_ref()?, outcome.days)));
        let (n_false, days) = counted.fold((0_usize, 0.0), |(n, days), (events, more)| {
            (n + events.n_episodes.saturating_sub(events.n_true), days + more)
        });
        (days > 0.0).then(|| n_false as f64 / days)
    }

    pub(super) fn worth(&self, trial: usize) -> Worth {
        let vus_pr = mean(
            self.sets
                .values()
                .filter_map(|members| mean(members.iter().filter_map(|series| self.vus_pr(trial, *series)))),
        );
        let false_alarms_per_day =
            mean(self.sets.values().filter_map(|members| self.false_alarms_per_day(trial, members)));
        let vus_pr = vus_pr.unwrap_or(0.0);
        let over = false_alarms_per_day.map_or(0.0, |rate| (rate / self.budget_per_day - OVER_FREE).max(0.0));
        Worth { vus_pr, false_alarms_per_day, value: vus_pr - OVER_COST * over }
    }

    /// How much more a trial is worth than another, with its interval over series: the same series are drawn for both.
    fn gain(&self, trial: usize, than: usize) -> Option<Estimate> {
        let seed = Seed::new(1).fork("gain");
        let rounds: Vec<Vec<f64>> = self
            .sets
            .iter()
            .map(|(set, members)| {
                let pairs =
                    members.iter().filter_map(|one| Some((self.vus_pr(trial, *one)?, self.vus_pr(than, *one)?)));
                let differences: Vec<f64> = pairs.map(|(one, other)| one - other).collect();
                bootstrapped(&differences, RESAMPLES, seed.fork(set))
            })
            .filter(|rounds| !rounds.is_empty())
            .collect();
        let (one, other) = (self.worth(trial), self.worth(than));
        // What false alarms cost is taken as it is: it shifts the interval and doesn't widen it.
        let shift = (one.value - one.vus_pr) - (other.value - other.vus_pr);
        let resampled: Vec<f64> = (0..RESAMPLES)
            .filter_map(|round| mean(rounds.iter().filter_map(|set| set.get(round)).copied()))
            .map(|difference| difference + shift)
            .collect();
        Estimate::of(Some(one.value - other.value), &resampled)
    }

    /// VUS-PR of a set with its interval.
    fn estimate(&self, trial: usize) -> (Option<f64>, Vec<Vec<f64>>) {
        let seed = Seed::new(1).fork("held out");
        let rounds = self.sets.iter().map(|(set, members)| {
            let values: Vec<f64> = members.iter().filter_map(|series| self.vus_pr(trial, *series)).collect();
            bootstrapped(&values, RESAMPLES, seed.fork(set))
        });
        let has_labels = self.sets.values().flatten().any(|series| self.vus_pr(trial, *series).is_some());
        (has_labels.then(|| self.worth(trial).vus_pr), rounds.collect())
    }
}

/// What was chosen on some sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The trial that is chosen: the best one if it beats the defaults by more than noise, else the defaults.
    pub trial: usize,
    /// The trial worth most.
    pub best: usize,
    /// How much more that is worth than the defaults; `None` if nothing can be compared.
    pub gain: Option<Estimate>,
    /// What the chosen is worth on the sets it was chosen on; flattered by the choice.
    pub worth: Worth,
}

/// How a choice made on the other sets does on a set that had no part in it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// The set.
    pub set: String,
    /// What was chosen on the others.
    pub chosen: Chosen,
    /// VUS-PR of the chosen, on this set.
    pub vus_pr: Option<f64>,
    /// Its realised false alarms for each series and day, on this set.
    pub false_alarms_per_day: Option<f64>,
    /// VUS-PR of the defaults, on this set.
    pub default_vus_pr: Option<f64>,
}

/// A search that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// What was chosen on all sets.
    pub chosen: Chosen,
    /// What the defaults are worth.
    pub default: Worth,
    /// The trials that reached the last rung, with what they are worth there; the best first.
    pub finalists: Vec<(usize, Worth)>,
    /// Each set with what was chosen without it; empty where there is one set only.
    pub held_out: Vec<HeldOut>,
    /// The mean over held-out sets, with its interval over series: the metric to quote.
    pub loso: Option<Estimate>,
    /// Trial by trial, what the first rung said, where all were judged on the same series.
    first_rung: Vec<f64>,
}

impl Finished {
    pub(super) fn of(
        spec: &SearchSpec,
        rungs: &[Rung],
        folds: &[Option<String>],
        alive: &[Vec<usize>],
        known: &Outcomes,
    ) -> Self {
        let blank = Rung { series: Vec::new(), n_seeds: 0 };
        let (first, last) = (rungs.first().unwrap_or(&blank), rungs.last().unwrap_or(&blank));
        let everything = Yardstick::new(spec, last, known, None);
        let mut held_out = Vec::new();
        let mut rounds = Vec::new();
        let mut chosen = Chosen { trial: 0, best: 0, gain: None, worth: everything.worth(0) };
        for (fold, alive) in folds.iter().zip(alive) {
            let made = choose(&Yardstick::new(spec, last, known, fold.as_deref()), alive);
            let Some(set) = fold else {
                chosen = made;
                continue;
            };
            let there = everything.only(set);
            let (vus_pr, resampled) = there.estimate(made.trial);
            rounds.extend(vus_pr.map(|_| resampled).into_iter().flatten());
            held_out.push(HeldOut {
                set: set.clone(),
                vus_pr,
                false_alarms_per_day: there.worth(made.trial).false_alarms_per_day,
                default_vus_pr: there.estimate(0).0,
                chosen: made,
            });
        }
        let resampled: Vec<f64> = (0..RESAMPLES)
            .filter_map(|round| mean(rounds.iter().filter_map(|set: &Vec<f64>| set.get(round)).copied()))
            .collect();
        let loso = Estimate::of(mean(held_out.iter().filter_map(|one| one.vus_pr)), &resampled);
        let beginning = Yardstick::new(spec, first, known, None);
        let on_all = alive.last().map_or(&[][..], Vec::as_slice);
        let mut finalists: Vec<(usize, Worth)> =
            on_all.iter().map(|trial| (*trial, everything.worth(*trial))).collect();
        finalists.sort_by(|a, b| b.1.value.total_cmp(&a.1.value).then(a.0.cmp(&b.0)));
        Self {
            chosen,
            default: everything.worth(0),
            finalists,
            held_out,
            loso,
            first_rung: (0..spec.n_trials).map(|trial| beginning.worth(trial).value).collect(),
        }
    }

    /// What each option did, over all trials on the first rung; the strongest first.
    pub fn effects(&self, space: &Space, trials: &[Trial]) -> Vec<Effect> {
        effects(space, trials, &self.first_rung)
    }
}

/// The best of these, if it is better than the defaults by more than noise. A search among many finds something better by
/// chance; the defaults had no such luck.
fn choose(yardstick: &Yardstick<'_>, alive: &[usize]) -> Chosen {
    let worth = |trial: usize| yardstick.worth(trial);
    let better = |a: &usize, b: &usize| worth(*a).value.total_cmp(&worth(*b).value).then(b.cmp(a));
    let best = alive.iter().copied().max_by(better).unwrap_or(0);
    let gain = yardstick.gain(best, 0);
    let is_real = gain.is_some_and(|gain| gain.value >= DIFFERENCE_MIN && gain.low > 0.0);
    let trial = if is_real { best } else { 0 };
    Chosen { trial, best, gain, worth: worth(trial) }
}
