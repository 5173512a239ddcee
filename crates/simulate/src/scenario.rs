//! One random stretch of a shop's life: a fault or none. For calibration and for scorecards over many seeds.

use std::time::Duration;

use homeostat_core::{Seed, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultKind, Severity};
use crate::random::Noise;
use crate::shop::{ScheduleError, Shop};
use crate::spec::ShopSpec;

/// Of all scenarios, these are quiet: what is opened in them is a false alarm, and calibration needs to see some.
const QUIET_SHARE: f64 = 0.2;

/// The fault begins this long after the scenario, at the earliest and latest.
const BEGINS_MIN: (f64, f64) = (30.0, 180.0);

/// A scenario ends this long after its fault has run its course.
const AFTERMATH: Duration = Duration::from_secs(3600);

/// What happens from one moment to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// When it begins.
    pub from: Timestamp,
    /// When it ends, an hour after its last fault at the earliest.
    pub until: Timestamp,
    /// Its faults; none in a quiet stretch.
    pub faults: Vec<Fault>,
}

impl Scenario {
    /// The four stories of the demo in the standard shop, twelve hours, in this order: a memory leak in `payment-api`, a
    /// bad deployment of `catalog`, a failure of the database below `payment-api` and `orders`, and a harmless campaign.
    /// They are hours apart, so that each can be found, acted on and verified before the next.
    pub fn showcase(spec: &ShopSpec, from: Timestamp) -> Self {
        let stories = [
            (FaultKind::MemoryLeak, "payment-api", 30, 240),
            (FaultKind::BadDeployment, "catalog", 180, 240),
            (FaultKind::DependencyFailure, "ledger-db", 360, 60),
            (FaultKind::Campaign, "frontend", 540, 120),
        ];
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let faults = stories.into_iter().filter_map(|(kind, name, begins, lasts)| {
            let subject = spec.service(name)?.subject(&spec.namespace);
            Some(Fault::new(kind, subject, from + minutes(begins), Severity::MODERATE).lasting(minutes(lasts)))
        });
        Self { from, until: from + minutes(720), faults: faults.collect() }
    }

    /// Schedules all its faults; the first that can't be is the error, those before it stay scheduled.
    pub fn schedule_on(&self, shop: &mut Shop) -> Result<(), ScheduleError> {
        self.faults.iter().try_for_each(|fault| shop.schedule(fault.clone()))
    }

    /// Draws one: quiet, or one fault of any kind that can befall the service drawn, at any severity from mild to full,
    /// lasting one to four hours if nothing cures it.
    pub fn draw(spec: &ShopSpec, from: Timestamp, seed: Seed) -> Self {
        let mut noise = Noise::new(seed.fork("scenario"));
        let subjects = spec.subjects();
        let is_quiet = noise.unit() < QUIET_SHARE;
        let begins = seconds(60.0 * noise.between(BEGINS_MIN.0, BEGINS_MIN.1));
        let lasts = seconds(3600.0 * noise.between(1.0, 4.0));
        let until = from + begins + lasts + AFTERMATH;
        let severity = Severity::new(noise.between(0.3, 1.0)).unwrap_or(Severity::MODERATE);
        let Some(subject) = subjects.get(noise.index(subjects.len())).filter(|_| !is_quiet) else {
            return Self { from, until, faults: Vec::new() };
        };
        let kinds: Vec<FaultKind> = FaultKind::ALL.into_iter().filter(|kind| kind.can_befall(subject.kind)).collect();
        let Some(kind) = kinds.get(noise.index(kinds.len())).copied() else {
            return Self { from, until, faults: Vec::new() };
        };
        let fault = Fault::new(kind, subject.clone(), from + begins, severity).lasting(lasts);
        Self { from, until, faults: vec![fault] }
    }
}

/// Whole seconds: faults begin on the clock's tick, which keeps exports readable.
fn seconds(seconds: f64) -> Duration {
    Duration::from_secs(seconds as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64) -> Scenario {
        Scenario::draw(&ShopSpec::default(), Timestamp::from_secs(1_000_000), Seed::new(seed))
    }

    #[test]
    fn the_same_seed_draws_the_same_scenario() {
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn every_scenario_can_be_played() {
        let from = Timestamp::from_secs(1_000_020);
        let spec = ShopSpec::default();
        let drawn = (0..40).map(|seed| Scenario::draw(&spec, from, Seed::new(seed)));
        for scenario in drawn.chain([Scenario::showcase(&spec, from)]) {
            let mut shop = Shop::new(spec.clone(), Seed::new(1), from).expect("a shop");
            scenario.schedule_on(&mut shop).expect("scheduled");
            shop.advance_to(scenario.until);
            assert_eq!(shop.truths().len(), scenario.faults.len());
            assert!(shop.truths().iter().all(|truth| truth.end.is_some()), "{scenario:?}");
        }
        assert_eq!(Scenario::showcase(&spec, from).faults.len(), 4);
    }

    #[test]
    fn many_seeds_draw_every_kind_and_some_quiet() {
        let scenarios: Vec<Scenario> = (0..500).map(draw).collect();
        let n_quiet = scenarios.iter().filter(|scenario| scenario.faults.is_empty()).count();
        assert!((60..140).contains(&n_quiet), "{n_quiet}");
        for kind in FaultKind::ALL {
            assert!(scenarios.iter().flat_map(|scenario| &scenario.faults).any(|fault| fault.kind == kind), "{kind:?}");
        }
        for scenario in &scenarios {
            assert!(scenario.faults.iter().all(|fault| {
                fault.start >= scenario.from
                    && fault.runs_until() < scenario.until
                    && fault.kind.can_befall(fault.subject.kind)
            }));
        }
    }
}
