//! How fusion is fitted: recurring times, the two thresholds, and the memory, from what the detectors said of a history.

use std::time::Duration;

use homeostat_core::{DetectorVote, Fused, LocalMoment, LocalTime, Timestamp};

use super::{Fusion, alert_nats};
use crate::alarm_threshold::AlarmThreshold;
use crate::budget::FalseAlarmBudget;
use crate::hysteresis::Hysteresis;
use crate::initial_threshold::{initial_threshold, threshold_by_history};
use crate::lasting::{Averages, HALF_LIVES_ROWS, Lasting, row_nats, take};
use crate::recurrence::Recurrence;

/// What the detectors said of a history, and what is wanted of the alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FusionFit<'a> {
    /// Which votes, in their order, take part in the smoothed score.
    pub(crate) ranks: &'a [bool],
    /// Of rows that the detectors were fitted on: what happens how often and when is counted in them, too.
    pub(crate) fitted: &'a [(Timestamp, RowNats)],
    /// Of rows that were held out.
    pub(crate) held_out: &'a [(Timestamp, Vec<DetectorVote>)],
    pub(crate) step: Duration,
    pub(crate) local_time: &'a LocalTime,
    pub(crate) budget: FalseAlarmBudget,
    pub(crate) hysteresis: Hysteresis,
}

/// A fusion, and what it was fitted to.
#[derive(Debug)]
pub(crate) struct FittedFusion {
    /// The held-out rows' fused surprisals, less what recurs; `None` is a row without a score.
    pub(crate) held_out_nats: Vec<Option<f64>>,
    /// The alarm threshold that they gave.
    pub(crate) threshold_nats: f64,
    /// As if it had seen the held-out rows.
    pub(crate) fusion: Fusion,
    /// What it said of the last of them.
    pub(crate) last: Option<Fused>,
}

/// What one row's votes say together, in nats; `None` with too few votes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowNats {
    alert: Option<f64>,
    lasting: Option<f64>,
}

impl RowNats {
    pub(crate) fn of(votes: &[DetectorVote]) -> Self {
        Self { alert: alert_nats(votes), lasting: row_nats(votes) }
    }
}

impl FusionFit<'_> {
    /// The fused surprisals of the held-out rows as the alert sees them, the threshold they gave, the fusion after these rows, and what it
    /// said of the last.
    pub(crate) fn run(self) -> FittedFusion {
        // Each path may use half of what is allowed.
        let budget = self.budget.halved();
        let n_fitted = self.fitted.len();
        let start = |nats: &[Option<f64>]| initial_threshold(nats, n_fitted, self.step, &budget, &self.hysteresis);
        let history = self.history();
        let (recurrence, mut alert) = self.discounted(&history, |row| row.alert);
        let initial = start(&alert);
        let (lasting_recurrence, rows) = self.discounted(&history, |row| row.lasting);
        let averages = self.averages(&rows, initial.threshold_nats, &budget);
        let lasting_initial = start(&averaged(&rows, averages.clone()));
        let threshold = |initial| AlarmThreshold::new(initial, &budget, self.step, self.hysteresis);
        let lasting = Lasting::new(lasting_recurrence, averages, threshold(lasting_initial));
        let mut fusion = Fusion::new(recurrence, threshold(initial), lasting, self.ranks.to_vec());
        let last = self.held_out.iter().map(|(at, votes)| fusion.push(self.local_time.moment(*at), votes)).last();
        let held_out_nats = alert.split_off(n_fitted.min(alert.len()));
        FittedFusion { held_out_nats, threshold_nats: initial.threshold_nats, fusion: fusion.calibrated(), last }
    }

    /// What each row of the history says, by local time: those that models were fitted on, then those held out.
    fn history(&self) -> Vec<(LocalMoment, RowNats)> {
        let held_out = self.held_out.iter().map(|(at, votes)| (*at, RowNats::of(votes)));
        self.fitted.iter().copied().chain(held_out).map(|(at, row)| (self.local_time.moment(at), row)).collect()
    }

    /// What recurs in one series of the history, and the series less what recurs.
    fn discounted(
        &self,
        history: &[(LocalMoment, RowNats)],
        of: fn(RowNats) -> Option<f64>,
    ) -> (Recurrence, Vec<Option<f64>>) {
        let mut rows: Vec<(LocalMoment, Option<f64>)> = history.iter().map(|(at, row)| (*at, of(*row))).collect();
        let values = |rows: &[(LocalMoment, Option<f64>)]| rows.iter().map(|(_, nats)| *nats).collect::<Vec<_>>();
        // What an alarm would need if nothing recurred, by the held-out rows alone.
        let held_out = values(&rows[self.fitted.len().min(rows.len())..]);
        let usual = initial_threshold(&held_out, 0, self.step, &self.budget, &self.hysteresis);
        let recurrence = Recurrence::fit(&mut rows, self.step, usual.threshold_nats);
        (recurrence, values(&rows))
    }

    /// The averages, each weighted so that its own threshold is the alert's.
    fn averages(&self, rows: &[Option<f64>], threshold_nats: f64, budget: &FalseAlarmBudget) -> Averages {
        Averages::new(HALF_LIVES_ROWS.map(|half_life| {
            let mut average = 0.0;
            let mut after = |row_nats: f64| {
                take(&mut average, half_life, row_nats);
                average
            };
            let series: Vec<Option<f64>> = rows.iter().map(|nats| nats.map(&mut after)).collect();
            let own = threshold_by_history(&series, self.fitted.len(), self.step, budget, &self.hysteresis);
            threshold_nats / own.threshold_nats
        }))
    }
}

fn averaged(rows: &[Option<f64>], mut averages: Averages) -> Vec<Option<f64>> {
    rows.iter().map(|nats| nats.map(|nats| averages.push(nats))).collect()
}
