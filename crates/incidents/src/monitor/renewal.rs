//! Newer models for a monitor that goes on.

use std::collections::BTreeMap;

use homeostat_core::Subject;
use homeostat_detect::Ensemble;

use super::{Followed, Monitor};
use crate::limits::LimitWatch;

impl Monitor {
    /// Takes models that were trained anew while it watched, also of subjects that had none. Incidents, what they were told and the
    /// way to limits stay; rows that were seen already are seen by the new models, too, and told to nobody again. Returns
    /// the subjects that keep their models, in order: those in an incident, because a fault must not be trained into normal and then
    /// be called recovered. A subject that isn't among the new models keeps its own, too.
    pub fn renew(&mut self, mut ensembles: BTreeMap<Subject, Ensemble>) -> Vec<Subject> {
        let mut kept: Vec<Subject> = self.open_incidents().map(|incident| incident.subject.clone()).collect();
        kept.retain(|subject| self.fleet.position(subject).is_some() && ensembles.remove(subject).is_some());
        let is_other = |subject: &Subject, ensemble: &Ensemble| {
            ensembles.get(subject).is_some_and(|newer| newer.schema() != ensemble.schema())
        };
        // What was followed of other features is followed anew, and so is who is new.
        let mut known: BTreeMap<Subject, Followed> = self
            .fleet
            .iter()
            .zip(self.followed.drain(..))
            .filter(|((subject, ensemble), _)| !is_other(subject, ensemble))
            .map(|((subject, _), followed)| (subject.clone(), followed))
            .collect();
        self.fleet.replace(ensembles);
        self.fleet.expect(&self.expected);
        if let Some(budgets) = &self.budgets {
            self.fleet.hold_to(budgets);
        }
        let followed = self.fleet.iter().map(|(subject, ensemble)| {
            // Limits were checked when they were given.
            let limits = || LimitWatch::new(ensemble.schema(), ensemble.step(), &self.limits).unwrap_or_default();
            known.remove(subject).unwrap_or_else(|| Followed { limits: limits() })
        });
        self.followed = followed.collect();
        kept
    }
}
