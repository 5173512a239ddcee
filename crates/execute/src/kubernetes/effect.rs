//! What a rollout would take down, predicted from its strategy and its disruption budgets. Pure.

use homeostat_remediate::{Disruption, DisruptionBudget, Known};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{Selector, SelectorExt};

use super::rollout;
use super::workload::{Typed, Workload};

/// The strategy under which pods are replaced only when somebody deletes them.
const ON_DELETE: &str = "OnDelete";

/// A Deployment's default for `maxUnavailable` and `maxSurge`.
const SHARE_DEFAULT: &str = "25%";

/// How many pods a rollout takes down at once before new ones are there, and what the budgets say to that.
pub(super) fn disruption(workload: &Workload, budgets: &Known<Vec<PodDisruptionBudget>>) -> Disruption {
    let wanted = rollout::replicas_wanted(workload);
    let (is_recreate, unavailable_max) = match &workload.typed {
        Typed::Deployment(of) => of_deployment(of, wanted),
        Typed::StatefulSet(of) => (false, of_stateful_set(of, wanted)),
        Typed::DaemonSet(of) => (false, of_daemon_set(of, wanted)),
    };
    let budget = budgets.and_then(|budgets| tightest(workload, budgets));
    Disruption { is_recreate, unavailable_max, budget }
}

fn of_deployment(deployment: &Deployment, wanted: u32) -> (bool, u32) {
    let strategy = deployment.spec.strategy.clone().unwrap_or_default();
    if strategy.type_.as_deref() == Some("Recreate") {
        return (true, wanted);
    }
    let rolling = strategy.rolling_update.unwrap_or_default();
    let surge = resolve(rolling.max_surge.as_ref(), wanted, Rounding::Up);
    let unavailable_max = match resolve(rolling.max_unavailable.as_ref(), wanted, Rounding::Down) {
        // The API server refuses both being zero; where percentages round to it, the controller takes one pod down.
        0 if surge == 0 => 1,
        n => n.min(wanted),
    };
    (false, unavailable_max)
}

/// One pod after the other, from the highest ordinal down, unless it says otherwise.
fn of_stateful_set(set: &StatefulSet, wanted: u32) -> u32 {
    let strategy = set.spec.update_strategy.clone().unwrap_or_default();
    if strategy.type_.as_deref() == Some(ON_DELETE) {
        return 0;
    }
    let max_unavailable = strategy.rolling_update.and_then(|rolling| rolling.max_unavailable);
    let at_once = max_unavailable.map_or(1, |value| resolve(Some(&value), wanted, Rounding::Down).max(1));
    at_once.min(wanted)
}

/// One node after the other, unless it says otherwise; with surge the new pod comes first.
fn of_daemon_set(set: &DaemonSet, wanted: u32) -> u32 {
    let strategy = set.spec.update_strategy.clone().unwrap_or_default();
    if strategy.type_.as_deref() == Some(ON_DELETE) {
        return 0;
    }
    let rolling = strategy.rolling_update.unwrap_or_default();
    let surges = rolling.max_surge.is_some_and(|surge| resolve(Some(&surge), wanted, Rounding::Up) > 0);
    let at_once = rolling.max_unavailable.map_or(1, |value| resolve(Some(&value), wanted, Rounding::Up));
    if surges && at_once == 0 { 0 } else { at_once.max(1).min(wanted) }
}

enum Rounding {
    Up,
    Down,
}

/// A count, or a share of the replicas.
fn resolve(value: Option<&IntOrString>, wanted: u32, rounding: Rounding) -> u32 {
    let default = IntOrString::String(SHARE_DEFAULT.to_owned());
    match value.unwrap_or(&default) {
        IntOrString::Int(n) => u32::try_from(*n).unwrap_or(0),
        IntOrString::String(text) => {
            // What can't be read is taken as everything: the API server wouldn't have let it in.
            let Some(percent) = text.strip_suffix('%').and_then(|digits| digits.parse::<u64>().ok()) else {
                return wanted;
            };
            let share = u64::from(wanted).saturating_mul(percent);
            let n = match rounding {
                Rounding::Up => share.div_ceil(100),
                Rounding::Down => share / 100,
            };
            u32::try_from(n).unwrap_or(u32::MAX)
        }
    }
}

