use homeostat_core::WorkloadKind;
use serde_json::{Value, json};

use super::*;
use crate::kubernetes::testing::{deployment, items, other_workload};

const AUTOSCALERS: &str = include_str!("../fixtures/autoscalers.json");

/// I21.
#[test]
fn the_autoscaler_is_the_one_of_this_kind_and_name() {
    let autoscalers: Vec<HorizontalPodAutoscaler> = items(AUTOSCALERS);
    let of = |kind, name: &str, among: &[HorizontalPodAutoscaler]| {
        let subject = Subject { kind, ..Subject::deployment("shop", name) };
        autoscaler_of(&subject, among).and_then(|found| found.metadata.name.clone())
    };
    assert_eq!(of(WorkloadKind::Deployment, "payment-api", &autoscalers).as_deref(), Some("payment"));
    let other_kind = of(WorkloadKind::StatefulSet, "payment-api", &autoscalers);
    assert_eq!(other_kind.as_deref(), Some("same-name-other-kind"));
    assert_eq!(of(WorkloadKind::DaemonSet, "payment-api", &autoscalers), None);
    assert_eq!(of(WorkloadKind::Deployment, "cart-api", &autoscalers), None);
    assert_eq!(of(WorkloadKind::Deployment, "payment-api", &[]), None);
}

#[test]
fn a_mounted_claim_is_a_persistent_volume() {
    let with = |volume: Value| json!({ "spec": { "template": { "spec": { "volumes": [volume] } } } });
    let claim = with(json!({ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }));
    assert!(has_persistent_volume(&deployment(claim)));
    assert!(!has_persistent_volume(&deployment(with(json!({ "name": "tmp", "emptyDir": {} })))));
    assert!(!has_persistent_volume(&deployment(json!({}))));
    let template = json!({ "spec": { "volumeClaimTemplates": [{ "metadata": { "name": "data" } }] } });
    assert!(has_persistent_volume(&other_workload(WorkloadKind::StatefulSet, template)));
}
