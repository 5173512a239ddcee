//! Rights that several actions need on workloads of each kind. `ActionSpec::rights_for` picks those of one kind.

use homeostat_remediate::Right;

/// Looking at a workload.
pub(super) const LOOK: [Right; 3] = [
    Right { verb: "get", resource: "deployments", group: "apps" },
    Right { verb: "get", resource: "statefulsets", group: "apps" },
    Right { verb: "get", resource: "daemonsets", group: "apps" },
];

/// Looking at a workload and changing it.
pub(super) const CHANGE: [Right; 6] = [
    LOOK[0],
    LOOK[1],
    LOOK[2],
    Right { verb: "patch", resource: "deployments", group: "apps" },
    Right { verb: "patch", resource: "statefulsets", group: "apps" },
    Right { verb: "patch", resource: "daemonsets", group: "apps" },
];

/// Looking at a workload and at its pods; whose pods are whose is known by the ReplicaSets.
pub(super) const LOOK_AT_PODS: [Right; 5] = [
    LOOK[0],
    LOOK[1],
    LOOK[2],
    Right { verb: "list", resource: "replicasets", group: "apps" },
    Right { verb: "list", resource: "pods", group: "" },
];

/// Those and these, `N` in all.
pub(super) const fn and<const N: usize>(those: &[Right], these: &[Right]) -> [Right; N] {
    assert!(those.len() + these.len() == N, "it isn't the number of all of them");
    let mut all = [LOOK[0]; N];
    let mut idx = 0;
    while idx < N {
        all[idx] = if idx < those.len() { those[idx] } else { these[idx - those.len()] };
        idx += 1;
    }
    all
}
