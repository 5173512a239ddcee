//! Says in the log when the source changes: a line for each change of state, not one for each cycle. Queries that aren't answered are
//! told by [`Outage`](super::outage::Outage), workloads without samples by [`BlindnessLog`](super::sample_ages::BlindnessLog).

use std::collections::BTreeMap;

use homeostat_ingest::{AnswerState, DataQuality, Missed, SourceState};

use super::puller::Seen;
use super::window_rows::WINDOW_ROWS;

/// A state counts once it was seen in so many cycles one after the other: a sample that comes late changes nothing.
const CYCLES_MIN: u32 = 2;
/// A warning counts as new once it was away for so many cycles: one that comes and goes is told once.
const WARNING_FORGOTTEN_AFTER: u32 = 60;

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct SourceLog {
    told: State,
    /// Another state than the told one, and in how many cycles in a row.
    next: Option<(State, u32)>,
    left_out: Level,
    subjects_refused: Level,
    replicas_refused: Level,
    /// Warnings that were told, by query and text, and for how many cycles each has been away.
    warned: BTreeMap<(String, String), u32>,
}

/// The state as it is told: by its name, and with the queries that give nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    source: &'static str,
    unusable: Vec<String>,
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The source is in another state.
    State {
        /// In which.
        state: SourceState,
        /// Queries that give nothing, and why.
        unusable: Vec<(String, String)>,
    },
    /// So many more than there is room for, at first and twice as many as were told; 0 when there is room again.
    Excess {
        /// Of what.
        what: Excess,
        /// How many.
        n: u64,
    },
    /// Rows that nothing was seen of.
    Missed(Missed),
    /// Prometheus sent an answer with this warning.
    Partial {
        /// To which query.
        query: String,
        /// The warning as it came.
        warning: String,
    },
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// Series of an answer.
    Series,
    /// Workloads.
    Workloads,
    /// Replicas.
    Replicas,
}

/// A number that is told when it begins, doubles and ends.
#[derive(Clone, Copy, Debug, Default)]
struct Level(u64);

impl Level {
    fn change(&mut self, n: u64) -> Option<u64> {
        let is_worth_it = if n == 0 { self.0 > 0 } else { self.0 == 0 || n >= self.0.saturating_mul(2) };
        is_worth_it.then(|| {
            self.0 = n;
            n
        })
    }
}

impl SourceLog {
    /// Takes what a cycle saw, and gives what is worth telling.
    pub(crate) fn cycle(&mut self, seen: &Seen) -> Vec<Told> {
        let mut told: Vec<Told> = self.state(&seen.quality).into_iter().collect();
        let excesses = [
            (Excess::Series, &mut self.left_out, series_left_out(&seen.quality)),
            (Excess::Workloads, &mut self.subjects_refused, seen.subjects_refused),
            (Excess::Replicas, &mut self.replicas_refused, seen.replicas_refused),
        ];
        for (what, level, n) in excesses {
            told.extend(level.change(n).map(|n| Told::Excess { what, n }));
        }
        told.extend(seen.missed.map(Told::Missed));
        told.extend(self.warnings(seen));
        told
    }

    fn warnings(&mut self, seen: &Seen) -> Vec<Told> {
        for away in self.warned.values_mut() {
            *away += 1;
        }
        let mut told = Vec::new();
        for (query, warning) in &seen.partial {
            if self.warned.insert((query.clone(), warning.clone()), 0).is_none() {
                told.push(Told::Partial { query: query.clone(), warning: warning.clone() });
            }
        }
        self.warned.retain(|_, away| *away < WARNING_FORGOTTEN_AFTER);
        told
    }

    fn state(&mut self, quality: &DataQuality) -> Option<Told> {
        let state = quality.state();
        let unusable: Vec<(String, String)> = quality
            .queries
            .iter()
            .filter(|query| !matches!(query.state, AnswerState::Failed(_)))
            .filter_map(|query| Some((query.query.clone(), query.state.problem()?)))
            .collect();
        let names = match state {
            SourceState::QueriesUnusable { .. } => unusable.iter().map(|(query, _)| query.clone()).collect(),
            SourceState::Healthy
            | SourceState::Unanswered
            | SourceState::NoData
            | SourceState::ScrapeGap
            | SourceState::SubjectsLost { .. } => Vec::new(),
        };
        let now = State { source: state.name(), unusable: names };
        let is_first = self.told.source.is_empty();
        if now == self.told || (is_first && state == SourceState::Healthy) {
            self.told = now;
            self.next = None;
            return None;
        }
        let n_cycles = match &self.next {
            Some((next, n_cycles)) if *next == now => n_cycles + 1,
            Some(_) | None => 1,
        };
        if n_cycles < CYCLES_MIN {
            self.next = Some((now, n_cycles));
            return None;
        }
        self.next = None;
        self.told = now;
        Some(Told::State { state, unusable })
    }
}

/// Series beyond the limit, of all queries together.
pub(crate) fn series_left_out(quality: &DataQuality) -> u64 {
    quality.queries.iter().map(|query| query.series_left_out).sum()
}

