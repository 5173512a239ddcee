//! `homeostat rbac`: the Kubernetes rights that a config's policies need, and no more, as manifests for `kubectl apply -f -`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use clap::Args;
use homeostat_core::Mode;
use homeostat_remediate::{Actions, Policy, Right, Scope};

use super::check::problems_of;
use crate::config::{self, Config, JournalPlace};
use crate::flags::ConfigArgs;
use crate::outcome::{Outcome, print};

/// What is looked at beside the target where it is allowed: autoscalers, disruption budgets, and the revisions to go back to.
const SIGHT: [Right; 3] = [
    Right { verb: "list", resource: "replicasets", group: "apps" },
    Right { verb: "list", resource: "horizontalpodautoscalers", group: "autoscaling" },
    Right { verb: "list", resource: "poddisruptionbudgets", group: "policy" },
];

#[derive(Debug, Args)]
pub(crate) struct RbacArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Whom the rights are for: the namespace and the name of homeostat's service account.
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "homeostat/homeostat", value_parser = account)]
    pub(crate) service_account: Account,
}

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    namespace: String,
    name: String,
}

fn account(text: &str) -> Result<Account, String> {
    let is_name = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
    };
    match text.split_once('/') {
        Some((namespace, name)) if is_name(namespace) && is_name(name) => {
            Ok(Account { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        Some(_) | None => Err("it must be a namespace and a name, such as homeostat/homeostat".to_owned()),
    }
}

pub(crate) fn run(args: &RbacArgs) -> Outcome {
    match config::load(&args.config.file) {
        Ok(loaded) => {
            let config = &loaded.config;
            print(&manifests(config.mode, &config.policies, &homeostat_execute::actions(), &args.service_account));
            print(&own_objects(config, &args.service_account));
            Outcome::Done
        }
        Err(problems) => problems_of(&problems),
    }
}

/// The rights by namespace. What only proposes needs to look, not to write; what only observes needs nothing.
fn rights(mode: Mode, policies: &[Policy], actions: &Actions) -> BTreeMap<String, BTreeSet<Right>> {
    let mut rights: BTreeMap<String, BTreeSet<Right>> = BTreeMap::new();
    for policy in policies {
        let spec = policy.action.as_ref().and_then(|wanted| actions.get(&wanted.name)).map(|action| action.spec());
        let (Some(spec), Scope::Only { namespaces, .. }) = (spec, &policy.scope) else { continue };
        let may_write = match mode.min(policy.mode) {
            Mode::Observe => continue,
            Mode::Recommend => false,
            Mode::Execute => policy.auto_execute,
        };
        let is_needed = |right: &&Right| may_write || matches!(right.verb, "get" | "list");
        for namespace in namespaces {
            let of_namespace = rights.entry(namespace.clone()).or_default();
            of_namespace.extend(spec.rights.iter().filter(is_needed).chain(&SIGHT).copied());
        }
    }
    rights
}

fn manifests(mode: Mode, policies: &[Policy], actions: &Actions, account: &Account) -> String {
    let mut text = String::new();
    for policy in policies.iter().filter(|policy| policy.action.is_some() && policy.scope == Scope::Unstated) {
        let name = &policy.name;
        let _ =
            writeln!(text, "# The policy {name:?} names no scope, so it can't act, and no rights are given for it.");
    }
    let rights = rights(mode, policies, actions);
    if rights.is_empty() {
        text.push_str("# No rights are needed: in this mode no policy looks at the cluster.\n");
    }
    for (namespace, rights) in rights {
        let mut rules = String::new();
        for ((group, resource), verbs) in by_resource(&rights) {
            let verbs = verbs.join(", ");
            let _ = writeln!(rules, "- {{apiGroups: [{group:?}], resources: [{resource}], verbs: [{verbs}]}}");
        }
        text.push_str(&role("homeostat", &namespace, &rules, account));
    }
    text
}

/// The rights on homeostat's own objects, in their namespace only: the lease, the journal in the cluster, and what people see
/// of it.
fn own_objects(config: &Config, account: &Account) -> String {
    let mut rules = String::new();
    let mut rule = |group: &str, resources: &str, named: Option<&str>, verbs: &str| {
        let named = named.map(|name| format!("resourceNames: [{name}], ")).unwrap_or_default();
        let _ = writeln!(rules, "- {{apiGroups: [{group:?}], resources: [{resources}], {named}verbs: [{verbs}]}}");
    };
    if let Some(election) = &config.leader_election {
        // What is created has no name yet that could be asked for.
        rule("coordination.k8s.io", "leases", None, "create");
        rule("coordination.k8s.io", "leases", Some(&election.lease_name), "get, update");
    }
    if config.journal == JournalPlace::Kubernetes {
        rule("homeostat.io", "journals", None, "create");
        rule("homeostat.io", "journals", Some("homeostat"), "get, update");
        rule("homeostat.io", "journalrows", None, "create, delete, get, list");
        rule("homeostat.io", "incidents, remediations", None, "create, delete, list, patch");
    }
    if rules.is_empty() {
        return rules;
    }
    let own = config.kubernetes.as_ref().and_then(|kubernetes| kubernetes.namespace.as_deref());
    role("homeostat-state", own.unwrap_or(&account.namespace), &rules, account)
}

/// A role with its binding.
fn role(name: &str, namespace: &str, rules: &str, account: &Account) -> String {
    let Account { namespace: of, name: whom } = account;
    format!(
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {name}, namespace: {namespace}}}\nrules:\n{rules}\
         ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}\n\
         subjects:\n- {{kind: ServiceAccount, namespace: {of}, name: {whom}}}\n"
    )
}

