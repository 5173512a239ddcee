use homeostat_core::WorkloadKind;
use serde_json::{Value, json};

use super::*;
use crate::kubernetes::testing::{deployment, deployment_json, items, other_workload};
use crate::patch::RESTARTED_AT;

const REPLICA_SETS: &str = include_str!("../fixtures/replica_sets.json");

fn previous_of(changes: Value, sets: &[DynamicObject]) -> Option<String> {
    previous(&deployment(changes), sets).map(|previous| previous.revision)
}

#[test]
fn the_previous_revision_is_the_next_lower_of_its_own_replica_sets() {
    let sets: Vec<DynamicObject> = items(REPLICA_SETS);
    assert_eq!(previous_of(json!({}), &sets).as_deref(), Some("1"));
    assert_eq!(previous_of(json!({ "metadata": { "uid": "recreated" } }), &sets), None);
    let first = json!({ "metadata": { "annotations": { REVISION: "1" } } });
    assert_eq!(previous_of(first, &sets), None, "nothing is before the first");
    let unnumbered = json!({ "metadata": { "annotations": null } });
    assert_eq!(previous_of(unnumbered, &sets), None);
}

/// The third revision is the second one, restarted.
#[test]
fn going_back_passes_over_revisions_that_were_only_restarted() {
    let sets: Vec<DynamicObject> = items(REPLICA_SETS);
    // By kubectl and homeostat, by a program that uses kube-rs, and by Rancher.
    for mark in [RESTARTED_AT, "kube.kubernetes.io/restartedAt", "cattle.io/timestamp"] {
        let restarted = json!({ "metadata": { "annotations": { REVISION: "3" } },
            "spec": { "template": { "metadata": { "annotations": { mark: "2026-01-31T12:00:00Z" } } } } });
        assert_eq!(previous_of(restarted, &sets).as_deref(), Some("1"), "{mark}: the second one has the same image");
    }
    let configured = json!({ "metadata": { "annotations": { REVISION: "3" } },
        "spec": { "template": { "metadata": { "annotations": { "checksum/config": "f3" } } } } });
    assert_eq!(previous_of(configured, &sets).as_deref(), Some("2"), "another config is more than a restart");
    let only_restarted: Vec<DynamicObject> =
        sets.into_iter().filter(|set| revision_of(&set.metadata) != Some(1)).collect();
    assert_eq!(previous_of(json!({ "metadata": { "annotations": { REVISION: "3" } } }), &only_restarted), None);
}

#[test]
fn the_change_goes_there_and_back_with_fields_that_no_type_of_ours_knows() {
    let mut sets: Vec<DynamicObject> = items(REPLICA_SETS);
    for set in &mut sets {
        set.data["spec"]["template"]["spec"]["fieldOfTomorrow"] = json!("old");
    }
    let now = json!({ "spec": { "template": { "spec": { "fieldOfTomorrow": "new" } } } });
    let previous = previous(&deployment(now.clone()), &sets).unwrap();
    let change = previous.change.unwrap();
    assert_eq!(change.to["spec"]["fieldOfTomorrow"], "old");
    assert_eq!(change.back["spec"]["fieldOfTomorrow"], "new");
    assert_eq!(change.to["spec"]["containers"][0]["image"], "payment-api:1.6");
    assert!(merge_patch::holds(&deployment_json(now)["spec"]["template"], &change.back));
    assert!(!change.to.to_string().contains(TEMPLATE_HASH), "the controller's own label stays out");
}

/// ControllerRevisions of a StatefulSet: the highest number is the template in force, also when it is an old one again.
#[test]
fn a_stateful_sets_revisions_are_its_controller_revisions() {
    let owner =
        json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "s", "controller": true }]);
    let image = |image: &str| json!({ "spec": { "containers": [{ "name": "db", "image": image }] } });
    let revision = |number: u64, image: Value| {
        let mut template = image;
        template["$patch"] = json!("replace");
        serde_json::from_value::<DynamicObject>(json!({ "apiVersion": "apps/v1", "kind": "ControllerRevision",
            "metadata": { "name": format!("db-{number}"), "ownerReferences": owner }, "revision": number,
            "data": { "spec": { "template": template } } }))
        .unwrap()
    };
    let revisions = [revision(1, image("db:1")), revision(3, image("db:2")), revision(2, image("db:0"))];
    let now = json!({ "metadata": { "uid": "s" }, "spec": { "template": null } });
    let mut set = other_workload(WorkloadKind::StatefulSet, now).object().clone();
    set["spec"]["template"] = image("db:2");
    let set = Workload::read(WorkloadKind::StatefulSet, set).unwrap();
    assert_eq!(super::revision(&set, &revisions), Some(3));
    let previous = previous(&set, &revisions).unwrap();
    assert_eq!(previous.revision, "2");
    assert_eq!(previous.change.unwrap().to, json!({ "spec": { "containers": [{ "name": "db", "image": "db:0" }] } }));
}