/// Of the budgets that cover the workload's pods, the one that allows least.
fn tightest(workload: &Workload, budgets: &[PodDisruptionBudget]) -> Option<DisruptionBudget> {
    let labels = workload.pods().metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    let covers =
        |selector: &LabelSelector| Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(&labels));
    let covering = budgets.iter().filter(|budget| {
        // An empty selector covers every pod of the namespace, a missing one none.
        budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()).is_some_and(covers)
    });
    let read = |budget: &PodDisruptionBudget| {
        let status = budget.status.as_ref();
        let generation = budget.metadata.generation.unwrap_or(0);
        // Until the controller has seen the newest spec, what it allowed before doesn't count.
        let is_observed = status.and_then(|status| status.observed_generation).unwrap_or(0) >= generation;
        let allowed = status.and_then(|status| status.disruptions_allowed).unwrap_or(0);
        DisruptionBudget {
            name: budget.metadata.name.clone().unwrap_or_default(),
            allowed: if is_observed { u32::try_from(allowed).unwrap_or(0) } else { 0 },
        }
    };
    covering.map(read).min_by_key(|budget| budget.allowed)
}

#[cfg(test)]
mod tests {
    use homeostat_core::WorkloadKind;
    use serde_json::{Value, json};

    use super::*;
    use crate::kubernetes::testing::{deployment, other_workload};

    fn with(strategy: Value, replicas: i32) -> Workload {
        deployment(json!({ "spec": { "strategy": strategy, "replicas": replicas } }))
    }

    fn rolling(unavailable: Value, surge: Value) -> Value {
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": unavailable, "maxSurge": surge } })
    }

    /// I19.
    #[test]
    fn what_a_roll_out_takes_down_follows_from_the_strategy() {
        let recreate = json!({ "type": "Recreate", "rollingUpdate": null });
        let cases = [
            (recreate.clone(), 3, 3),
            (recreate, 1, 1),
            (rolling(json!("25%"), json!("25%")), 3, 0),
            (rolling(json!("25%"), json!("25%")), 4, 1),
            (rolling(json!("100%"), json!(0)), 3, 3),
            (rolling(json!(5), json!(1)), 3, 3),
            (rolling(json!(0), json!(1)), 3, 0),
            (rolling(json!("10%"), json!(0)), 3, 1),
            (json!(null), 8, 2),
        ];
        for (strategy, replicas, expected) in cases {
            let found = disruption(&with(strategy.clone(), replicas), &Known::NotApplicable);
            assert_eq!(found.unavailable_max, expected, "{strategy} of {replicas}");
        }
    }

    #[test]
    fn a_stateful_set_and_a_daemon_set_take_down_one_after_the_other_unless_they_say_otherwise() {
        let of = |kind, strategy: Value| {
            let status = json!({ "desiredNumberScheduled": 4, "currentNumberScheduled": 4, "numberMisscheduled": 0,
                "numberReady": 4, "replicas": 4 });
            let changes = json!({ "spec": { "replicas": 4, "updateStrategy": strategy }, "status": status });
            disruption(&other_workload(kind, changes), &Known::NotApplicable).unavailable_max
        };
        let on_delete = json!({ "type": "OnDelete" });
        for kind in [WorkloadKind::StatefulSet, WorkloadKind::DaemonSet] {
            assert_eq!(of(kind, Value::Null), 1);
            assert_eq!(of(kind, on_delete.clone()), 0);
            assert_eq!(of(kind, json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "50%" } })), 2);
        }
        assert_eq!(of(WorkloadKind::DaemonSet, rolling(json!(0), json!(1))), 0);
    }

    fn budget(selector: Value, allowed: i32, observed: i64) -> PodDisruptionBudget {
        serde_json::from_value(json!({
            "metadata": { "name": "pay", "generation": 2 },
            "spec": { "selector": selector },
            "status": { "currentHealthy": 3, "desiredHealthy": 3, "disruptionsAllowed": allowed, "expectedPods": 3,
                "observedGeneration": observed },
        }))
        .unwrap()
    }

    #[test]
    fn the_tightest_budget_that_covers_the_pods_counts() {
        let ours = json!({ "matchLabels": { "app": "payment-api" } });
        let other = json!({ "matchLabels": { "app": "cart" } });
        let allowed = |budgets: &[PodDisruptionBudget]| {
            disruption(&deployment(json!({})), &Known::Is(budgets.to_vec())).budget.value().map(|budget| budget.allowed)
        };
        assert_eq!(allowed(&[]), None);
        assert_eq!(allowed(&[budget(other, 0, 2)]), None);
        assert_eq!(allowed(&[budget(ours.clone(), 1, 2), budget(json!({}), 0, 2)]), Some(0));
        assert_eq!(allowed(&[budget(ours.clone(), 2, 2)]), Some(2));
        assert_eq!(allowed(&[budget(ours, 2, 1)]), Some(0), "of an older spec");
        let unseen = Known::NotVisible { why: "no right".to_owned() };
        let found = disruption(&deployment(json!({})), &unseen).budget;
        assert_eq!(found, Known::NotVisible { why: "no right".to_owned() }, "not seen isn't not there");
    }
}
