//! `homeostat rbac`: the Kubernetes rights that a config's policies need, and no more, as manifests for `kubectl apply -f -`.

mod account;
mod sight;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use clap::Args;
use homeostat_core::{Mode, WorkloadKind};
use homeostat_remediate::{Actions, Policy, Right, Scope};

use super::check::problems_of;
use crate::config::{self, Config, JournalPlace};
use crate::flags::ConfigArgs;
use crate::outcome::{Outcome, print};
use account::Account;

/// What is looked at beside the target where it is allowed: autoscalers, disruption budgets, and the revisions to go back to.
const SIGHT: [Right; 4] = [
    Right { verb: "list", resource: "replicasets", group: "apps" },
    Right { verb: "list", resource: "controllerrevisions", group: "apps" },
    Right { verb: "list", resource: "horizontalpodautoscalers", group: "autoscaling" },
    Right { verb: "list", resource: "poddisruptionbudgets", group: "policy" },
];

#[derive(Debug, Args)]
pub(crate) struct RbacArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Whom the rights are for: the namespace and the name of homeostat's service account.
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "homeostat/homeostat", value_parser = account::account)]
    pub(crate) service_account: Account,
}

pub(crate) fn run(args: &RbacArgs) -> Outcome {
    match config::load(&args.config.file) {
        Ok(loaded) => {
            let config = &loaded.config;
            let actions = homeostat_execute::actions();
            let wanted =
                Wanted { mode: config.mode, kind: config.subjects.kind, policies: &config.policies, actions: &actions };
            print(&manifests(&wanted, &args.service_account));
            if let Some(kubernetes) = config.kubernetes.as_ref().filter(|kubernetes| kubernetes.facts) {
                print(&sight::manifests(&kubernetes.facts_namespaces, &args.service_account));
            }
            print(&own_objects(config, &args.service_account));
            Outcome::Done
        }
        Err(problems) => problems_of(&problems),
    }
}

/// What rights are wanted for.
struct Wanted<'a> {
    mode: Mode,
    /// What the series describe: rights on other kinds of workloads aren't needed.
    kind: WorkloadKind,
    policies: &'a [Policy],
    actions: &'a Actions,
}

/// Rights by namespace, and those in the whole cluster.
#[derive(Debug, Default, PartialEq)]
struct Rights {
    by_namespace: BTreeMap<String, BTreeSet<Right>>,
    in_cluster: BTreeSet<Right>,
}

/// The rights. What only proposes needs to look, not to write; what only observes needs nothing.
fn rights(wanted: &Wanted<'_>) -> Rights {
    let mut rights = Rights::default();
    for policy in wanted.policies {
        let Scope::Only { namespaces, .. } = &policy.scope else { continue };
        let actions: Vec<_> = policy.actions().filter_map(|action| wanted.actions.get(&action.name)).collect();
        let may_write = match wanted.mode.min(policy.mode) {
            Mode::Observe => continue,
            Mode::Recommend => false,
            // What isn't executed without a person's approval is with it.
            Mode::Execute => true,
        };
        let is_needed = |right: &Right| may_write || matches!(right.verb, "get" | "list");
        for namespace in namespaces {
            let of_actions: BTreeSet<Right> =
                actions.iter().flat_map(|action| action.spec().rights_for(wanted.kind)).filter(is_needed).collect();
            // What acts outside the cluster needs to see nothing of it.
            if actions.iter().all(|action| action.spec().rights.is_empty() && action.cluster_rights().is_empty()) {
                continue;
            }
            let of_namespace = rights.by_namespace.entry(namespace.clone()).or_default();
            of_namespace
                .extend(of_actions.into_iter().chain(SIGHT.into_iter().filter(|right| right.concerns(wanted.kind))));
        }
        let of_cluster = actions.iter().flat_map(|action| action.cluster_rights().iter().copied());
        rights.in_cluster.extend(of_cluster.filter(is_needed));
    }
    rights
}

fn manifests(wanted: &Wanted<'_>, account: &Account) -> String {
    let mut text = String::new();
    for policy in wanted.policies.iter().filter(|policy| policy.action.is_some() && policy.scope == Scope::Unstated) {
        let name = &policy.name;
        let _ =
            writeln!(text, "# The policy {name:?} names no scope, so it can't act, and no rights are given for it.");
    }
    let rights = rights(wanted);
    if rights == Rights::default() {
        text.push_str("# No rights are needed: in this mode no policy looks at the cluster.\n");
    }
    if !rights.in_cluster.is_empty() {
        text.push_str("# Nodes are in no namespace: an action on them needs rights in the whole cluster.\n");
        text.push_str(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: homeostat}\nrules:\n",
        );
        write_rules(&mut text, &rights.in_cluster);
        let Account { namespace: of, name } = account;
        let _ = write!(
            text,
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: homeostat}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: homeostat}}\n\
             subjects:\n- {{kind: ServiceAccount, namespace: {of}, name: {name}}}\n"
        );
    }
    for (namespace, rights) in rights.by_namespace {
        let mut rules = String::new();
        write_rules(&mut rules, &rights);
        text.push_str(&role("homeostat", &namespace, &rules, account));
    }
    text
}

