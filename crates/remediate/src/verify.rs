//! Did it help? A pure function of what was measured since. Missing data is never recovery (I13), shrinkage no success (I14).

#[cfg(test)]
mod tests;

use homeostat_core::Timestamp;

use crate::levels::{self, Levels};
use crate::observation::{NEWEST_AGE_MAX, Observation, by_moment};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::step::Recovery;

/// What is known of an applied action's effect.
#[derive(Clone, Debug)]
pub struct VerifyInput<'a> {
    /// When the write was accepted.
    pub applied_at: Timestamp,
    /// How far the roll-out has come; `None` when it couldn't be asked.
    pub progress: Option<&'a Progress>,
    /// Every measurement since the action, in any order; those that are too early are left out here.
    pub observations: &'a [Observation],
    /// Requests a second before the action, where the subject has traffic.
    pub traffic_before: Option<f64>,
    /// Requests a second now.
    pub traffic_now: Option<f64>,
    /// How far its signals were from normal when it was decided (I17).
    pub levels_before: &'a Levels,
}

/// Whether it helped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is too early to say.
    Pending,
    /// Every signal that opened the incident is back to normal, on fresh data.
    Recovered,
    /// It surely didn't.
    NotRecovered {
        /// What is still wrong.
        why: String,
        /// Whether it made things worse (I17): a signal has been clearly further from normal than before for the whole
        /// stabilisation time, or the roll-out that the action began failed.
        made_worse: bool,
    },
    /// Somebody put back what was written: doing it again would be a fight (I22).
    Overridden,
    /// Nobody can say.
    Unknown {
        /// What is missing.
        why: String,
    },
}

/// What a feature's fresh points say.
enum Feature {
    Normal,
    Abnormal,
    Missing,
}

/// Judges an applied action at `now`.
pub fn verify(plan: &Plan, input: &VerifyInput<'_>, now: Timestamp) -> Verdict {
    let not_recovered = |why: String| Verdict::NotRecovered { why, made_worse: false };
    match input.progress {
        Some(Progress::Failed { why }) => {
            // Where the roll-out before had failed, too, this one is no better, and no worse.
            let made_worse = !plan.verify.rollout_failed_before;
            return Verdict::NotRecovered { why: format!("the roll-out failed: {why}"), made_worse };
        }
        Some(Progress::Overridden) => return Verdict::Overridden,
        Some(Progress::Gone) => return unknown("the target is gone"),
        Some(Progress::Rolling { .. } | Progress::Complete { .. }) | None => {}
    }
    let fresh_from = input.applied_at + plan.verify.settle;
    if let Some(why) = levels::worse(&plan.verify, input.levels_before, input.observations, fresh_from, now) {
        return Verdict::NotRecovered { why: format!("it made things worse: {why}"), made_worse: true };
    }
    let window_end = (fresh_from + plan.verify.window).min(plan.deadline);
    let looked_at: Vec<(&str, Feature)> = plan
        .verify
        .features
        .iter()
        .map(|name| (name.as_str(), look(plan, input.observations, name, fresh_from, window_end.min(now))))
        .collect();
    let named = |wanted: fn(&Feature) -> bool| {
        let names: Vec<&str> = looked_at.iter().filter(|(_, seen)| wanted(seen)).map(|(name, _)| *name).collect();
        names.join(", ")
    };
    let (abnormal, missing) =
        (named(|seen| matches!(seen, Feature::Abnormal)), named(|seen| matches!(seen, Feature::Missing)));
    let all_normal = abnormal.is_empty() && missing.is_empty() && !looked_at.is_empty();
    let blocked = blocked(plan, input);
    if all_normal && blocked.is_none() {
        return Verdict::Recovered;
    }
    if now < window_end {
        return Verdict::Pending;
    }
    if !abnormal.is_empty() {
        return not_recovered(format!("still not normal at the window's end: {abnormal}"));
    }
    if !missing.is_empty() || looked_at.is_empty() {
        let names = if missing.is_empty() { "any feature" } else { &missing };
        return unknown(&format!("too few fresh measurements of {names}"));
    }
    blocked.unwrap_or(Verdict::Pending)
}

fn unknown(why: &str) -> Verdict {
    Verdict::Unknown { why: why.to_owned() }
}

/// What a feature's points in (from, until] say: its newest points must all be there, and all be normal.
fn look(plan: &Plan, all: &[Observation], name: &str, from: Timestamp, until: Timestamp) -> Feature {
    let mut points: Vec<&Observation> =
        all.iter().filter(|seen| seen.feature == name && seen.at > from && seen.at <= until).collect();
    by_moment(&mut points);
    let n_needed = usize::try_from(plan.verify.fresh_points_min.max(1)).unwrap_or(usize::MAX);
    let is_there = |seen: &&&Observation| seen.value.is_some_and(f64::is_finite);
    let Some(newest) = points.last() else { return Feature::Missing };
    let newest_is_old = until.since(newest.at) > NEWEST_AGE_MAX;
    let tail = &points[points.len().saturating_sub(n_needed)..];
    let n_present = tail.iter().filter(is_there).count();
    let n_normal = tail.iter().filter(is_there).filter(|seen| seen.normal).count();
    if n_present > n_normal {
        // One bad point among the newest is enough: it hasn't been normal for long enough.
        Feature::Abnormal
    } else if n_normal < n_needed || newest_is_old {
        Feature::Missing
    } else {
        Feature::Normal
    }
}

/// What keeps normal features from being recovery; and what it means if it still does when the window ends.
fn blocked(plan: &Plan, input: &VerifyInput<'_>) -> Option<Verdict> {
    let not_recovered = |why: String| Some(Verdict::NotRecovered { why, made_worse: false });
    if plan.verify.recovery == Recovery::SignalsOnly {
        return traffic_is_missing(plan, input);
    }
    let wanted = match input.progress {
        Some(Progress::Complete { wanted }) => *wanted,
        Some(Progress::Rolling { updated_available, wanted }) => {
            return not_recovered(format!("the roll-out isn't over: {updated_available} of {wanted} pods"));
        }
        Some(Progress::Failed { .. } | Progress::Overridden | Progress::Gone) | None => {
            return Some(unknown("the roll-out's state can't be read"));
        }
    };
    if wanted < plan.verify.replicas_before {
        let before = plan.verify.replicas_before;
        return Some(unknown(&format!(
            "{wanted} replicas are wanted now, {before} before: fewer don't count as recovery"
        )));
    }
    traffic_is_missing(plan, input)
}

/// Normal signals of a workload that nobody calls any more are no recovery (I14).
fn traffic_is_missing(plan: &Plan, input: &VerifyInput<'_>) -> Option<Verdict> {
    let before = input.traffic_before.filter(|before| before.is_finite() && *before > 0.0)?;
    match input.traffic_now {
        Some(now) if now >= before * plan.verify.traffic_floor => None,
        Some(now) => Some(unknown(&format!(
            "{now:.2} requests a second, {before:.2} before: no traffic doesn't count as recovery"
        ))),
        None => Some(unknown("traffic isn't measured any more")),
    }
}
