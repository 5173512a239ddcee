//! What mattered: how much of the differences between trials goes with the value of each option.

use super::space::{Space, Trial};

/// What one option did.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Its name.
    pub option: String,
    /// The share of the variance between trials that goes with its value, less what chance alone gives: the main effect of a
    /// functional analysis of variance (Hutter, Hoos and Leyton-Brown 2014), as the adjusted ε² (Kelley 1935). 0 is "no more
    /// than chance".
    pub share: f64,
    /// Each value that was tried: its name, in how many trials, and the mean worth of these.
    pub values: Vec<(String, usize, f64)>,
}

/// The effect of every option that was tried with two values at least; the strongest first. `worth` has one number a trial.
pub fn effects(space: &Space, trials: &[Trial], worth: &[f64]) -> Vec<Effect> {
    let mut all: Vec<Effect> = space
        .options()
        .iter()
        .enumerate()
        .filter_map(|(option_idx, option)| {
            let of_value = |value_idx: usize| -> Vec<f64> {
                let with = trials.iter().zip(worth).filter(|(trial, _)| trial.value_idx(option_idx) == value_idx);
                with.map(|(_, worth)| *worth).collect()
            };
            let groups: Vec<(String, Vec<f64>)> = option
                .values
                .iter()
                .enumerate()
                .map(|(idx, name)| (name.clone(), of_value(idx)))
                .filter(|(_, group)| !group.is_empty())
                .collect();
            let values = groups.iter().map(|(name, group)| (name.clone(), group.len(), mean(group))).collect();
            (groups.len() > 1).then(|| Effect { option: option.name.clone(), share: share(&groups), values })
        })
        .collect();
    all.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.option.cmp(&b.option)));
    all
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// `(SS between − (k − 1) MS within) / SS total`, at least 0.
fn share(groups: &[(String, Vec<f64>)]) -> f64 {
    let all: Vec<f64> = groups.iter().flat_map(|(_, group)| group.iter().copied()).collect();
    let squares = |values: &[f64]| {
        let middle = mean(values);
        values.iter().map(|value| (value - middle).powi(2)).sum::<f64>()
    };
    let total = squares(&all);
    let within: f64 = groups.iter().map(|(_, group)| squares(group)).sum();
    let free = all.len().saturating_sub(groups.len());
    if free == 0 || total <= 0.0 {
        return 0.0;
    }
    let by_chance = (groups.len() - 1) as f64 * within / free as f64;
    ((total - within - by_chance) / total).max(0.0)
}
