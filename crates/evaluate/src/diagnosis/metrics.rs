//! Shares of a diagnosis, with what they are worth.

use std::collections::BTreeMap;

use homeostat_core::IncidentType;

use super::{Diagnosis, FaultCase, Said};
use homeostat_core::Proportion;

/// Shares over all harmful faults, at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiagnosisMetrics {
    /// Of all faults, those that had an incident at all.
    pub detected: Proportion,
    /// Of all faults, those whose cause was the first suspect. A fault that wasn't detected counts as wrong.
    pub top1: Proportion,
    /// Of all faults, those whose cause was among the first three.
    pub top3: Proportion,
    /// Of the faults with an incident at the cause, those rightly called.
    pub typing: Proportion,
    /// Macro-F1 of the types over the same; `None` without any.
    pub typing_macro_f1: Option<f64>,
}

impl DiagnosisMetrics {
    /// When somebody was called.
    pub fn at_call(diagnosis: &Diagnosis) -> Self {
        Self::of(diagnosis, |case| case.at_call)
    }

    /// When each fault was over.
    pub fn at_last(diagnosis: &Diagnosis) -> Self {
        Self::of(diagnosis, |case| case.at_last)
    }

    fn of(diagnosis: &Diagnosis, said: fn(&FaultCase) -> Said) -> Self {
        let cases = || diagnosis.cases.iter();
        let within = |n: usize| Proportion::count(cases().map(|case| said(case).rank.is_some_and(|rank| rank < n)));
        let typed = || cases().filter_map(|case| Some((case, said(case).incident_type?)));
        Self {
            detected: Proportion::count(cases().map(|case| case.detected)),
            top1: within(1),
            top3: within(3),
            typing: Proportion::count(typed().map(|(case, called)| case.incident_types.contains(&called))),
            typing_macro_f1: macro_f1(typed()),
        }
    }
}

/// The mean of the F1 of each type that some fault really was. Where several types name a fault rightly, each of them counts
/// as its best.
fn macro_f1<'a>(typed: impl Iterator<Item = (&'a FaultCase, IncidentType)>) -> Option<f64> {
    /// How often a type was rightly called, was called, and was there.
    #[derive(Default)]
    struct Counts {
        right: usize,
        called: usize,
        there: usize,
    }
    let mut by_type: BTreeMap<IncidentType, Counts> = BTreeMap::new();
    for (case, called) in typed {
        let Some(best) = case.incident_types.first().copied() else { continue };
        let called = if case.incident_types.contains(&called) { best } else { called };
        by_type.entry(best).or_default().there += 1;
        by_type.entry(called).or_default().called += 1;
        by_type.entry(best).or_default().right += usize::from(called == best);
    }
    let there = by_type.values().filter(|counts| counts.there > 0);
    let f1: Vec<f64> = there.map(|counts| 2.0 * counts.right as f64 / (counts.called + counts.there) as f64).collect();
    (!f1.is_empty()).then(|| f1.iter().sum::<f64>() / f1.len() as f64)
}
