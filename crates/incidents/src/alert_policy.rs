//! The alert policy by itself: any program's surprisals in, notifications out.
//!
//! What decides is what decides for an ensemble: where the threshold starts, how it moves, the rules by which incidents open
//! and alarm anew. It is here so that detectors can be compared under one policy; the service doesn't use it.

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Assessment, Fused, IncidentChange, Schema, Score, Subject, Timestamp, Window};
use homeostat_detect::{
    AlarmThreshold, AssessedRow, DEAD_ZONE_NATS, FUSED_NATS_MAX, FalseAlarmBudget, Hysteresis, VOTES_MIN, in_units_of,
    initial_threshold,
};

use crate::confidence::Calibration;
use crate::limits::LimitWatch;
use crate::tracker::{ClusterContext, SubjectRow, Tracker, TrackerTimes};

/// One subject's threshold and incidents, fed with one surprisal a row.
///
/// Like an ensemble of one detector, but that one vote suffices. Its incidents have no evidence, so they never resolve;
/// that changes no call, because a pause ends an alarm all the same.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use homeostat_core::{Direction, Feature, Grid, Schema, Signal, Subject, Timestamp, Window};
/// use homeostat_detect::{FalseAlarmBudget, Hysteresis};
/// use homeostat_incidents::AlertPolicy;
///
/// let cpu = Feature { name: "cpu".into(), signal: Signal::Cpu, direction: Direction::Both, deviation_min: 0.0 };
/// let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 1)?;
/// let schema = Arc::new(Schema::new(vec![cpu])?);
/// let window = Window::new(Subject::deployment("shop", "cart"), grid, schema, ndarray::array![[0.5]])?;
///
/// let history: Vec<Option<f64>> = (0..2000).map(|row| Some(f64::from(row * 7919 % 97) / 20.0)).collect();
/// let mut policy = AlertPolicy::fit(&window, &history, &FalseAlarmBudget::default(), Hysteresis::default());
/// let rows = (0..).zip([0.1, 40.0, 60.0, 60.0, 0.2]);
/// let n_calls = rows.filter(|(row, nats)| policy.push(grid.at(*row), Some(*nats))).count();
/// assert_eq!(n_calls, 1, "an incident calls when it opens, and not at each row");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AlertPolicy {
    alarm_threshold: AlarmThreshold,
    tracker: Tracker,
    subject: Subject,
    schema: Arc<Schema>,
    step: Duration,
}

impl AlertPolicy {
    /// With the threshold where this history puts it: surprisals (`−ln` of a row's tail probability, in nats) of consecutive
    /// rows; `None` is a row without one. `of` says whose they are and how far rows are apart; its values don't count.
    pub fn fit(of: &Window, history_nats: &[Option<f64>], budget: &FalseAlarmBudget, hysteresis: Hysteresis) -> Self {
        let step = of.grid().step();
        let history: Vec<Option<f64>> = history_nats.iter().map(|nats| nats.and_then(excess_nats)).collect();
        let initial = initial_threshold(&history, 0, step, budget, &hysteresis);
        let mut alarm_threshold = AlarmThreshold::new(initial, budget, step, hysteresis);
        for nats in &history {
            alarm_threshold.push(*nats);
        }
        // Without evidence an incident is stale from its first minutes on: it must go on all the same.
        let times = TrackerTimes { stale_ends_after: Duration::MAX, ..TrackerTimes::default() };
        Self {
            alarm_threshold: alarm_threshold.restarted(),
            tracker: Tracker::new(hysteresis, times, Calibration::unknown()),
            subject: of.subject().clone(),
            schema: Arc::clone(of.schema()),
            step,
        }
    }

    /// Takes the next row's surprisal and says whether it calls somebody.
    pub fn push(&mut self, at: Timestamp, surprisal_nats: Option<f64>) -> bool {
        let excess = surprisal_nats.and_then(excess_nats);
        let threshold = self.alarm_threshold.push(excess);
        let fused = match excess {
            Some(nats) => Fused::Scored {
                score: in_units_of(threshold, nats),
                lasting_score: Score::ZERO,
                smoothed_score: Score::ZERO,
            },
            None => Fused::TooFewVotes { n_scored: 0, n_needed: VOTES_MIN },
        };
        let assessment = Assessment { at, votes: Vec::new(), fused, deviations: Vec::new(), expected: Vec::new() };
        let row = AssessedRow { assessment, features: Vec::new() };
        let row = SubjectRow {
            subject: &self.subject,
            schema: &self.schema,
            step: self.step,
            row: &row,
            limits: &LimitWatch::default(),
        };
        self.tracker.step(at, [row], &ClusterContext::default()).iter().any(IncidentChange::notifies)
    }
}

/// What counts of a surprisal; `None` of what isn't a number.
fn excess_nats(nats: f64) -> Option<f64> {
    (!nats.is_nan()).then(|| (nats - DEAD_ZONE_NATS).clamp(0.0, FUSED_NATS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat_core::{Direction, Feature, Grid, Seed, Signal};
    use ndarray::Array2;
    use rand::Rng;

    const DAY_ROWS: usize = 1440;

    fn minutes() -> Window {
        let schema = Schema::new(vec![Feature {
            name: "x".into(),
            signal: Signal::Other,
            direction: Direction::Both,
            deviation_min: 0.0,
        }]);
        let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 1).expect("a grid");
        let schema = Arc::new(schema.expect("a schema"));
        Window::new(Subject::deployment("a", "b"), grid, schema, Array2::zeros((1, 1))).expect("a window")
    }

    /// Surprisals of rows that are nothing but noise: −ln of a uniform tail probability.
    fn noise(seed: &str, n_rows: usize) -> Vec<Option<f64>> {
        let mut rng = Seed::new(3).fork(seed).rng();
        (0..n_rows).map(|_| Some(-(1.0 - rng.random::<f64>()).ln())).collect()
    }

    fn calls(policy: &mut AlertPolicy, rows: &[Option<f64>]) -> Vec<usize> {
        let at = |row: usize| Timestamp::from_secs(60 * row as i64);
        (0..rows.len()).filter(|row| policy.push(at(*row), rows[*row])).collect()
    }

    fn daily() -> AlertPolicy {
        let budget = "1 per 1d".parse().expect("a budget");
        AlertPolicy::fit(&minutes(), &noise("history", 3 * DAY_ROWS), &budget, Hysteresis::default())
    }

    #[test]
    fn noise_calls_about_as_often_as_the_budget_allows() {
        let n_days = 40;
        let n_calls = calls(&mut daily(), &noise("later", n_days * DAY_ROWS)).len();
        assert!((n_days / 5..=n_days * 3 / 2).contains(&n_calls), "{n_calls} calls in {n_days} days");
    }

    #[test]
    fn a_fault_calls_once_however_long_it_lasts_and_anew_after_a_pause() {
        let mut rows = vec![Some(0.0); 400];
        rows[100..250].fill(Some(200.0));
        rows[300..310].fill(Some(200.0));
        assert_eq!(calls(&mut daily(), &rows), [100, 300]);
    }

    #[test]
    fn rows_without_a_number_neither_call_nor_break_it() {
        let mut rows = vec![Some(0.0); 40];
        rows[10..20].fill(Some(f64::NAN));
        rows[20..30].fill(None);
        rows[35] = Some(f64::INFINITY);
        assert_eq!(calls(&mut daily(), &rows), [35]);
    }
}
