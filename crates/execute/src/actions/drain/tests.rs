use homeostat_core::Timestamp;
use homeostat_remediate::{Failing, Known, ObjectRef, SeenObject, SeenPod};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn object(kind: ObjectKind, manifest: Value) -> SeenObject {
    SeenObject { object: ObjectRef::of(kind, &manifest).unwrap(), manifest, owner: None }
}

fn node(name: &str, is_cordoned: bool, is_ready: bool) -> SeenObject {
    let ready = if is_ready { "True" } else { "False" };
    let manifest = json!({ "metadata": { "name": name, "uid": name, "resourceVersion": "1" },
        "spec": { "unschedulable": is_cordoned }, "status": { "conditions": [{ "type": "Ready", "status": ready }] } });
    object(ObjectKind::Node, manifest)
}

/// A pod on `node-0` with a controller of this kind, or none.
fn other_pod(namespace: &str, name: &str, controller: Option<&str>) -> SeenObject {
    let owners = controller.map(|kind| json!([{ "kind": kind, "controller": true }]));
    let metadata =
        json!({ "name": name, "namespace": namespace, "uid": name, "resourceVersion": "1", "ownerReferences": owners });
    object(ObjectKind::Pod, json!({ "metadata": metadata, "spec": { "nodeName": "node-0" } }))
}

fn own_pod(name: &str, node: &str, fails: bool) -> SeenPod {
    let manifest = json!({ "metadata": { "name": name, "uid": name, "resourceVersion": "1" } });
    SeenPod {
        object: ObjectRef::of(ObjectKind::Pod, &manifest).unwrap(),
        node: Some(node.into()),
        failing: fails.then(|| Failing { since: None, why: "not ready".into() }),
        restarts: 0,
        labels: [].into(),
    }
}

/// Its pods fail on `node-0` and serve on `node-1`; on `node-0` there are two more pods and one of a DaemonSet.
fn seen() -> Inspected {
    Inspected {
        manifest: json!({ "metadata": { "namespace": "shop" } }),
        pods: Known::Is(vec![own_pod("a", "node-0", true), own_pod("b", "node-1", false)]),
        others: vec![
            node("node-0", false, true),
            node("node-1", false, true),
            other_pod("shop", "a", Some("ReplicaSet")),
            other_pod("shop", "db-0", Some("StatefulSet")),
            other_pod("kube-system", "agent", Some("DaemonSet")),
        ],
        ..Inspected::at_rest("u", WorkloadKind::Deployment, NOW)
    }
}

fn step(seen: &Inspected, args: &Args) -> Result<Vec<String>, String> {
    let step = Drain.step(&Ask { args, now: NOW, trouble_at: &[] }, seen);
    let pods = |step: &Step| {
        let pods = step.args.get("pods").and_then(Value::as_array).cloned().unwrap_or_default();
        pods.iter().map(|pod| pod["name"].as_str().unwrap().to_owned()).collect()
    };
    step.map(|(step, _)| pods(&step)).map_err(|objection| objection.code.into_owned())
}

#[test]
fn it_evicts_what_its_plan_names_and_leaves_daemon_sets() {
    assert_eq!(step(&seen(), &Args::default()), Ok(vec!["a".into(), "db-0".into()]));
}

#[test]
fn what_the_policy_doesnt_name_isnt_evicted() {
    let args = Args::default().with("namespaces", vec!["pay".to_owned(), "kube-system".to_owned()]);
    let with = |namespace: &str, controller: Option<&str>| {
        let mut seen = seen();
        seen.others.push(other_pod(namespace, "other", controller));
        step(&seen, &args)
    };
    assert!(with("pay", Some("ReplicaSet")).is_ok());
    assert_eq!(with("bank", Some("ReplicaSet")), Err("other-namespace".into()));
    assert_eq!(with("kube-system", Some("ReplicaSet")), Err("other-namespace".into()), "whatever the policy names");
    assert_eq!(with("shop", None), Err("unmanaged-pod".into()));
    assert_eq!(step(&seen(), &Args::default().with("max_pods", 1)), Err("too-many-pods".into()));
}

#[test]
fn a_node_is_chosen_only_where_it_is_the_nodes_fault_and_others_take_its_pods() {
    type Change = fn(&mut Inspected);
    let cases: [(&str, Change); 7] = [
        ("no-common-node", |seen| {
            seen.pods = Known::Is(vec![own_pod("a", "node-0", true), own_pod("b", "node-1", true)])
        }),
        ("no-common-node", |seen| {
            seen.pods = Known::Is(vec![own_pod("a", "node-0", true), own_pod("b", "node-0", false)])
        }),
        ("no-common-node", |seen| seen.pods = Known::Is(vec![own_pod("b", "node-1", false)])),
        ("already-cordoned", |seen| seen.others[0] = node("node-0", true, true)),
        ("last-node", |seen| seen.others[1] = node("node-1", false, false)),
        ("too-many-cordoned", |seen| seen.others.push(node("node-2", true, true))),
        ("pods-not-visible", |seen| seen.pods = Known::NotVisible { why: "no right".into() }),
    ];
    for (code, change) in cases {
        let mut seen = seen();
        change(&mut seen);
        assert_eq!(step(&seen, &Args::default()), Err(code.to_owned()));
    }
}
