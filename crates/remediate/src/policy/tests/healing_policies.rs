use homeostat_core::{Comparison, ThresholdRule};

use super::*;

const CONFIG_MAP: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: healing-policies
  namespace: shop
data:
  README: what else is in it
  policies.yaml: |
    - name: high-memory-restart
      condition:
        metric: memory
        operator: \">\"
        threshold: 85
        window: 5m
      action:
        type: restart-pod
";

const BARE: &str = "
- name: high-cpu
  condition: {metric: cpu_usage, operator: greater_than, threshold: 0.8, window: 2m}
  action: {type: restart-pod}
- name: idle
  condition: {metric: cpu_usage, operator: '<', threshold: 0.1, window: 30m}
  action: {type: restart-pod}
";

#[test]
fn a_config_map_is_read_as_it_is_and_is_for_its_own_namespace() {
    let policies = load_policies(CONFIG_MAP, "p.yaml", &actions()).unwrap();
    let [policy] = policies.as_slice() else { panic!("{policies:?}") };
    let window = Duration::from_secs(300);
    let rule = ThresholdRule { metric: "memory".into(), comparison: Comparison::Above, threshold: 85.0, window };
    assert_eq!(policy.rule, Some(rule));
    assert_eq!((policy.name.as_str(), policy.incident_type), ("high-memory-restart", IncidentType::MemoryLeak));
    assert_eq!(policy.action, Some(PolicyAction::new(RESTART, crate::step::Args::default())));
    assert_eq!(policy.scope.to_string(), "namespace shop");
    assert!(policy.may_execute());
}

#[test]
fn a_mounted_list_names_no_namespace_and_so_only_proposes() {
    let policies = load_policies(BARE, "p.yaml", &actions()).unwrap();
    assert_eq!(
        policies.iter().map(|policy| policy.incident_type).collect::<Vec<_>>(),
        [IncidentType::CpuSpike, IncidentType::Unknown]
    );
    assert!(policies.iter().all(|policy| policy.scope == Scope::Unstated && !policy.may_execute()));
    let with_key = format!("policies:{}", BARE.replace('\n', "\n  "));
    assert_eq!(load_policies(&with_key, "p.yaml", &actions()).unwrap(), policies);
}

#[test]
fn what_is_wrong_in_a_config_map_is_told_with_its_place_in_the_text() {
    let text = CONFIG_MAP.replace("threshold: 85", "threshold: lots").replace("restart-pod", "reboot-node");
    let found = problems(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        found[0],
        "p.yaml (in data.policies.yaml):5:16: policies[0].condition.threshold: must be a number, not a text"
    );
    assert!(found[1].contains("unknown action \"reboot-node\"; this format has: restart-pod, scale-deployment"));
    let other = problems(&CONFIG_MAP.replace("  policies.yaml: |", "  others.yaml: |"));
    assert!(other[0].contains("must have the key policies.yaml"), "{other:?}");
}

#[test]
fn an_action_that_this_build_lacks_is_told_as_that() {
    let scale = BARE.replacen("{type: restart-pod}", "{type: scale-deployment, replicas: 5}", 1);
    assert!(problems(&scale)[0].contains("this build has no action scale"), "{:?}", problems(&scale));
    for (action, expected) in [
        ("{type: restart-pod, replicas: 3}", "is for scale-deployment only"),
        ("{replicas: 3}", "policies[0].action.type is missing"),
    ] {
        let found = problems(&BARE.replacen("{type: restart-pod}", action, 1));
        assert!(found[0].contains(expected), "{found:?}");
    }
}

#[test]
fn every_key_of_a_rule_is_needed() {
    for key in ["name: high-cpu", "metric: cpu_usage", "operator: greater_than", "threshold: 0.8", "window: 2m"] {
        let text = BARE.replacen(key, "", 1).replace("{,", "{").replace(", ,", ",").replace(", }", "}");
        let name = key.split(':').next().unwrap();
        let text = text.replace("- \n", "-\n");
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.contains(&format!("{name} is missing"))), "{key}: {found:?}");
    }
}