fn write_rules(text: &mut String, rights: &BTreeSet<Right>) {
    for ((group, resource), verbs) in by_resource(rights) {
        let verbs = verbs.join(", ");
        let _ = writeln!(text, "- {{apiGroups: [{group:?}], resources: [{resource}], verbs: [{verbs}]}}");
    }
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
  - {incident_type: bad-deployment, auto_execute: true, mode: recommend, confidence_threshold: 0.9, scope: {namespaces: [web]}}
  - {incident_type: cpu-spike, auto_execute: false, confidence_threshold: 0.9, scope: {namespaces: [asks]}}
  - {incident_type: memory-leak, auto_execute: false, confidence_threshold: 0.9}
";

    fn of(mode: Mode) -> String {
        let actions = homeostat_execute::actions();
        let policies = load_policies(POLICIES, "p", &actions).unwrap();
        let wanted = Wanted { mode, kind: WorkloadKind::Deployment, policies: &policies, actions: &actions };
        manifests(&wanted, &account::account("ops/homeostat").unwrap())
    }

    #[test]
    fn who_acts_may_patch_who_proposes_may_look_and_who_observes_may_nothing() {
        let text = of(Mode::Execute);
        let roles: Vec<&str> = text.split("---\n").filter(|part| part.contains("kind: Role\n")).collect();
        assert_eq!(roles.len(), 4, "{text}");
        let patches = |namespace: &str| {
            let role = roles.iter().find(|role| role.contains(&format!("namespace: {namespace}}}"))).unwrap();
            role.contains("resources: [deployments], verbs: [get, patch]")
        };
        assert!(patches("shop") && patches("pay") && patches("asks") && !patches("web"), "{text}");
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
            let with = if action.example().is_empty() { "{}" } else { action.example() };
            let policy = format!(
                "remediation_policy: {{incident_type: oom-killed, action: {}, with: {with}, auto_execute: true, confidence_threshold: 0.9, scope: {{namespaces: [shop]}}}}",
                spec.name
            );
            let policies = load_policies(&policy, "p", &actions).unwrap();
            for kind in [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet] {
                let sight = SIGHT.into_iter().filter(|right| right.concerns(kind));
                let expected: BTreeSet<Right> = spec.rights_for(kind).chain(sight).collect();
                let wanted = Wanted { mode: Mode::Execute, kind, policies: &policies, actions: &actions };
                let found = rights(&wanted);
                if spec.rights.is_empty() && action.cluster_rights().is_empty() {
                    assert_eq!(found, Rights::default(), "{} acts outside the cluster", spec.name);
                    continue;
                }
                assert_eq!(found.by_namespace, BTreeMap::from([("shop".to_owned(), expected)]), "{}", spec.name);
                assert_eq!(found.in_cluster, action.cluster_rights().iter().copied().collect(), "{}", spec.name);
            }
        }
    }

    #[test]
    fn who_acts_on_nodes_gets_a_cluster_role_and_who_proposes_may_only_look() {
        let policy = "remediation_policy: {incident_type: node-failure, action: drain, auto_execute: true, \
                      confidence_threshold: 0.9, scope: {namespaces: [shop]}}";
        let actions = homeostat_execute::actions();
        let policies = load_policies(policy, "p", &actions).unwrap();
        let of = |mode| {
            let wanted = Wanted { mode, kind: WorkloadKind::Deployment, policies: &policies, actions: &actions };
            manifests(&wanted, &account::account("ops/homeostat").unwrap())
        };
        let executes = of(Mode::Execute);
        assert!(
            executes.contains("kind: ClusterRoleBinding")
                && executes.contains("resources: [pods/eviction], verbs: [create]")
        );
        assert!(executes.contains("resources: [nodes], verbs: [get, list, patch]"), "{executes}");
        let proposes = of(Mode::Recommend);
        assert!(
            proposes.contains("resources: [nodes], verbs: [get, list]") && !proposes.contains("eviction"),
            "{proposes}"
        );
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
            own_objects(&config::load(&path).unwrap().config, &account::account("ops/homeostat").unwrap())
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
            assert!(account::account(wrong).is_err(), "{wrong}");
        }
    }
}