impl Told {
    /// Writes it into the log.
    pub(crate) fn log(&self) {
        match self {
            Self::State { state: SourceState::Healthy, .. } => tracing::info!("all queries have data again"),
            // The queries and the reason are told where they fail.
            Self::State { state: SourceState::Unanswered, .. } => {}
            Self::State { state: SourceState::QueriesUnusable { .. }, unusable } => {
                for (query, why) in unusable {
                    tracing::warn!(query, "a query gives no usable data: {why}");
                }
            }
            Self::State {
                state: state @ (SourceState::NoData | SourceState::ScrapeGap | SourceState::SubjectsLost { .. }),
                ..
            } => tracing::warn!(state = state.name(), "{state}; until then nothing is found there"),
            Self::Excess { what, n } => what.log(*n),
            Self::Missed(missed) => tracing::warn!(
                from = %missed.from, until = %missed.until, steps = missed.n_steps,
                "nothing was looked at in this time: no query was answered for longer than the {WINDOW_ROWS} steps that are caught up on"
            ),
            Self::Partial { query, warning } => {
                tracing::warn!(query, warning, "Prometheus warns that its answer may be partial");
            }
        }
    }
}

impl Excess {
    fn log(self, n: u64) {
        match (self, n) {
            (Self::Series, 0) => tracing::info!("no answer has more series than datasources[].series_max any more"),
            (Self::Series, n) => tracing::warn!(
                left_out = n,
                "answers have more series than datasources[].series_max; workloads with models are looked at all the same, the others \
                 not: aggregate the queries with `by`, or raise it"
            ),
            (Self::Workloads, 0) => tracing::info!("there is room for all workloads again"),
            (Self::Workloads, n) => tracing::warn!(
                refused = n,
                "there are more workloads than limits.workloads_max; those with models are looked at all the same: narrow the queries, or \
                 raise it"
            ),
            (Self::Replicas, 0) => tracing::info!("there is room for all replicas again"),
            (Self::Replicas, n) => {
                tracing::warn!(refused = n, "too many replicas to compare; narrow the queries of `replicas`");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use homeostat_ingest::QueryQuality;

    use super::*;

    fn seen(states: &[AnswerState]) -> Seen {
        let queries = states.iter().enumerate().map(|(idx, state)| QueryQuality {
            query: format!("q{idx}"),
            state: state.clone(),
            ..QueryQuality::default()
        });
        let quality = DataQuality {
            queries: queries.collect(),
            n_subjects_known: 2,
            had_subjects: true,
            ..DataQuality::default()
        };
        Seen { quality, ..Seen::default() }
    }

    fn names(told: &[Told]) -> Vec<String> {
        let name = |told: &Told| match told {
            Told::State { state, unusable } => {
                let queries: Vec<&str> = unusable.iter().map(|(query, _)| query.as_str()).collect();
                format!("{} {}", state.name(), queries.join(",")).trim().to_owned()
            }
            Told::Excess { what, n } => format!("{what:?} {n}"),
            Told::Missed(missed) => format!("missed {}", missed.n_steps),
            Told::Partial { query, warning } => format!("partial {query}: {warning}"),
        };
        told.iter().map(name).collect()
    }

    #[test]
    fn a_state_is_told_once_and_when_it_is_over() {
        let mut log = SourceLog::default();
        let good = seen(&[AnswerState::Usable, AnswerState::Usable]);
        let one_empty = seen(&[AnswerState::Usable, AnswerState::Empty]);
        let other_empty = seen(&[AnswerState::Empty, AnswerState::Usable]);
        let told: Vec<Vec<String>> = [
            &good,
            &one_empty,
            &good,
            &one_empty,
            &one_empty,
            &one_empty,
            &other_empty,
            &other_empty,
            &good,
            &good,
            &good,
        ]
        .into_iter()
        .map(|seen| names(&log.cycle(seen)))
        .collect();
        let told: Vec<(usize, &str)> =
            told.iter().enumerate().flat_map(|(idx, told)| told.iter().map(move |told| (idx, told.as_str()))).collect();
        assert_eq!(
            told,
            [(4, "queries-unusable q1"), (7, "queries-unusable q0"), (9, "healthy")],
            "a single cycle is no change of state"
        );
    }

    #[test]
    fn what_is_wrong_from_the_start_is_told() {
        let mut log = SourceLog::default();
        let lost = Seen {
            quality: DataQuality {
                n_subjects_known: 10,
                n_subjects_without_data: 9,
                ..seen(&[AnswerState::Usable]).quality
            },
            ..Seen::default()
        };
        assert!(log.cycle(&lost).is_empty());
        assert_eq!(names(&log.cycle(&lost)), ["subjects-lost"]);
        assert!(log.cycle(&lost).is_empty());
    }

    #[test]
    fn too_much_is_told_when_it_begins_doubles_and_ends() {
        let mut log = SourceLog::default();
        let mut told = Vec::new();
        for n in [0, 10, 15, 25, 3, 0, 0] {
            let mut seen = seen(&[AnswerState::Usable]);
            seen.quality.queries[0].series_left_out = n;
            told.extend(names(&log.cycle(&seen)));
        }
        assert_eq!(told, ["Series 10", "Series 25", "Series 0"]);
    }

    #[test]
    fn a_warning_that_comes_and_goes_is_told_once_and_again_after_sixty_cycles_without() {
        let mut log = SourceLog::default();
        let good = seen(&[AnswerState::Usable]);
        let partial =
            Seen { partial: vec![("q0".to_owned(), "a store is away".to_owned())], ..seen(&[AnswerState::Usable]) };
        let mut told = Vec::new();
        let cycles = [&partial, &good, &partial, &partial].into_iter();
        for (idx, seen) in cycles.chain([&good; WARNING_FORGOTTEN_AFTER as usize]).chain([&partial]).enumerate() {
            told.extend(names(&log.cycle(seen)).into_iter().map(|name| (idx, name)));
        }
        let text = || "partial q0: a store is away".to_owned();
        assert_eq!(told, [(0, text()), (4 + WARNING_FORGOTTEN_AFTER as usize, text())]);
    }
}
