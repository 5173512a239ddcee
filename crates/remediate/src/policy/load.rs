//! Reads policies from YAML, in whichever format each document is: everything that is wrong is told at once.

use homeostat_settings::{Findings, Place, Problem, Reader, parse_documents};

use super::Policy;
use super::formats::format_of;
use crate::action::Actions;

/// Policies in one file; more is a generated file gone wrong, and overlap is checked between all pairs.
const POLICIES_MAX: usize = 1000;

/// Reads all policies of a YAML text, which may name these actions. `file` only names the file in problems, which come in the
/// order of lines.
pub fn load_policies(text: &str, file: &str, actions: &Actions) -> Result<Vec<Policy>, Vec<Problem>> {
    let mut findings = Findings::new();
    let policies = read_policies(text, file, actions, &mut findings);
    if findings.is_empty() { Ok(policies) } else { Err(findings.into_problems()) }
}

/// The same for who wants to know all that was found. What is read counts only if there is no problem among it.
pub fn read_policies(text: &str, file: &str, actions: &Actions, findings: &mut Findings) -> Vec<Policy> {
    let documents = parse_documents(file, text).unwrap_or_else(|problem| {
        findings.push(problem);
        Vec::new()
    });
    let mut policies: Vec<(Place, Policy)> = Vec::new();
    for document in &documents {
        let mut reader = Reader::new(file, "", document, findings);
        policies.extend(format_of(&reader).read(&mut reader, actions));
        reader.finish();
    }
    check_together(file, &policies, findings);
    policies.into_iter().map(|(_, policy)| policy).collect()
}

fn check_together(file: &str, policies: &[(Place, Policy)], problems: &mut Vec<Problem>) {
    let mut add = |place: Place, message: String| problems.push(Problem { file: file.to_owned(), place, message });
    if let Some((place, _)) = policies.get(POLICIES_MAX) {
        add(*place, format!("more than {POLICIES_MAX} policies in one file"));
        return;
    }
    for (idx, (place, policy)) in policies.iter().enumerate() {
        for (_, earlier) in &policies[..idx] {
            for overlap in overlaps(earlier, policy) {
                add(*place, overlap);
            }
        }
    }
}

/// Why two policies can't be in force together, if so: of one file, or of two.
pub fn overlap(earlier: &Policy, policy: &Policy) -> Option<String> {
    overlaps(earlier, policy).into_iter().next()
}

fn overlaps(earlier: &Policy, policy: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    if earlier.name == policy.name {
        found.push(format!("two policies are named {:?}; names must differ", policy.name));
    }
    if earlier.incident_type == policy.incident_type && earlier.scope.overlaps(&policy.scope) {
        found.push(format!(
            "policies {:?} and {:?} are both for {} and their scopes overlap; make the scopes disjoint",
            earlier.name, policy.name, policy.incident_type
        ));
    }
    found
}
