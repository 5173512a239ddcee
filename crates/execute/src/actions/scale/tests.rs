use homeostat_core::Timestamp;
use homeostat_remediate::{SeenObject, load_policies};
use proptest::prelude::*;

use super::*;
use crate::actions::actions;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn args(with: &str) -> Result<Args, String> {
    let text = format!(
        "remediation_policy: {{incident_type: latency, auto_execute: false, confidence_threshold: 0.9, action: scale, with: {with}}}"
    );
    let policies = load_policies(&text, "p", &actions());
    policies.map(|policies| policies[0].action.clone().unwrap().args).map_err(|problems| problems[0].to_string())
}

fn seen(replicas: u32) -> Inspected {
    let container = json!({ "name": "cart", "resources": { "requests": { "memory": "1Gi" } } });
    Inspected {
        replicas_wanted: replicas,
        quotas: Known::Is(vec![]),
        manifest: json!({ "metadata": {}, "spec": { "template": { "spec": { "containers": [container] } } } }),
        ..Inspected::at_rest("u", WorkloadKind::Deployment, NOW)
    }
}

fn autoscaled(replicas: u32, kind: ObjectKind, annotations: Value) -> Inspected {
    let manifest = json!({ "metadata": { "name": "cart", "uid": "h", "resourceVersion": "5", "annotations": annotations },
        "spec": { "minReplicas": 2 } });
    let lever = SeenObject { object: ObjectRef::of(kind, &manifest).unwrap(), manifest, owner: None };
    let (replicas_min, replicas_max) = (2, 8);
    let autoscaler = Autoscaler { name: "cart".into(), replicas_min, replicas_max, lever: Known::Is(lever) };
    Inspected { autoscaler: Known::Is(autoscaler), ..seen(replicas) }
}

fn step(with: &str, seen: &Inspected) -> Result<(Step, Inverse), String> {
    let args = args(with).unwrap();
    Scale.step(&Ask { args: &args, now: NOW, trouble_at: &[] }, seen).map_err(|objection| objection.code.into_owned())
}

fn replicas_of(with: &str, seen: &Inspected) -> Result<u32, String> {
    step(with, seen).map(|(step, _)| step.args.count("replicas").unwrap())
}

#[test]
fn a_policy_says_how_many_and_how_many_at_most() {
    for right in ["{by: 2, max: 10}", "{times: 1.5, max: 10}", "{to: 6, max: 6, allow_down: true, for: 2h}"] {
        assert!(args(right).is_ok(), "{right}: {:?}", args(right));
    }
    for (wrong, part) in [
        ("{by: 2}", "with.max is missing"),
        ("{max: 10}", "with.by is missing"),
        ("{by: 2, to: 4, max: 10}", "exclude each other"),
        ("{by: 0, max: 10}", "with.by"),
        ("{times: 0.5, max: 10}", "with.times"),
        ("{by: 2, max: 10, for: 30d}", "with.for"),
        ("{by: 2, max: 10, colour: red}", "colour"),
    ] {
        let problem = args(wrong).unwrap_err();
        assert!(problem.contains(part), "{wrong}: {problem}");
    }
}

#[test]
fn the_count_is_relative_or_absolute_and_stays_within_the_maximum() {
    let cases = [
        ("{by: 2, max: 10}", 3, Ok(5)),
        ("{by: 2, max: 4}", 3, Ok(4)),
        ("{times: 1.5, max: 10}", 3, Ok(5)),
        ("{times: 1, max: 10}", 3, Err("at-maximum")),
        ("{to: 6, max: 10}", 3, Ok(6)),
        ("{to: 6, max: 10}", 6, Err("at-maximum")),
        ("{by: 2, max: 3}", 3, Err("at-maximum")),
        ("{by: 2, max: 2}", 3, Err("at-maximum")),
        ("{to: 2, max: 10}", 3, Err("scale-down")),
        ("{to: 2, max: 10, allow_down: true}", 3, Ok(2)),
    ];
    for (with, now, expected) in cases {
        assert_eq!(replicas_of(with, &seen(now)), expected.map_err(str::to_owned), "{with} of {now}");
    }
}

#[test]
fn taking_it_back_gives_the_number_before() {
    let (_, inverse) = step("{by: 2, max: 10}", &seen(3)).unwrap();
    assert_eq!(inverse.step().unwrap().args.count("replicas"), Some(3));
    assert!(matches!(inverse, Inverse::Step(_)), "without an autoscaler nobody else would give it back");
}

