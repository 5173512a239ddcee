//! A labelled dataset made by the simulated shop: the same bytes for the same seed, on every machine.

use std::time::Duration;

use homeostat_core::{Seed, Timestamp, Window};
use homeostat_simulate::{FaultKind, FaultTruth, Scenario, ScheduleError, Shop, ShopSpec, ShopSpecError};

use super::SeriesEntry;

/// The set's name.
const SET: &str = "shop";

/// Days, training and judged together, at most: what the shop keeps of its past.
pub const SHOP_DAYS_MAX: u32 = 28;

/// Seconds between rows, and rows of a day.
const INTERVAL_S: u64 = 60;
const ROWS_A_DAY: usize = 86_400 / INTERVAL_S as usize;

/// Quiet time between one fault's end and the next fault's stretch: an hour of its aftermath, and two to breathe.
const BETWEEN: Duration = Duration::from_secs(2 * 3600);

/// What the shop should live through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShopDatasetSpec {
    /// Of services, noise and faults.
    pub seed: u64,
    /// Healthy days at the beginning, which train.
    pub train_days: u32,
    /// Days after that, with faults, which are judged.
    pub judged_days: u32,
}

/// A series as it is written: its place in the manifest and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenSeries {
    /// Its line of the manifest; `path` ends in `.csv.gz`.
    pub entry: SeriesEntry,
    /// Its file before it is zipped: `timestamp,features…,label`, an empty cell for a gap.
    pub csv: String,
}

/// Why there is no dataset.
#[derive(Debug, thiserror::Error)]
pub enum ShopDatasetError {
    /// Too few or too many days.
    #[error("training and judged days must be at least 1 each and {SHOP_DAYS_MAX} together at most")]
    Days,
    /// The shop can't be. A defect: please report it.
    #[error("the shop can't be made")]
    Shop(#[from] ShopSpecError),
    /// A fault can't be. A defect: please report it.
    #[error("a fault can't be planned")]
    Fault(#[from] ScheduleError),
}

/// The shop's services as labelled series, in order.
///
/// After the training days one fault follows another, drawn as for the calibration, and nobody cures them; a row is an
/// anomaly while a fault goes on in its service, or in one that it waits for. Campaigns are left out: whether traffic that
/// was announced is an anomaly is a question of taste. Values have four significant digits.
pub fn shop_dataset(spec: ShopDatasetSpec) -> Result<Vec<WrittenSeries>, ShopDatasetError> {
    let ShopDatasetSpec { seed, train_days, judged_days } = spec;
    if train_days == 0 || judged_days == 0 || train_days.saturating_add(judged_days) > SHOP_DAYS_MAX {
        return Err(ShopDatasetError::Days);
    }
    let (train_rows, n_rows) = (train_days as usize * ROWS_A_DAY, (train_days + judged_days) as usize * ROWS_A_DAY);
    let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
    let step = Duration::from_secs(INTERVAL_S);
    let shop_spec = ShopSpec { history_steps: n_rows, step, ..ShopSpec::default() };
    let seed = Seed::new(seed);
    let mut shop = Shop::new(shop_spec.clone(), seed.fork("shop"), START)?;
    shop.advance_to(START + days(train_days));
    let end = START + days(train_days + judged_days);
    for stretch in 0_u32.. {
        let mut scenario = Scenario::draw(&shop_spec, shop.now(), seed.fork(&format!("stretch {stretch}")));
        scenario.faults.retain(|fault| fault.kind != FaultKind::Campaign);
        if scenario.until > end {
            break;
        }
        scenario.schedule_on(&mut shop)?;
        shop.advance_to(scenario.until + BETWEEN);
    }
    shop.advance_to(end);
    let written = |window: &Window| {
        let name = window.subject().name.clone();
        let entry = SeriesEntry {
            set: SET.to_owned(),
            path: format!("{SET}/{name}.csv.gz"),
            series: name,
            rows: window.grid().n_steps(),
            train_rows,
            interval_s: INTERVAL_S,
        };
        WrittenSeries { entry, csv: csv(window, shop.truths()) }
    };
    Ok(shop.history().iter().map(written).collect())
}

/// A Monday at midnight, so that days of the week are what they seem.
const START: Timestamp = Timestamp::from_secs(1_767_571_200); // 2026-01-05T00:00:00Z

fn csv(window: &Window, truths: &[FaultTruth]) -> String {
    let names: Vec<&str> = window.schema().features().iter().map(|feature| feature.name.as_str()).collect();
    let mut text = format!("timestamp,{},label\n", names.join(","));
    let concerns = |truth: &&FaultTruth| {
        truth.subject == *window.subject() || truth.affected.iter().any(|subject| subject == window.subject())
    };
    let truths: Vec<&FaultTruth> = truths.iter().filter(concerns).collect();
    for step_idx in 0..window.grid().n_steps() {
        let at = window.grid().at(step_idx);
        text.push_str(&(at.as_millis() / 1000).to_string());
        for value in window.row(step_idx) {
            text.push(',');
            if !value.is_nan() {
                text.push_str(&rounded(*value).to_string());
            }
        }
        let is_anomaly = truths.iter().any(|truth| truth.start <= at && at < truth.over_at());
        text.push_str(if is_anomaly { ",1\n" } else { ",0\n" });
    }
    text
}

/// With four significant digits: what is measured is rarely surer, and the file is half as long.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Dataset, LabelledSeries, Placement};

    fn small() -> Vec<WrittenSeries> {
        shop_dataset(ShopDatasetSpec { seed: 3, train_days: 1, judged_days: 1 }).expect("a dataset")
    }

    #[test]
    fn the_same_seed_is_the_same_dataset_and_it_can_be_read_strictly() {
        let series = small();
        assert_eq!(series, small());
        let entries: Vec<SeriesEntry> = series.iter().map(|one| one.entry.clone()).collect();
        let manifest = serde_json::to_vec(&entries).expect("plain data");
        assert_eq!(Dataset::parse(&manifest).expect("a manifest").entries(), entries);
        for one in &series {
            let read = LabelledSeries::read(&one.entry, one.csv.as_bytes(), Placement::Strict).expect("a series");
            assert!(read.labels[..read.train_rows].iter().all(|label| !label), "training days are healthy");
        }
        let n_anomalous = series.iter().filter(|one| one.csv.contains(",1\n")).count();
        assert!(n_anomalous > 0 && n_anomalous < series.len(), "{n_anomalous}");
    }

    #[test]
    fn too_few_and_too_many_days_are_refused() {
        for (train_days, judged_days) in [(0, 1), (1, 0), (20, 20), (u32::MAX, 1)] {
            assert!(matches!(
                shop_dataset(ShopDatasetSpec { seed: 1, train_days, judged_days }),
                Err(ShopDatasetError::Days)
            ));
        }
    }

    #[test]
    fn values_have_four_significant_digits() {
        assert_eq!([0.0, 1.23456, -98_765.4, 1e-9].map(rounded), [0.0, 1.235, -98_770.0, 1e-9]);
    }
}
