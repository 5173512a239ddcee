//! The formats that policies may be written in, one file each. To add one: its file, its `mod` line, and its line in
//! [`FORMATS`].

mod custom_resource;
#[cfg(test)]
mod fake;
mod healing_policies;
mod object_list;
mod remediation_policy;

use homeostat_settings::{Node, Place, Reader, Value};

use super::Policy;
use crate::action::Actions;

/// A format that policies may be written in.
pub(super) trait PolicyFormat: Sync {
    /// The top-level keys by which a document is known to be in it. No two formats share one.
    fn keys(&self) -> &'static [&'static str];

    /// Reads a document's policies, each with its place; what is wrong with them goes to the reader.
    fn read(&self, document: &mut Reader<'_>, actions: &Actions) -> Vec<(Place, Policy)>;

    /// The shortest document in it that is right, for the contract test.
    #[cfg(test)]
    fn example(&self) -> &'static str;
}

/// Every format. A document that none of them claims is read as the first, which says what is missing.
static FORMATS: &[&dyn PolicyFormat] = &[
    &remediation_policy::RemediationPolicy,
    &healing_policies::HealingPolicies,
    &object_list::ObjectList,
    &custom_resource::CustomResource,
    #[cfg(test)]
    &fake::Fake,
];

/// The format that the document is in.
pub(super) fn format_of(document: &Reader<'_>) -> &'static dyn PolicyFormat {
    let claims = |format: &&&'static dyn PolicyFormat| format.keys().iter().any(|key| document.has(key));
    FORMATS.iter().find(claims).copied().unwrap_or(&remediation_policy::RemediationPolicy)
}

/// The key of a list of policies where a document is nothing but that list.
pub(super) const LIST_KEY: &str = healing_policies::LIST_KEY;

/// Whether the document is a bare list of policies.
pub(super) fn is_list_of_policies(document: &Node) -> bool {
    let Value::List(items) = &document.value else { return false };
    items.iter().any(|item| match &item.value {
        Value::Map(entries) => entries.iter().any(|(key, _, _)| key == "condition"),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::List(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::policy::load_policies;
    use crate::test_actions::actions;

    #[test]
    fn every_formats_example_is_read_and_its_keys_are_its_own() {
        let mut keys = BTreeSet::new();
        for format in FORMATS {
            assert!(
                !format.keys().is_empty() && format.keys().iter().all(|key| keys.insert(*key)),
                "{}",
                format.keys()[0]
            );
            let policies = load_policies(format.example(), "p", &actions());
            let policies = policies.unwrap_or_else(|problems| panic!("{}: {problems:?}", format.keys()[0]));
            assert!(!policies.is_empty(), "{}", format.keys()[0]);
            // Each key is read by this format and by no other.
            let misspelt = format!("{}\nno_such_key: 1\n", format.example());
            assert!(load_policies(&misspelt, "p", &actions()).is_err(), "{}", format.keys()[0]);
        }
    }

    #[test]
    fn policies_of_two_formats_are_checked_together() {
        let text = format!("{}\n---\n{}\n", FORMATS[0].example(), fake::Fake.example());
        let problems = load_policies(&text, "p", &actions()).unwrap_err();
        assert!(problems.iter().any(|problem| problem.message.contains("scopes overlap")), "{problems:?}");
    }

    /// What it costs to add one, counted on the fake: a file, and here its `mod` line and its line in the list.
    #[test]
    fn a_policy_format_is_one_file_and_one_line_of_registration() {
        let here = include_str!("formats.rs").split("mod tests {").next().unwrap_or_default();
        let registered = here.lines().filter(|line| line.contains("fake"));
        assert_eq!(registered.collect::<Vec<_>>(), ["mod fake;", "    &fake::Fake,"]);
    }
}
