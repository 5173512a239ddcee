//! The rights to watch the cluster's objects for facts: to look, never to write, and no Secrets.

use std::fmt::Write;

use super::account::Account;
use crate::serve::facts::resources::{RESOURCES, Resource};

/// Roles in these namespaces, or one for all of them; nodes are in none.
pub(super) fn manifests(namespaces: &[String], account: &Account) -> String {
    let mut text = String::from("# To watch objects and events for what they say of causes (kubernetes.facts).\n");
    if namespaces.is_empty() {
        role(&mut text, "Cluster", "", &RESOURCES, account);
        return text;
    }
    let (namespaced, others): (Vec<Resource>, Vec<Resource>) =
        RESOURCES.iter().partition(|resource| resource.is_namespaced);
    role(&mut text, "Cluster", "", &others, account);
    for namespace in namespaces {
        role(&mut text, "", &format!(", namespace: {namespace}"), &namespaced, account);
    }
    text
}

fn role(text: &mut String, scope: &str, namespace: &str, resources: &[Resource], account: &Account) {
    let _ = write!(
        text,
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {scope}Role\nmetadata: {{name: homeostat-facts{namespace}}}\nrules:\n"
    );
    for resource in resources {
        let verbs = resource.rights().map(|right| right.verb).join(", ");
        let _ = writeln!(
            text,
            "- {{apiGroups: [{:?}], resources: [{}], verbs: [{verbs}]}}",
            resource.group, resource.plural
        );
    }
    let Account { namespace: of, name } = account;
    let _ = write!(
        text,
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {scope}RoleBinding\nmetadata: {{name: homeostat-facts{namespace}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {scope}Role, name: homeostat-facts}}\n\
         subjects:\n- {{kind: ServiceAccount, namespace: {of}, name: {name}}}\n"
    );
}

#[cfg(test)]
mod tests {
    use super::super::account::account;
    use super::*;

    #[test]
    fn whoever_watches_may_look_and_nothing_else() {
        let account = account("ops/homeostat").unwrap();
        let all = manifests(&[], &account);
        assert!(
            all.contains("kind: ClusterRole\n") && all.contains("resources: [nodes], verbs: [list, watch]"),
            "{all}"
        );
        let two = manifests(&["shop".into(), "pay".into()], &account);
        for kind in ["kind: Role\n", "kind: RoleBinding\n"] {
            assert_eq!(two.matches(kind).count(), 2, "one in each: {two}");
        }
        assert_eq!(two.matches("resources: [nodes]").count(), 1);
        for text in [all, two] {
            let verbs = text.lines().filter_map(|line| line.split_once("verbs: "));
            assert!(verbs.clone().count() >= 11 && verbs.clone().all(|(_, verbs)| verbs == "[list, watch]}"), "{text}");
            assert!(!text.contains("secrets"), "{text}");
        }
    }
}
