use homeostat_core::{Timestamp, WorkloadKind};
use homeostat_remediate::{ObjectKind, ObjectRef};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A pod that has failed for so many seconds, or serves.
fn pod(name: &str, failing_s: Option<i64>, restarts: u32) -> SeenPod {
    let manifest = json!({ "metadata": { "name": name, "uid": format!("uid-{name}"), "resourceVersion": "1" } });
    SeenPod {
        object: ObjectRef::of(ObjectKind::Pod, &manifest).unwrap(),
        node: Some("node-0".into()),
        failing: failing_s.map(|seconds| Failing {
            since: Some(Timestamp::from_millis(NOW.as_millis() - seconds * 1000)),
            why: "CrashLoopBackOff".into(),
        }),
        restarts,
        labels: [].into(),
    }
}

fn chosen(which: &str, pods: Vec<SeenPod>) -> Result<String, String> {
    let args = Args::default().with("pod", which);
    let seen = Inspected { pods: Known::Is(pods), ..Inspected::at_rest("u", WorkloadKind::Deployment, NOW) };
    let chosen = choose(&Ask { args: &args, now: NOW, trouble_at: &[] }, &seen);
    chosen.map(|(_, pod)| pod.object.name).map_err(|objection| objection.code.into_owned())
}

#[test]
fn the_pod_that_failed_first_is_chosen_and_none_where_all_fail_or_none_does() {
    let pods = || vec![pod("a", None, 9), pod("b", Some(10), 1), pod("c", Some(60), 1)];
    assert_eq!(chosen("failing", pods()), Ok("c".into()));
    assert_eq!(chosen("most-restarted", pods()), Ok("a".into()));
    assert_eq!(chosen("failing", vec![pod("a", None, 9)]), Err("no-such-pod".into()));
    assert_eq!(chosen("most-restarted", vec![pod("a", None, 0)]), Err("no-such-pod".into()));
    assert_eq!(chosen("failing", vec![pod("a", Some(1), 0), pod("b", Some(2), 0)]), Err("all-pods-fail".into()));
    assert_eq!(
        chosen("failing", vec![pod("alone", Some(5), 0)]),
        Ok("alone".into()),
        "nothing serves that could be lost"
    );
    let unseen = Inspected::at_rest("u", WorkloadKind::Deployment, NOW);
    let args = Args::default();
    assert_eq!(choose(&Ask { args: &args, now: NOW, trouble_at: &[] }, &unseen).unwrap_err().code, "pods-not-visible");
}

#[test]
fn only_a_pod_that_serves_is_missed() {
    let of = |pods: Vec<SeenPod>, which: &str| {
        let args = Args::default().with("pod", which);
        let seen = Inspected { pods: Known::Is(pods), ..Inspected::at_rest("u", WorkloadKind::Deployment, NOW) };
        let (args, _) = choose(&Ask { args: &args, now: NOW, trouble_at: &[] }, &seen).unwrap();
        let step = Step { action: homeostat_remediate::ActionName::new("evict-pod"), args };
        disruption(&step, &seen).unavailable_max
    };
    let pods = || vec![pod("a", None, 9), pod("b", Some(10), 1)];
    assert_eq!((of(pods(), "failing"), of(pods(), "most-restarted")), (0, 1));
}

proptest! {
    /// The order in which the API server lists pods decides nothing.
    #[test]
    fn the_choice_doesnt_depend_on_the_order(
        pods in proptest::collection::vec((proptest::option::of(0i64..100), 0u32..5), 1..8).prop_flat_map(|pods| {
            let pods: Vec<SeenPod> = pods.iter().enumerate().map(|(idx, (failing, restarts))| {
                pod(&format!("pod-{idx}"), *failing, *restarts)
            }).collect();
            (Just(pods.clone()), Just(pods).prop_shuffle())
        }),
        which in prop_oneof![Just("failing"), Just("most-restarted")],
    ) {
        prop_assert_eq!(chosen(which, pods.0), chosen(which, pods.1));
    }
}