#[test]
fn what_an_autoscaler_owns_is_scaled_through_its_minimum_for_a_while() {
    for kind in [ObjectKind::HorizontalPodAutoscaler, ObjectKind::ScaledObject] {
        let (up, inverse) = step("{by: 2, max: 10, for: 30m}", &autoscaled(3, kind, json!({}))).unwrap();
        assert_eq!(ObjectRef::in_step(&up).unwrap().unwrap().kind, kind);
        assert_eq!(up.args.count("replicas"), Some(5));
        let Inverse::Temporary { step: back, until } = inverse else { panic!("{inverse:?}") };
        assert_eq!((back.args.count("replicas"), until), (Some(2), NOW + Duration::from_secs(1800)));
    }
    let hpa = |replicas| autoscaled(replicas, ObjectKind::HorizontalPodAutoscaler, json!({}));
    assert_eq!(replicas_of("{by: 20, max: 30}", &hpa(3)), Ok(8), "not beyond the autoscaler's maximum");
    assert_eq!(replicas_of("{by: 2, max: 30}", &hpa(8)), Err("autoscaler-at-maximum".into()));
    let raised = autoscaled(5, ObjectKind::HorizontalPodAutoscaler, json!({ RESTORE_MIN: "1" }));
    let (_, inverse) = step("{by: 1, max: 10}", &raised).unwrap();
    assert_eq!(inverse.step().unwrap().args.count("replicas"), Some(1), "back to what was before the first raise");
}

#[test]
fn what_cant_be_seen_is_taken_for_being_there() {
    let why = "not allowed".to_owned();
    let unseen = Inspected { autoscaler: Known::NotVisible { why: why.clone() }, ..seen(3) };
    assert_eq!(replicas_of("{by: 1, max: 9}", &unseen), Err("autoscaler-not-visible".into()));
    let unseen = Inspected { quotas: Known::NotVisible { why }, ..seen(3) };
    assert_eq!(replicas_of("{by: 1, max: 9}", &unseen), Err("quota-not-visible".into()));
    let mut other = seen(3);
    other.manifest["metadata"]["managedFields"] = json!([{ "manager": "some-scaler", "subresource": "scale" }]);
    assert_eq!(replicas_of("{by: 1, max: 9}", &other), Err("scaled-by-other".into()));
}

#[test]
fn a_quota_that_the_new_pods_would_exceed_is_told_beforehand() {
    let quota = |resource: &str, hard: f64, used: f64| {
        let limit = QuotaLimit { quota: "shop".into(), resource: resource.into(), hard, used };
        replicas_of("{by: 2, max: 10}", &Inspected { quotas: Known::Is(vec![limit]), ..seen(3) })
    };
    let gibibyte = 1_073_741_824.0;
    assert_eq!(quota("pods", 5.0, 3.0), Ok(5));
    assert_eq!(quota("pods", 4.0, 3.0), Err("quota".into()));
    assert_eq!(quota("requests.memory", 5.0 * gibibyte, 3.0 * gibibyte), Ok(5));
    assert_eq!(quota("requests.memory", 4.5 * gibibyte, 3.0 * gibibyte), Err("quota".into()));
    assert_eq!(quota("services", 0.0, 9.0), Ok(5), "of something else");
}

proptest! {
    /// Whatever a policy and a workload say: never fewer without leave, never more than the maximum unless there were already.
    #[test]
    fn never_down_without_leave_and_never_beyond_the_maximum(
        way in prop_oneof![(1u32..60).prop_map(|n| format!("by: {n}")), (1u32..60).prop_map(|n| format!("to: {n}")),
            (10u32..90).prop_map(|n| format!("times: {}", f64::from(n) / 10.0))],
        max in 1u32..60, now in 0u32..60, allow_down: bool, is_autoscaled: bool,
    ) {
        let with = format!("{{{way}, max: {max}, allow_down: {allow_down}}}");
        let seen = if is_autoscaled { autoscaled(now, ObjectKind::HorizontalPodAutoscaler, json!({})) } else { seen(now) };
        if let Ok(replicas) = replicas_of(&with, &seen) {
            prop_assert!(replicas <= max.max(now), "{with} of {now}: {replicas}");
            prop_assert!(replicas > now || (allow_down && !is_autoscaled), "{with} of {now}: {replicas}");
            prop_assert!(!is_autoscaled || replicas <= 8);
        }
    }
}