fn by_resource(rights: &BTreeSet<Right>) -> BTreeMap<(&str, &str), Vec<&str>> {
    let mut rules: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for right in rights {
        rules.entry((right.group, right.resource)).or_default().push(right.verb);
    }
    rules
}

#[cfg(test)]
mod tests {
    use homeostat_remediate::load_policies;

    use super::*;

    const POLICIES: &str = "
remediation_policies:
  - {incident_type: oom-killed, auto_execute: true, confidence_threshold: 0.9, scope: {namespaces: [shop, pay]}}
  - {incident_type: bad-deployment, auto_execute: false, confidence_threshold: 0.9, scope: {namespaces: [web]}}
  - {incident_type: memory-leak, auto_execute: false, confidence_threshold: 0.9}
";

    fn of(mode: Mode) -> String {
        let actions = homeostat_execute::actions();
        let policies = load_policies(POLICIES, "p", &actions).unwrap();
        manifests(mode, &policies, &actions, &account("ops/homeostat").unwrap())
    }

    #[test]
    fn who_acts_may_patch_who_proposes_may_look_and_who_observes_may_nothing() {
        let text = of(Mode::Execute);
        let roles: Vec<&str> = text.split("---\n").filter(|part| part.contains("kind: Role\n")).collect();
        assert_eq!(roles.len(), 3, "{text}");
        let patches = |namespace: &str| {
            let role = roles.iter().find(|role| role.contains(&format!("namespace: {namespace}}}"))).unwrap();
            role.contains("resources: [deployments], verbs: [get, patch]")
        };
        assert!(patches("shop") && patches("pay") && !patches("web"), "{text}");
        assert!(text.contains("- {kind: ServiceAccount, namespace: ops, name: homeostat}"));
        assert!(text.contains("# The policy \"memory-leak\" names no scope"));
        assert!(!of(Mode::Recommend).contains("patch") && of(Mode::Recommend).contains("verbs: [get]"));
        assert!(of(Mode::Observe).contains("# No rights are needed"));
    }

    #[test]
    fn every_right_of_every_action_in_use_is_given_and_none_that_no_action_needs() {
        let actions = homeostat_execute::actions();
        for action in actions.iter() {
            let spec = action.spec();
            let policy = format!(
                "remediation_policy: {{incident_type: oom-killed, action: {}, auto_execute: true, confidence_threshold: 0.9, scope: {{namespaces: [shop]}}}}",
                spec.name
            );
            let policies = load_policies(&policy, "p", &actions).unwrap();
            let expected: BTreeSet<Right> = spec.rights.iter().chain(&SIGHT).copied().collect();
            assert_eq!(rights(Mode::Execute, &policies, &actions), BTreeMap::from([("shop".to_owned(), expected)]));
        }
    }

    #[test]
    fn its_own_objects_need_rights_in_their_namespace_only() {
        let of = |text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("config.yaml");
            let config = format!(
                "datasources: [{{url: http://127.0.0.1:9090}}]\nqueries: {{m: {{expr: m, signal: memory}}}}\n{text}"
            );
            std::fs::write(&path, config).unwrap();
            own_objects(&config::load(&path).unwrap().config, &account("ops/homeostat").unwrap())
        };
        assert_eq!(of("kubernetes: {}"), "");
        let alone = of("kubernetes: {}\nstorage: {journal: kubernetes}");
        assert!(alone.contains("{name: homeostat-state, namespace: ops}") && !alone.contains("leases"), "{alone}");
        assert!(alone.contains("resources: [journals], resourceNames: [homeostat], verbs: [get, update]"), "{alone}");
        let several = "kubernetes: {namespace: state}\nstorage: {journal: kubernetes}\nleader_election: {enabled: true, lease_name: one}";
        let several = of(several);
        assert!(several.contains("{name: homeostat-state, namespace: state}"), "{several}");
        assert!(several.contains("resources: [leases], resourceNames: [one], verbs: [get, update]"), "{several}");
    }

    #[test]
    fn a_service_account_is_a_namespace_and_a_name() {
        for wrong in ["homeostat", "/x", "a/b c", "a/}", ""] {
            assert!(account(wrong).is_err(), "{wrong}");
        }
    }
}
