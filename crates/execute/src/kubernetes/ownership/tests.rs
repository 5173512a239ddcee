use serde_json::{Value, json};

use super::*;
use crate::kubernetes::testing::{deployment, items};

const AUTOSCALERS: &str = include_str!("../fixtures/autoscalers.json");

/// I21.
#[test]
fn the_autoscaler_is_the_one_of_this_kind_and_name() {
    let autoscalers: Vec<HorizontalPodAutoscaler> = items(AUTOSCALERS);
    let expected = Autoscaler { name: "payment".into(), replicas_min: 3, replicas_max: 12 };
    assert_eq!(autoscaler_of("payment-api", &autoscalers), Some(expected));
    assert_eq!(autoscaler_of("cart-api", &autoscalers), None);
    assert_eq!(autoscaler_of("payment-api", &[]), None);
}

#[test]
fn a_mounted_claim_is_a_persistent_volume() {
    let with = |volume: Value| json!({ "spec": { "template": { "spec": { "volumes": [volume] } } } });
    let claim = with(json!({ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }));
    assert!(has_persistent_volume(&deployment(claim)));
    assert!(!has_persistent_volume(&deployment(with(json!({ "name": "tmp", "emptyDir": {} })))));
    assert!(!has_persistent_volume(&deployment(json!({}))));
}
