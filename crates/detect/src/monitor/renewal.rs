//! Newer models for a monitor that goes on.

use std::collections::BTreeMap;

use homeostat_core::Subject;

use super::{Monitor, Watched};
use crate::ensemble::Ensemble;
use crate::limits::LimitWatch;

impl Monitor {
    /// Takes models that were trained anew while it watched, also of subjects that had none. Incidents, what they were told and the
    /// way to limits stay; rows that were seen already are seen by the new models, too, and told to nobody again. Returns
    /// the subjects that keep their models, in order: those in an incident, because a fault must not be trained into normal and then
    /// be called recovered. A subject that isn't among the new models keeps its own, too.
    pub fn renew(&mut self, mut ensembles: BTreeMap<Subject, Ensemble>) -> Vec<Subject> {
        let mut kept: Vec<Subject> = self.open_incidents().map(|incident| incident.subject.clone()).collect();
        kept.retain(|subject| self.position(subject).is_some() && ensembles.remove(subject).is_some());
        let mut watched: BTreeMap<Subject, Watched> =
            self.watched.drain(..).map(|watched| (watched.subject.clone(), watched)).collect();
        #[cfg(feature = "onnx")]
        self.autoencoders.clear();
        for (subject, ensemble) in ensembles {
            // Limits were checked when they were given.
            let limits = || LimitWatch::new(ensemble.schema(), ensemble.step(), &self.limits).unwrap_or_default();
            let known = watched.remove(&subject).filter(|known| known.ensemble.schema() == ensemble.schema());
            let (limits, told_until) = known.map_or_else(|| (limits(), None), |known| (known.limits, known.told_until));
            let new = Watched {
                subject: subject.clone(),
                ensemble,
                limits,
                told_until,
                #[cfg(feature = "onnx")]
                batch: None,
            };
            watched.insert(subject, new);
        }
        for (_, Watched { subject, ensemble, limits, told_until, .. }) in watched {
            self.watch(subject, ensemble, limits, told_until);
        }
        kept
    }
}
