use homeostat_settings::Findings;

use super::*;

const SHOP: &str = "remediation_policy: {incident_type: oom-killed, auto_execute: true, confidence_threshold: 0.9, \
                    scope: {namespaces: [shop]}}";

fn read(files: &[(&str, &str)]) -> (usize, Vec<String>) {
    let (mut set, mut findings) = (PolicySet::default(), Findings::new());
    files.iter().for_each(|(file, text)| set.read(text, file, &actions(), &mut findings));
    (set.len(), findings.into_problems().iter().map(ToString::to_string).collect())
}

#[test]
fn policies_of_several_files_are_checked_together_and_the_other_place_is_named() {
    let bank = SHOP.replace("shop", "bank").replace("{incident_type", "{name: bank, incident_type");
    assert_eq!(read(&[("a.yaml", SHOP), ("b.yaml", &bank)]), (2, vec![]));
    let (_, found) = read(&[("a.yaml", SHOP), ("b.yaml", SHOP)]);
    assert_eq!(
        found,
        [
            "b.yaml:1:21: policies \"oom-killed\" (a.yaml:1) and \"oom-killed\" are both for oom-killed and their scopes overlap; \
             make the scopes disjoint",
            "b.yaml:1:21: two policies are named \"oom-killed\" (a.yaml:1); names must differ",
        ]
    );
}

#[test]
fn formats_are_checked_together_and_a_rule_is_in_nobodys_way() {
    let resource = "apiVersion: homeostat.io/v1alpha1\nkind: RemediationPolicy\nmetadata: {name: kills, namespace: shop}\n\
                    spec: {match: {incidentType: oom-killed}, confidence: {threshold: 0.9}}\n";
    let (_, found) = read(&[("a.yaml", SHOP), ("b.yaml", resource)]);
    assert!(found.len() == 1 && found[0].contains("are both for oom-killed"), "{found:?}");
    let rule = "- {name: hot, condition: {metric: cpu, operator: '>', threshold: 0.8, window: 5m}, action: {type: restart-pod}}";
    assert_eq!(read(&[("a.yaml", SHOP), ("b.yaml", rule)]), (2, vec![]));
    let policies = load_policies(&format!("{rule}\n{}", rule.replace("hot", "hotter")), "p", &actions()).unwrap();
    let warnings = lint(&policies, &actions());
    assert!(warnings.iter().any(|warning| warning.contains("has a rule on cpu, too")), "{warnings:?}");
}

#[test]
fn more_policies_than_anybody_writes_are_refused() {
    let one = |idx: usize| {
        format!(
            "- {{name: p{idx}, condition: {{metric: m{idx}, operator: '>', threshold: 1, window: 1m}}, action: {{type: restart-pod}}}}\n"
        )
    };
    let text: String = (0..1001).map(one).collect();
    let (n, found) = read(&[("a.yaml", &text)]);
    assert_eq!(n, 1000);
    assert!(
        found.len() == 1 && found[0].starts_with("a.yaml:1001:") && found[0].contains("more than 1000"),
        "{found:?}"
    );
}

#[test]
fn a_threshold_that_no_confidence_reaches_and_a_metric_that_nobody_measures_are_told() {
    let policies = load_policies(SHOP, "p", &actions()).unwrap();
    let told = |highest: f64| lint_confidence(&policies, |_| Confidence::new(highest).unwrap());
    assert_eq!(told(0.9), Vec::<String>::new());
    assert_eq!(
        told(0.85),
        ["oom-killed: no oom-killed reaches a confidence of 0.9: the highest lower bound that was measured is 0.850"]
    );
    assert!(told(0.0)[0].contains("nothing is known yet"));
    let rule = "- {name: hot, condition: {metric: cpu, operator: '>', threshold: 0.8, window: 5m}, action: {type: restart-pod}}";
    let policies = load_policies(rule, "p", &actions()).unwrap();
    let unknown: Vec<String> = lint_metrics(&policies, |_| None).collect();
    assert!(unknown[0].contains("the config has no query named cpu"), "{unknown:?}");
    assert_eq!(lint_metrics(&policies, |_| Some(homeostat_core::Signal::Cpu)).count(), 0);
}

/// Whoever reads it knows what will happen, and when not.
#[test]
fn a_policy_is_explained_in_sentences() {
    let example = include_str!("../../../../../deploy/remediationpolicy.example.yaml");
    let policies = load_policies(example, "p", &actions()).unwrap();
    let text = |idx: usize| explain(&policies[idx], &actions()).join("\n");
    assert_eq!(
        text(0),
        "It handles incidents of type bad-deployment in cart, checkout (of kind deployment) in namespace shop.
It executes rollout-undo, where homeostat's own mode is execute.
If that doesn't help, it goes on with rollout-restart, and then calls a human; at most 2 attempts in 2h on one workload.
It doesn't act while the confidence's lower bound is below 0.9 or rests on fewer than 20 labelled outcomes; or an action on the workload ended less than 15m ago; or it has acted 5 times in the last 1d; or it is none of monday, tuesday, wednesday, thursday, friday 08:00–18:00 in Europe/Berlin; or the freeze \"christmas\" goes on or is about to begin (2026-12-20T00:00:00Z to 2027-01-03T00:00:00Z); nor when any other guardrail objects.
It asks a human first when the confidence's lower bound is below 0.95, or when the action is rollout-restart.
After the action it waits 3m and watches the signals for 10m; if they aren't normal by then, it takes the action back where that is possible.
Whatever it doesn't do or doesn't cure is told to channel pagerduty-p1."
    );
    assert_eq!(
        text(1),
        "It opens an incident of type cpu-spike where cpu > 0.9 for 5m in namespace workers, and handles it.
It proposes rollout-restart to a human and executes nothing: its mode is recommend.
It makes at most 1 attempt in 1h on one workload, and calls a human when that didn't help.
After the action it waits 2m and watches the signals for 5m; if they aren't normal by then, it leaves the action as it is.
Whatever it doesn't do or doesn't cure is told to the default channel."
    );
}
