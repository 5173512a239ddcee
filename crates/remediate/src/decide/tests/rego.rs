//! The organisation's own rules can only refuse, and refuse when they don't answer.

use homeostat_settings::Findings;

use super::*;
use crate::step::Step;

/// The rules of one file.
pub(super) fn rules(text: &str) -> Option<RegoRules> {
    let mut findings = Findings::new();
    let rules = RegoRules::read(&[RegoFile { name: "own.rego".into(), text: text.into() }], &mut findings);
    assert!(findings.is_empty(), "{:?}", findings.into_problems());
    rules
}

fn codes(decision: &Decision) -> Vec<(String, String)> {
    let code = |objection: &Objection| (objection.code.to_string(), objection.text.clone());
    decision.objections().iter().map(code).collect()
}

/// A wrong program would ask the rules about something else than what would be done, or drop their message.
#[test]
fn the_rules_see_what_would_be_done_and_to_what() {
    let text = r#"
package homeostat

deny contains msg if {
    input.action.name == "rollout-restart"
    input.target.labels.tier == "payment"
    input.incident.namespace == "shop"
    input.now.weekday == "friday"
    msg := sprintf("%s of %s has %d replicas, attempt %d", [input.incident.type, input.incident.name, input.target.replicas_wanted, input.action.attempt])
}
"#;
    let mut case = case();
    case.rego = rules(text);
    case.see().manifest = serde_json::json!({"metadata": {"labels": {"tier": "web"}}});
    assert!(matches!(case.decide(), Decision::Execute(_)), "{:?}", case.decide());
    case.see().manifest = serde_json::json!({"metadata": {"labels": {"tier": "payment"}}});
    let decision = case.decide();
    let message = "oom-killed of cart has 3 replicas, attempt 1";
    assert_eq!(codes(&decision), [("rego-denied".into(), format!("a Rego rule forbids it: {message}"))]);
    assert_eq!(decision.objections()[0].values["message"], message);
    assert!(matches!(decision, Decision::Refuse { .. }) && decision.next_step() == NextStep::Escalate);
}

/// Whatever a file says for it, another guardrail's refusal stays; without the rule's answer nothing is done.
#[test]
fn nothing_that_rules_say_permits_what_another_guardrail_refused() {
    let yes = "package homeostat\n\nallow := true\n\ndeny := set()\n";
    let mut case = case();
    case.rego = rules(yes);
    assert!(matches!(case.decide(), Decision::Execute(_)), "{:?}", case.decide());
    case.kill_switch.engaged = true;
    assert_eq!(case.decide().objections()[0].code, "kill-switch");
    case.kill_switch.engaged = false;
    case.rego = rules("package homeostat\n\ndeny := object.get(input, \"mode\", set())\n");
    let decision = case.decide();
    assert_eq!(codes(&decision)[0].0, "rego-failed", "{decision:?}");
    assert!(codes(&decision)[0].1.contains("is a text, it must be a set of messages"), "{decision:?}");
}

const GUIDE: &str = include_str!("../../../../../docs/guides/policies.md");

/// What the guide has in the block of this language.
fn block(language: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_guides_example_does_what_it_says() {
    let mut case = case();
    case.rego = rules(block("rego"));
    case.see().manifest = serde_json::json!({"metadata": {"labels": {"tier": "payment"}}});
    assert!(matches!(case.decide(), Decision::Execute(_)), "on a Friday: {:?}", case.decide());
    case.now = NOW + Duration::from_secs(24 * 3600);
    case.incident.updated_at = case.now;
    case.see().seen_at = case.now;
    let told = codes(&case.decide());
    let message = "a Rego rule forbids it: cart is a payment workload, and it is saturday";
    assert_eq!(told, [("rego-denied".into(), message.into())]);
}

/// A rule names keys, and one that isn't there would silence it.
#[test]
fn the_guide_has_every_key_of_the_input() {
    fn keys(value: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
        // What is below is the action's, or the object's.
        let is_open = ["action.args", "target.labels", "target.annotations", "target.object"].contains(&path);
        for (key, value) in value.as_object().into_iter().flatten().filter(|_| !is_open) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            keys(value, &path, found);
            found.insert(path);
        }
    }
    let (mut told, mut real) = (BTreeSet::new(), BTreeSet::new());
    keys(&serde_json::from_str(block("json")).unwrap(), "", &mut told);
    let case = case();
    let environment = case.environment(std::slice::from_ref(&case.incident));
    let proposal = Proposal::new(&case.incident, &case.policies, &case.history);
    let context = DecisionContext {
        proposal: &proposal,
        seen: case.seen.as_ref(),
        asked: None,
        history: &case.history,
        environment: &environment,
        limits: &case.limits,
        now: case.now,
    };
    let step = Step { action: RESTART, args: Args::default() };
    keys(&crate::rego::input(&context, case.seen.as_ref().unwrap(), &step, &Inverse::Nothing), "", &mut real);
    assert_eq!(told, real);
}
