//! A history folded by a period: which level recurs at each of its phases.

use homeostat_core::LocalMoment;

use super::factor;
use super::period::{Period, phase_of};

/// Fewest cycles in which something must have been there to recur: once is no habit.
const SEEN_MIN: usize = 2;

/// So much of a phase's chance that its cycles agree without meaning it is small enough to look no further for fewer of them.
const BY_CHANCE_MAX: f64 = 0.3;

/// Of the phases that are said to recur, so many may do so by chance (the false discovery rate of Benjamini and Hochberg, 1995). Phases are judged together: a
/// job of fifty minutes on five nights of the week is one in thirty of all rows, and two weeks of it agree in seventy phases where two or three
/// would by chance. At .3 simulated weekly restarts called, at .1 none did.
const FALSE_SHARE_MAX: f64 = 0.1;

/// The history folded by a period.
pub(super) struct Cycles {
    period: Period,
    phase_ms: i64,
    first: i64,
    n_phases: usize,
    /// The highest of each phase and its neighbours, by phase, then by cycle; NaN where nothing was scored.
    highest: Vec<f32>,
    n_cycles: usize,
    /// The level that recurs at each phase.
    levels: Vec<Level>,
}

/// What recurs at one phase.
#[derive(Clone, Copy, Default)]
struct Level {
    nats: f32,
    /// What those cycles that reach the level say without one of them, and without one that doesn't.
    without_high: f32,
    without_low: f32,
}

/// A level that may recur, and how likely it is that its cycles reach it by chance.
#[derive(Clone, Copy)]
struct Candidate {
    phase: usize,
    chance: f64,
    level: Level,
}

