//! Prints how many false alarms a subject gets in quiet times, as a share of the budget: `figure budget.realised…`.
//!
//! `cargo run --release -p homeostat-benches --bin budget [SUBJECTS]`: each of 200 subjects (unless said otherwise) is trained
//! on 14 days at 5 minutes and watched for 50 more; nothing is ever wrong with any. Every tenth subject has all
//! default detectors, the others all but the autoencoder, whose training would take most of the time.
//!
//! An alarm is counted as an event judge would: rows of the open gate (2 of 3 rows at the boundary, or one at four times it), joined
//! over pauses of up to 10 minutes; one that lasts counts again every hour.

use std::error::Error;
use std::f64::consts::TAU;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, Schema, Score, Seed, Signal, Subject, Timestamp, Window};
use homeostat_detect::{DetectorSpec, Ensemble, EnsembleSpec};
use ndarray::Array2;

const STEP: Duration = Duration::from_secs(300);
const ROWS_PER_DAY: usize = 288;
const TRAINED_DAYS: usize = 14;
const WATCHED_DAYS: usize = 50;
const SUBJECTS: usize = 200;
const N_FEATURES: usize = 4;
/// Every so many subjects one has all detectors.
const ALL_DETECTORS_EVERY: usize = 10;
const BUDGETS: [(&str, &str); 2] = [("1d", "1 per 1d"), ("7d", "1 per 7d")];

/// What quiet looks like. Every kind has a season and noise; the name is what comes on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A daily and a weekly wave, normal noise.
    Seasons,
    /// A level that walks, with a memory of a day.
    Drift,
    /// Noise with Student's t of 4 degrees of freedom.
    HeavyTails,
    /// Noise that grows by half from the first to the last day.
    Growing,
    /// Noise with a memory of 10 rows.
    Correlated,
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Seasons, "seasons"),
    (Kind::Drift, "drift"),
    (Kind::HeavyTails, "heavy-tails"),
    (Kind::Growing, "growing"),
    (Kind::Correlated, "correlated"),
];

/// Normal numbers from a linear congruential generator (Knuth's MMIX constants), the same on every machine.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Box and Muller 1958.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }

    /// Student's t of 4 degrees of freedom: a normal over the root of a mean of four squares.
    fn student(&mut self) -> f64 {
        let squares: f64 = (0..4).map(|_| self.normal().powi(2)).sum();
        self.normal() / (squares / 4.0).sqrt()
    }
}

/// All rows of a subject, `(n_rows, n_features)`.
fn rows(kind: Kind, seed: Seed) -> Array2<f64> {
    let n_rows = (TRAINED_DAYS + WATCHED_DAYS) * ROWS_PER_DAY;
    let mut values = Array2::zeros((n_rows, N_FEATURES));
    for (feature_idx, mut column) in values.columns_mut().into_iter().enumerate() {
        let mut noise = Noise(seed.fork(&format!("feature-{feature_idx}")).value());
        let phase = noise.uniform();
        let (mut walk, mut memory) = (0.0_f64, 0.0_f64);
        for (row, value) in column.iter_mut().enumerate() {
            let day = row as f64 / ROWS_PER_DAY as f64;
            let season = 2.0 * (TAU * (day + phase)).sin() + 0.7 * (TAU * (day / 7.0 + phase)).sin();
            let fresh = noise.normal();
            walk = walk * (1.0 - 1.0 / ROWS_PER_DAY as f64) + 0.1 * noise.normal();
            memory = 0.9 * memory + 0.436 * fresh;
            *value = 20.0
                + season
                + match kind {
                    Kind::Seasons => fresh,
                    Kind::Drift => fresh + walk,
                    Kind::HeavyTails => noise.student(),
                    Kind::Growing => fresh * (1.0 + 0.5 * row as f64 / n_rows as f64),
                    Kind::Correlated => memory,
                };
        }
    }
    values
}

