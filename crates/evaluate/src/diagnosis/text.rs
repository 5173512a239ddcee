//! A diagnosis as rows of tables.

use std::collections::BTreeSet;

use homeostat_core::IncidentType;
use homeostat_simulate::FaultKind;

use super::Diagnosis;

/// Faults by kind against what the incident at the cause was called when somebody was called. Types that name a kind rightly
/// are marked.
pub(crate) fn confusion(diagnosis: &Diagnosis) -> Vec<Vec<String>> {
    let called: BTreeSet<IncidentType> = diagnosis.cases.iter().filter_map(|case| case.at_call.incident_type).collect();
    let mut header = vec!["fault".to_owned(), "faults".to_owned()];
    header.extend(called.iter().map(|one| one.name().to_owned()));
    header.extend(["elsewhere", "missed", "cause first"].map(str::to_owned));
    let mut rows = vec![header];
    for kind in FaultKind::ALL {
        let cases: Vec<_> = diagnosis.cases.iter().filter(|case| case.kind == kind).collect();
        if cases.is_empty() {
            continue;
        }
        let count = |holds: &dyn Fn(&super::FaultCase) -> bool| cases.iter().filter(|case| holds(case)).count();
        let shown = |n: usize, mark: &str| if n == 0 { "·".to_owned() } else { format!("{n}{mark}") };
        let mut row = vec![kind.name().to_owned(), cases.len().to_string()];
        row.extend(called.iter().map(|one| {
            let n = count(&|case| case.at_call.incident_type == Some(*one));
            // A leak that has killed is rightly called either; what counts is told case by case.
            let n_right = count(&|case| case.at_call.incident_type == Some(*one) && case.incident_types.contains(one));
            shown(n, if n_right > 0 { "*" } else { "" })
        }));
        row.push(shown(count(&|case| case.detected && case.at_call.incident_type.is_none()), ""));
        row.push(shown(count(&|case| !case.detected), ""));
        row.push(shown(count(&|case| case.at_call.rank == Some(0)), ""));
        rows.push(row);
    }
    rows
}
