//! Searching for better options without fooling oneself: successive halving, and a choice judged where it wasn't made.
//!
//! [`Space`] draws trials, [`Search`] says which series each must be judged on next, [`Finished`] what came of it. All pure:
//! the caller runs the jobs, in any order and over any number of starts, and gives back [`TrialOutcome`]s; the same
//! outcomes give the same end. What an option does is unknown here, an option is a name and the names of its values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evaluation::SeriesJudgement;
use crate::metrics::EventCounts;

mod choice;
mod effects;
mod plan;
mod report;
mod search;
mod space;
#[cfg(test)]
mod tests;

pub use choice::{Chosen, Finished, HeldOut, Worth};
pub use effects::{Effect, effects};
pub use plan::{Job, SearchSpec};
pub use report::{Named, tuning_figure_lines, tuning_text};
pub use search::{Search, Step};
pub use space::{Space, Trial, TunedOption};

/// How one trial did on one series with one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialOutcome {
    /// VUS-PR; `None` without a labelled row. A series that couldn't be run counts 0: options that break it are worse.
    pub vus_pr: Option<f64>,
    /// What its alerts found.
    pub events: Option<EventCounts>,
    /// Days that were judged.
    pub days: f64,
    /// Why it couldn't be run.
    pub failure: Option<String>,
}

impl TrialOutcome {
    /// What counts of a judgement.
    pub fn of(judgement: &SeriesJudgement) -> Self {
        let failed = judgement.failure.is_some();
        Self {
            vus_pr: if failed { Some(0.0) } else { judgement.vus_pr },
            events: judgement.events.clone(),
            days: judgement.days,
            failure: judgement.failure.clone(),
        }
    }
}

/// Outcomes by what was run.
pub type Outcomes = BTreeMap<Job, TrialOutcome>;
