//! Reads policies from YAML, in whichever format each document is: everything that is wrong is told at once.

use homeostat_settings::{Findings, Node, Problem, Reader, Value, parse_documents};

use super::formats::{LIST_KEY, format_of, is_list_of_policies};
use super::{Policy, PolicySet};
use crate::action::Actions;

/// Reads all policies of a YAML text, which may name these actions. `file` only names the file in problems, which come in the
/// order of lines.
pub fn load_policies(text: &str, file: &str, actions: &Actions) -> Result<Vec<Policy>, Vec<Problem>> {
    let mut findings = Findings::new();
    let policies = read_policies(text, file, actions, &mut findings);
    if findings.is_empty() { Ok(policies) } else { Err(findings.into_problems()) }
}

/// The same for who wants to know all that was found. What is read counts only if there is no problem among it.
pub fn read_policies(text: &str, file: &str, actions: &Actions, findings: &mut Findings) -> Vec<Policy> {
    let mut set = PolicySet::default();
    set.read(text, file, actions, findings);
    set.into_policies()
}

impl PolicySet {
    /// Adds the policies of one more file; problems, also those with what was added before, go to the findings. What is read
    /// counts only if there is none among them.
    pub fn read(&mut self, text: &str, file: &str, actions: &Actions, findings: &mut Findings) {
        let documents = parse_documents(file, text).unwrap_or_else(|problem| {
            findings.push(problem);
            Vec::new()
        });
        let mut policies = Vec::new();
        for document in documents.into_iter().map(with_key) {
            let mut reader = Reader::new(file, "", &document, findings);
            policies.extend(format_of(&reader).read(&mut reader, actions));
            reader.finish();
        }
        self.add(file, policies, findings);
    }
}

/// A document that is a bare list of policies, as a mounted ConfigMap has it, is read as if the list had its key.
fn with_key(document: Node) -> Node {
    if !is_list_of_policies(&document) {
        return document;
    }
    let place = document.place;
    Node { place, value: Value::Map(vec![(LIST_KEY.to_owned(), place, document)]) }
}
