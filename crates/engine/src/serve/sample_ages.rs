//! How old each workload's newest sample is, and which have none: a workload that nobody measures is watched by nobody.

use std::collections::BTreeMap;

use homeostat_core::{Subject, Timestamp, Window};

/// Names in a log line: enough to know where to look.
const NAMED_MAX: usize = 5;

/// The newest sample of each subject.
#[derive(Debug, Default)]
pub(crate) struct SampleAges {
    newest: BTreeMap<Subject, Timestamp>,
}

/// The ages together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ages {
    /// The newest sample of all.
    pub(crate) newest: Option<Timestamp>,
    /// The newest sample of whoever has been silent the longest; none if somebody never had one.
    pub(crate) oldest: Option<Timestamp>,
    /// Who has no recent one, in order.
    pub(crate) blind: Vec<Subject>,
    /// How many there are.
    pub(crate) n_watched: usize,
}

impl SampleAges {
    /// Takes a cycle's windows.
    pub(crate) fn take(&mut self, windows: &[Window]) {
        for window in windows {
            let steps = (0..window.grid().n_steps()).rev();
            let newest = steps
                .map(|step_idx| (step_idx, window.row(step_idx)))
                .find(|(_, row)| row.iter().any(|value| value.is_finite()));
            if let Some((step_idx, _)) = newest {
                self.newest.insert(window.subject().clone(), window.grid().at(step_idx));
            }
        }
    }

    /// Of those that have models; what is older than `since` isn't recent. Others are forgotten.
    pub(crate) fn sum_up<'a>(&mut self, watched: impl Iterator<Item = &'a Subject>, since: Timestamp) -> Ages {
        let mut kept = BTreeMap::new();
        let mut ages = Ages::default();
        let mut is_first = true;
        for subject in watched {
            let at = self.newest.remove(subject);
            ages.n_watched += 1;
            ages.newest = ages.newest.max(at);
            ages.oldest = if is_first { at } else { ages.oldest.min(at) };
            is_first = false;
            if at.is_none_or(|at| at < since) {
                ages.blind.push(subject.clone());
            }
            kept.extend(at.map(|at| (subject.clone(), at)));
        }
        self.newest = kept;
        ages
    }
}

/// Says when workloads go blind and when they can be seen again.
#[derive(Debug, Default)]
pub(crate) struct BlindnessLog {
    /// As last told.
    n_blind: usize,
}

/// What is worth telling.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Some are blind, or twice as many as were told.
    Blind {
        /// How many.
        n_blind: usize,
        /// Some of them.
        names: String,
    },
    /// None is any more.
    Over,
}

impl BlindnessLog {
    /// Takes a cycle's ages.
    pub(crate) fn cycle(&mut self, ages: &Ages) -> Option<Told> {
        let n_blind = ages.blind.len();
        if n_blind == 0 {
            return (std::mem::take(&mut self.n_blind) > 0).then_some(Told::Over);
        }
        if self.n_blind > 0 && n_blind < 2 * self.n_blind {
            return None;
        }
        self.n_blind = n_blind;
        let names: Vec<String> = ages.blind.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        let more = if n_blind > NAMED_MAX { ", …" } else { "" };
        Some(Told::Blind { n_blind, names: format!("{}{more}", names.join(", ")) })
    }
}

impl Told {
    /// Writes it into the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Blind { n_blind, names } => tracing::warn!(
                subjects = n_blind,
                names,
                "workloads have had no sample for five steps; nothing is detected there until they have samples again"
            ),
            Self::Over => tracing::info!("all workloads have samples again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use homeostat_core::{Direction, Feature, Grid, Schema, Signal};
    use ndarray::Array2;

    use super::*;

    fn subject(name: &str) -> Subject {
        Subject::deployment("shop", name)
    }

    fn window(name: &str, end: i64, values: &[f64]) -> Window {
        let feature =
            Feature { name: "cpu".into(), signal: Signal::Cpu, direction: Direction::Both, deviation_min: 0.0 };
        let schema = Arc::new(Schema::new(vec![feature]).expect("a schema"));
        let end = Timestamp::from_secs(end);
        let grid = Grid::ending_at(end, Duration::from_secs(60), values.len()).expect("a grid");
        let values = Array2::from_shape_vec((values.len(), 1), values.to_vec()).expect("one column");
        Window::new(subject(name), grid, schema, values).expect("a window")
    }

    #[test]
    fn the_newest_measured_row_counts_and_not_the_newest_row() {
        let mut ages = SampleAges::default();
        ages.take(&[window("cart", 600, &[1.0, 1.0, f64::NAN]), window("web", 600, &[1.0, 2.0, 3.0])]);
        let watched = [subject("cart"), subject("web")];
        let found = ages.sum_up(watched.iter(), Timestamp::from_secs(600));
        assert_eq!(found.newest, Some(Timestamp::from_secs(600)));
        assert_eq!((found.oldest, found.blind), (Some(Timestamp::from_secs(540)), vec![subject("cart")]));
        // The windows of one that is silent for so long are gone altogether; its age isn't.
        ages.take(&[window("web", 6_000, &[1.0])]);
        let found = ages.sum_up(watched.iter(), Timestamp::from_secs(5_700));
        assert_eq!((found.oldest, found.blind), (Some(Timestamp::from_secs(540)), vec![subject("cart")]));
        let never = [subject("cart"), subject("db")];
        assert_eq!(ages.sum_up(never.iter(), Timestamp::from_secs(0)).oldest, None);
    }

    #[test]
    fn blindness_is_told_when_it_begins_doubles_and_ends() {
        let mut log = BlindnessLog::default();
        let ages = |n: usize| Ages { blind: (0..n).map(|n| subject(&format!("s{n}"))).collect(), ..Ages::default() };
        assert_eq!(log.cycle(&ages(0)), None);
        assert!(matches!(log.cycle(&ages(3)), Some(Told::Blind { n_blind: 3, .. })));
        assert_eq!((log.cycle(&ages(4)), log.cycle(&ages(2)), log.cycle(&ages(5))), (None, None, None));
        assert!(matches!(log.cycle(&ages(6)), Some(Told::Blind { n_blind: 6, ref names }) if names.ends_with('…')));
        assert_eq!(log.cycle(&ages(0)), Some(Told::Over));
    }
}