impl Cycles {
    /// Of consecutive rows; levels below `level_min` aren't looked for.
    pub(super) fn of(rows: &[(LocalMoment, Option<f64>)], period: Period, phase_ms: i64, level_min: f64) -> Self {
        let n_phases = usize::try_from(period.length_ms() / phase_ms.max(1)).unwrap_or(0);
        let first = rows.first().map_or(0, |(at, _)| period.cycle_of(*at));
        let last = rows.last().map_or(0, |(at, _)| period.cycle_of(*at));
        let n_cycles = usize::try_from(last - first + 1).unwrap_or(0);
        let mut cycles = Self { period, phase_ms, first, n_phases, highest: Vec::new(), n_cycles, levels: Vec::new() };
        if n_phases < 2 || n_cycles < cycles.period.cycles_min {
            return cycles;
        }
        // In the order of time, so that a phase's neighbours may be of the cycle before or after.
        let mut highest = vec![f32::NAN; n_cycles * n_phases];
        for (at, nats) in rows {
            let (Some(nats), Some(idx)) = (nats, cycles.position(*at)) else { continue };
            if let Some(cell) = highest.get_mut(idx) {
                *cell = cell.max(*nats as f32);
            }
        }
        let near = |idx: usize| {
            let around = &highest[idx.saturating_sub(1)..(idx + 2).min(highest.len())];
            if highest[idx].is_nan() { f32::NAN } else { around.iter().copied().fold(f32::NAN, f32::max) }
        };
        cycles.highest = (0..highest.len()).map(near).collect();
        let mut sorted: Vec<f32> = cycles.highest.iter().copied().filter(|nats| !nats.is_nan()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let candidates = (0..n_phases).filter_map(|phase| cycles.candidate(phase, &sorted, level_min)).collect();
        cycles.levels = meant(candidates, n_phases);
        cycles
    }

    /// Where a moment is in the order of time; `None` before the first cycle, in what is left of a period after its last whole phase, and where the
    /// period has no cycle.
    fn position(&self, at: LocalMoment) -> Option<usize> {
        if !self.period.has(at) {
            return None;
        }
        let cycle = usize::try_from(self.period.cycle_of(at) - self.first).ok()?;
        let phase = phase_of(at, &self.period, self.phase_ms);
        (cycle < self.n_cycles && phase < self.n_phases).then_some(cycle * self.n_phases + phase)
    }

    /// The highest level that enough cycles reach, and surely not by chance; where none is sure, the surest. `sorted` is what all phases
    /// of all cycles say, ascending.
    fn candidate(&self, phase: usize, sorted: &[f32], level_min: f64) -> Option<Candidate> {
        let of_phase = self.highest.iter().skip(phase).step_by(self.n_phases);
        let mut seen: Vec<f32> = of_phase.copied().filter(|nats| !nats.is_nan()).collect();
        if seen.len() < self.period.cycles_min {
            return None;
        }
        seen.sort_by(|a, b| b.total_cmp(a));
        let n_wanted = ((self.period.share_min * seen.len() as f64).ceil() as usize).max(SEEN_MIN);
        let share_above = |nats: f32| {
            let n_above = sorted.len() - sorted.partition_point(|other| *other < nats);
            n_above as f64 / sorted.len().max(1) as f64
        };
        let at = |idx: usize| seen.get(idx).copied().unwrap_or(0.0);
        let mut surest: Option<Candidate> = None;
        for n_cycles in n_wanted..=seen.len() {
            let nats = at(n_cycles - 1);
            if f64::from(nats) < level_min {
                break;
            }
            // Of one cycle fewer, one fewer is wanted.
            let level = Level { nats, without_high: nats, without_low: at(n_cycles - 2) };
            let candidate = Candidate { phase, chance: chance(seen.len(), n_cycles, share_above(nats)), level };
            if candidate.chance * (self.n_phases as f64) < BY_CHANCE_MAX {
                return Some(candidate);
            }
            if surest.is_none_or(|surest| candidate.chance < surest.chance) {
                surest = Some(candidate);
            }
        }
        surest
    }

    /// The level that recurs at the moment's phase by the other cycles' rows.
    pub(super) fn level_of_others(&self, at: LocalMoment) -> f64 {
        let Some(idx) = self.position(at) else { return 0.0 };
        let (Some(own), Some(level)) = (self.highest.get(idx), self.levels.get(idx % self.n_phases)) else {
            return 0.0;
        };
        f64::from(if *own >= level.without_low { level.without_high } else { level.without_low })
    }

    /// The factor of each phase that has one, ascending.
    pub(super) fn factors(&self, threshold_nats: f64) -> Vec<(u16, f32)> {
        let of_level = |level: &Level| factor(f64::from(level.nats), threshold_nats) as f32;
        let by_phase = self.levels.iter().map(of_level).enumerate().filter(|(_, factor)| *factor > 1.0);
        let mut factors: Vec<(u16, f32)> =
            by_phase.filter_map(|(phase, factor)| Some((u16::try_from(phase).ok()?, factor))).collect();
        factors.shrink_to_fit();
        factors
    }
}

/// The level of each phase, of those candidates that are together unlikely to be there by chance.
fn meant(mut candidates: Vec<Candidate>, n_phases: usize) -> Vec<Level> {
    candidates.sort_by(|a, b| a.chance.total_cmp(&b.chance));
    let by_chance = |candidate: &Candidate| candidate.chance * n_phases as f64;
    let is_meant = |(idx, candidate): &(usize, &Candidate)| by_chance(candidate) <= FALSE_SHARE_MAX * (idx + 1) as f64;
    let n_meant = candidates.iter().enumerate().rfind(is_meant).map_or(0, |(idx, _)| idx + 1);
    let mut levels = vec![Level::default(); n_phases];
    for candidate in &candidates[..n_meant] {
        levels[candidate.phase] = candidate.level;
    }
    levels
}

/// The probability that so many given ones of `n` are there by chance, of each of which this share is, times the number of ways to choose
/// them: a bound from above on "at least so many".
fn chance(n: usize, n_there: usize, share: f64) -> f64 {
    let ways = (1..=n_there).map(|k| ((n - n_there + k) as f64 / k as f64).ln()).sum::<f64>();
    (ways + n_there as f64 * share.ln()).exp()
}
