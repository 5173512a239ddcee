//! Histories with gaps where models don't learn.

use std::borrow::Cow;
use std::sync::Arc;

use homeostat_core::{Exclusion, Grid, Subject, Window};

use super::histories::Histories;

/// Histories with gaps where they are excluded.
struct Excluding {
    histories: Box<dyn Histories>,
    exclusions: Vec<Exclusion>,
}

/// The histories with gaps in these times.
pub(crate) fn excluding(histories: Box<dyn Histories>, exclusions: &[Exclusion]) -> Box<dyn Histories> {
    if exclusions.is_empty() {
        return histories;
    }
    Box::new(Excluding { histories, exclusions: exclusions.to_vec() })
}

impl Histories for Excluding {
    fn len(&self) -> usize {
        self.histories.len()
    }

    fn subject(&self, idx: usize) -> &Subject {
        self.histories.subject(idx)
    }

    fn grid(&self) -> Option<Grid> {
        self.histories.grid()
    }

    fn n_features(&self) -> usize {
        self.histories.n_features()
    }

    fn window(&self, idx: usize) -> anyhow::Result<Cow<'_, Window>> {
        let window = self.histories.window(idx)?;
        let of_subject: Vec<&Exclusion> =
            self.exclusions.iter().filter(|exclusion| exclusion.is_about(window.subject())).collect();
        let grid = *window.grid();
        let is_excluded = |row: &usize| of_subject.iter().any(|exclusion| exclusion.holds(grid.at(*row)));
        let rows: Vec<usize> = (0..grid.n_steps()).filter(is_excluded).collect();
        if rows.is_empty() {
            return Ok(window);
        }
        let mut values = window.values().to_owned();
        for row in rows {
            values.row_mut(row).fill(f64::NAN);
        }
        let (subject, schema) = (window.subject().clone(), Arc::clone(window.schema()));
        Ok(Cow::Owned(Window::new(subject, grid, schema, values)?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use homeostat_core::{Direction, Feature, NamePattern, Schema, Seed, Signal, Timestamp};
    use homeostat_detect::{DetectorSpec, EnsembleSpec, LoadOptions};
    use ndarray::Array2;
    use rand::Rng;

    use super::*;
    use crate::training::{TrainHooks, Work, train_with_hooks};

    fn exclusion(from_minute: i64, to_minute: i64) -> Exclusion {
        let at = |minute: i64| Timestamp::from_secs(60 * minute);
        let (from, to, reason) = (at(from_minute), at(to_minute), "test".to_owned());
        Exclusion { from, to, reason, namespaces: vec![], workloads: vec![], subject: None }
    }

    /// Minutes of noise, with this added to some of them.
    fn window(name: &str, n_rows: usize, adds: impl Fn(usize) -> f64) -> Window {
        let feature =
            Feature { name: "cpu".into(), signal: Signal::Cpu, direction: Direction::Both, deviation_min: 0.0 };
        let schema = Arc::new(Schema::new(vec![feature]).expect("a schema"));
        let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), n_rows).expect("a grid");
        let mut rng = Seed::new(1).fork(name).rng();
        let values = Array2::from_shape_fn((n_rows, 1), |(row, _)| 10.0 + rng.random::<f64>() + adds(row));
        Window::new(Subject::deployment("shop", name), grid, schema, values).expect("a window")
    }

    #[test]
    fn excluded_rows_are_gaps_for_those_they_are_about_and_rows_for_others() {
        let only_cart = Exclusion { workloads: vec![NamePattern::exactly("cart")], ..exclusion(2, 4) };
        let histories = vec![window("cart", 10, |_| 0.0), window("web", 10, |_| 0.0)];
        let histories = excluding(Box::new(histories), &[only_cart, exclusion(7, 8)]);
        let gaps = |idx: usize| {
            let window = histories.window(idx).expect("a window").into_owned();
            (0..10).filter(|row| window.row(*row)[0].is_nan()).collect::<Vec<_>>()
        };
        assert_eq!((gaps(0), gaps(1)), (vec![2, 3, 7], vec![7]));
        assert_eq!((histories.len(), histories.n_features()), (2, 1));
    }

    #[test]
    fn an_excluded_fault_has_no_part_in_the_models() {
        let detectors = ["residual", "forest", "envelope"].into_iter().filter_map(DetectorSpec::by_name).collect();
        let spec = EnsembleSpec { detectors, ..EnsembleSpec::default() };
        let models = |fault: f64, exclusions: &[Exclusion]| {
            // Of an hour, in the part that is fitted and in the part that is held out.
            let faults = |row: usize| {
                if (700..760).contains(&row) || (1_700..1_760).contains(&row) { fault } else { 0.0 }
            };
            let histories: Box<dyn Histories> = Box::new(vec![window("cart", 2_000, faults)]);
            let histories = excluding(histories, exclusions);
            let work = Work::new(&*histories, &spec, false, Seed::new(1));
            let hooks = TrainHooks { kept: None, found: &|_| {}, progress: &|_| {} };
            let mut trained = train_with_hooks(&work, &LoadOptions::default(), &hooks);
            let (_, ensemble) = trained.ensembles.pop_first().expect("trained");
            ensemble.save().expect("saved")
        };
        let both = [exclusion(700, 760), exclusion(1_700, 1_760)];
        assert_eq!(models(5.0, &both), models(0.0, &both));
        assert_ne!(models(5.0, &[]), models(0.0, &[]), "what isn't excluded is learned");
        assert_ne!(models(5.0, &both[..1]), models(0.0, &both[..1]), "and so is half of it");
    }
}
