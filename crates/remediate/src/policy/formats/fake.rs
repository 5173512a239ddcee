//! A policy format for tests: what registering one takes. A list of incident types that a human is called for.

use homeostat_core::{IncidentType, Mode};
use homeostat_settings::{Place, Reader};

use super::PolicyFormat;
use crate::action::Actions;
use crate::policy::Policy;

pub(super) struct Fake;

impl PolicyFormat for Fake {
    fn keys(&self) -> &'static [&'static str] {
        &["call_for"]
    }

    fn read(&self, document: &mut Reader<'_>, _: &Actions) -> Vec<(Place, Policy)> {
        let policy = |incident_type: IncidentType| {
            let name = format!("call-for-{incident_type}");
            Policy { mode: Mode::Recommend, ..Policy::new(name, incident_type) }
        };
        let incident_type = document.parsed::<IncidentType>("call_for");
        incident_type.map(|incident_type| (document.place(), policy(incident_type))).into_iter().collect()
    }

    #[cfg(test)]
    fn example(&self) -> &'static str {
        "call_for: oom-killed"
    }
}
