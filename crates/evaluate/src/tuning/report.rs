//! A finished search for a terminal and as figure lines.

use std::fmt::Write as _;

use super::choice::{Chosen, Finished, Worth};
use super::space::{Space, Trial};
use crate::evaluation::{aligned, dash, number, signed};

/// What the numbers of trials and options stand for.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The options.
    pub space: &'a Space,
    /// The trials, in their order.
    pub trials: &'a [Trial],
}

impl Named<'_> {
    /// What a trial changes: `option=value`, or `defaults`.
    pub fn changes(&self, trial: usize) -> String {
        let Some(trial) = self.trials.get(trial).filter(|trial| !trial.is_default()) else {
            return "defaults".to_owned();
        };
        let changed = self.space.options().iter().enumerate().filter_map(|(idx, option)| {
            let value_idx = trial.value_idx(idx);
            let value = option.values.get(value_idx).filter(|_| value_idx > 0)?;
            Some(format!("{}={value}", option.name))
        });
        changed.collect::<Vec<_>>().join(", ")
    }
}

/// Finalists shown at most: the rest are in the journal.
const FINALISTS_SHOWN: usize = 8;

/// The tables.
pub fn tuning_text(finished: &Finished, named: Named<'_>, budget_per_day: f64) -> String {
    let mut text =
        String::from("finalists, on all series (worth = VUS-PR less what false alarms over the budget cost)\n");
    let header = ["trial", "worth", "VUS-PR", "false/day"].map(str::to_owned).to_vec();
    let row = |trial: usize, worth: &Worth| {
        vec![
            format!("#{trial}"),
            number(Some(worth.value)),
            number(Some(worth.vus_pr)),
            number(worth.false_alarms_per_day),
        ]
    };
    let shown = &finished.finalists[..finished.finalists.len().min(FINALISTS_SHOWN)];
    let rows = shown.iter().map(|(trial, worth)| row(*trial, worth));
    text.push_str(&aligned(&std::iter::once(header).chain(rows).collect()));
    for (trial, _) in shown {
        let _ = writeln!(text, "  #{trial}: {}", named.changes(*trial));
    }
    text.push_str(&effects_text(finished, named));
    text.push_str(&held_out_text(finished));
    let _ = writeln!(text, "\n{}", verdict(&finished.chosen, named));
    if let Some(rate) = finished.chosen.worth.false_alarms_per_day.filter(|rate| *rate > 1.1 * budget_per_day) {
        let _ = writeln!(
            text,
            "warning: it raises {rate:.2} false alarms a series and day, the budget is {budget_per_day:.2}"
        );
    }
    text
}

fn effects_text(finished: &Finished, named: Named<'_>) -> String {
    let effects = finished.effects(named.space, named.trials);
    if effects.is_empty() {
        return String::new();
    }
    let mut text = "\nwhat mattered: how much of the differences between all trials, on the first series, goes with each option's \
                    value beyond\nchance (few trials overlap: shares add up to more than all), and the mean worth by value (trials)\n"
        .to_owned();
    let width = effects.iter().map(|effect| effect.option.len()).max().unwrap_or(0);
    for effect in &effects {
        let values: Vec<String> =
            effect.values.iter().map(|(name, n, mean)| format!("{name} {mean:.3} ({n})")).collect();
        let share = 100.0 * effect.share;
        let _ = writeln!(text, "{:<width$}  {share:>3.0} %  {}", effect.option, values.join(", "));
    }
    text
}

fn held_out_text(finished: &Finished) -> String {
    if finished.held_out.is_empty() {
        return "\none set alone: nothing is left to judge the choice on, so its value is too good\n".to_owned();
    }
    let header =
        ["set left out", "chosen", "VUS-PR there", "defaults there", "false/day there"].map(str::to_owned).to_vec();
    let rows = finished.held_out.iter().map(|one| {
        vec![
            one.set.clone(),
            format!("#{}", one.chosen.trial),
            number(one.vus_pr),
            number(one.default_vus_pr),
            number(one.false_alarms_per_day),
        ]
    });
    let mut text = format!(
        "\nchosen on the other sets, judged on the one left out\n{}",
        aligned(&std::iter::once(header).chain(rows).collect())
    );
    if let Some(loso) = finished.loso {
        let flattered = finished.chosen.worth.vus_pr - loso.value;
        let _ = writeln!(
            text,
            "macro {:.3} ({:.3}–{:.3}); what was chosen on all sets shows {:.3} there itself, flattered by {}",
            loso.value,
            loso.low,
            loso.high,
            finished.chosen.worth.vus_pr,
            signed(Some(flattered)),
        );
    }
    text
}

fn verdict(chosen: &Chosen, named: Named<'_>) -> String {
    let gain =
        chosen.gain.map_or_else(dash, |gain| format!("{:+.3} ({:+.3} to {:+.3})", gain.value, gain.low, gain.high));
    if chosen.best == 0 {
        "chosen: the defaults; no trial was worth more".to_owned()
    } else if chosen.trial == 0 {
        format!("chosen: the defaults; the best trial, #{}, is worth {gain} more, which is noise", chosen.best)
    } else {
        format!("chosen: #{}, worth {gain} more than the defaults: {}", chosen.trial, named.changes(chosen.trial))
    }
}

/// `figure NAME VALUE UNIT` lines.
pub fn tuning_figure_lines(finished: &Finished) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a String can't fail.
            let _ = writeln!(text, "figure {name} {value:.4} vus_pr");
        }
    };
    line("eval.vus_pr.loso", finished.loso.map(|loso| loso.value));
    for one in &finished.held_out {
        line(&format!("eval.vus_pr.loso.{}", one.set), one.vus_pr);
    }
    line("tune.vus_pr.chosen", Some(finished.chosen.worth.vus_pr));
    line("tune.vus_pr.defaults", Some(finished.default.vus_pr));
    text
}