fn window(values: &Array2<f64>, from: usize, to: usize) -> Result<Window, Box<dyn Error>> {
    let feature = |idx: usize| Feature {
        name: format!("feature-{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    let schema = Arc::new(Schema::new((0..N_FEATURES).map(feature).collect())?);
    let start = Timestamp::from_secs((from as u64 * STEP.as_secs()).try_into()?);
    let grid = Grid::new(start, STEP, to - from)?;
    let rows = values.slice(ndarray::s![from..to, ..]).to_owned();
    Ok(Window::new(Subject::deployment("quiet", "subject"), grid, schema, rows)?)
}

/// Counts alarms in rows of scores, one a step.
#[derive(Default)]
struct Counter {
    latest: [f64; 3],
    pause_rows: usize,
    alarm_rows: usize,
    n_alarms: usize,
}

impl Counter {
    const PAUSE_ROWS: usize = 5;
    const HOUR_ROWS: usize = 12;

    fn push(&mut self, score: f64) {
        self.latest.rotate_left(1);
        self.latest[2] = score;
        let alarms = score >= 4.0 || self.latest.iter().filter(|score| **score >= 1.0).count() >= 2;
        let goes_on = self.alarm_rows > 0 && self.pause_rows <= Self::PAUSE_ROWS;
        self.alarm_rows = match (alarms, goes_on) {
            (_, true) => self.alarm_rows + 1,
            (true, false) => 1,
            (false, false) => 0,
        };
        if alarms {
            self.pause_rows = 0;
            if self.alarm_rows % Self::HOUR_ROWS == 1 {
                self.n_alarms += 1;
            }
        } else {
            self.pause_rows += 1;
        }
    }
}

/// False alarms of one subject in its watched days.
fn alarms(kind: Kind, subject_idx: usize, budget: &str) -> Result<usize, Box<dyn Error>> {
    let seed = homeostat_benches::SEED.fork(&format!("budget-{subject_idx}"));
    let values = rows(kind, seed);
    let mut detectors = DetectorSpec::all_default();
    if !subject_idx.is_multiple_of(ALL_DETECTORS_EVERY) {
        detectors.retain(|detector| detector.name() != "autoencoder");
    }
    let spec = EnsembleSpec { detectors, budget: budget.parse()?, ..EnsembleSpec::default() };
    let n_trained = TRAINED_DAYS * ROWS_PER_DAY;
    let mut ensemble = Ensemble::train(&spec, &window(&values, 0, n_trained)?, seed)?;
    let mut counter = Counter::default();
    for row in ensemble.assess_rows(&window(&values, n_trained, values.nrows())?)? {
        counter.push(row.assessment.score().map_or(0.0, Score::value));
    }
    Ok(counter.n_alarms)
}

fn main() -> Result<(), Box<dyn Error>> {
    let n_subjects: usize = std::env::args().nth(1).map_or(Ok(SUBJECTS), |text| text.parse())?;
    let mut out = std::io::stdout().lock();
    for (name, budget) in BUDGETS {
        let per_day = budget.parse::<homeostat_detect::FalseAlarmBudget>()?.incidents_per_day();
        // By kind: subjects and alarms. Subjects with all detectors are counted once more, apart.
        let (mut by_kind, mut all_detectors) = ([(0_usize, 0_usize); KINDS.len()], (0_usize, 0_usize));
        for subject_idx in 0..n_subjects {
            // Kinds change slower than the detectors do, so that each kind has subjects with all of them.
            let kind_idx = (subject_idx + subject_idx / KINDS.len()) % KINDS.len();
            let n_alarms = alarms(KINDS[kind_idx].0, subject_idx, budget)?;
            let add = |sum: &mut (usize, usize)| *sum = (sum.0 + 1, sum.1 + n_alarms);
            add(&mut by_kind[kind_idx]);
            if subject_idx % ALL_DETECTORS_EVERY == 0 {
                add(&mut all_detectors);
            }
        }
        let ratio = |(n, n_alarms): (usize, usize)| n_alarms as f64 / (n * WATCHED_DAYS) as f64 / per_day;
        let sum = by_kind.iter().fold((0, 0), |sum, kind| (sum.0 + kind.0, sum.1 + kind.1));
        writeln!(out, "figure budget.realised.{name} {:.3} ratio", ratio(sum))?;
        for ((_, kind), counted) in KINDS.iter().zip(by_kind) {
            writeln!(out, "figure budget.realised.{name}.{kind} {:.3} ratio", ratio(counted))?;
        }
        writeln!(out, "figure budget.realised.{name}.all-detectors {:.3} ratio", ratio(all_detectors))?;
        writeln!(out, "figure budget.subject_days.{name} {} days", sum.0 * WATCHED_DAYS)?;
    }
    Ok(())
}
