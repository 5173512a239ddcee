//! `traffic-weight`: shifts the traffic of a route between its backends, such as away from a canary: of a Gateway API HTTPRoute or an Istio
//! VirtualService.
//!
//! The rules of a route are lists, which a merge patch replaces whole. The patch is of exactly the version that was looked at, so it takes away
//! nothing that somebody added since.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, Inspected, Inverse, ObjectKind, Objection, PayloadError,
    Plan, Policy, Reader, Recovery, Repeat, Right, SeenObject, Step, WorksWhile, read_json,
};
use serde_json::{Map, Value, json};

use super::workload_rights;
use crate::effect::{ClusterAction, ClusterWrite};
use crate::patch;
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("traffic-weight");

/// The Gateway API's bound; Istio's weights are percentages.
const WEIGHT_MAX: u64 = 1_000_000;

static RIGHTS: [Right; 7] = workload_rights::and(
    &workload_rights::LOOK,
    &[
        Right { verb: "get", resource: "httproutes", group: "gateway.networking.k8s.io" },
        Right { verb: "patch", resource: "httproutes", group: "gateway.networking.k8s.io" },
        Right { verb: "get", resource: "virtualservices", group: "networking.istio.io" },
        Right { verb: "patch", resource: "virtualservices", group: "networking.istio.io" },
    ],
);

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[],
    repeat: Repeat::Idempotent,
    recovery: Recovery::SignalsOnly,
    rights: &RIGHTS,
};

pub(super) struct TrafficWeight;

impl Action for TrafficWeight {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let (route, service) = (with.text("http_route"), with.text("virtual_service"));
        if route.is_some() && service.is_some() {
            with.problem(with.place(), "http_route and virtual_service exclude each other: say one of them");
        } else if route.is_none() && service.is_none() && !with.has("http_route") && !with.has("virtual_service") {
            let message = format!(
                "{} is missing; for instance `http_route: cart`, or virtual_service",
                with.path_of("http_route")
            );
            with.problem(with.place(), message);
        }
        let weights = read_json(with, "weights");
        with.require_such_as("weights", weights.as_ref(), "{cart-stable: 100, cart-canary: 0}");
        if weights.as_ref().is_some_and(|weights| weights_of(weights).is_none()) {
            with.reject("weights", "must be whole numbers by the name of a backend, not all of them 0");
        }
        let texts = [("http_route", route), ("virtual_service", service)];
        let args = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
        let args = args.fold(Args::default(), |args, (name, text)| args.with(name, text));
        weights.into_iter().fold(args, |args, weights| args.with("weights", weights))
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let no_args = || Objection::escalate("no-arguments", "the policy doesn't say which route gets which weights");
        let (kind, name) = route(ask.args).ok_or_else(no_args)?;
        let weights = ask.args.get("weights").and_then(weights_of).ok_or_else(no_args)?;
        let is_it = |seen: &&SeenObject| seen.object.kind == kind && seen.object.name == name;
        let Some(found) = seen.others.iter().find(is_it) else {
            let text = format!("there is no {} {name:?}, or the cluster doesn't have that kind", kind.name());
            return Err(Objection::escalate("no-such-route", text));
        };
        let before = rules(kind, &found.manifest).clone();
        let (after, found_names) = weighted(kind, &before, weights);
        if let Some(missing) = weights.keys().find(|name| !found_names.contains(name)) {
            let text = format!("the {} {name:?} has no backend {missing:?}", kind.name());
            return Err(Objection::escalate("no-such-backend", text));
        }
        if after == before {
            let text = format!("the {} {name:?} has these weights already", kind.name());
            return Err(Objection::escalate("already-set", text));
        }
        let step = |rules: Value| {
            let args = found.object.in_args(Args::default()).with("rules", rules);
            Step { action: NAME, args: args.with("weights", ask.args.get("weights").cloned().unwrap_or_default()) }
        };
        Ok((step(after), Inverse::Step(step(before))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let rules = step.args.get("rules").filter(|rules| rules.is_array());
        let rules = rules.ok_or_else(|| PayloadError("it has no rules to write".to_owned()))?;
        let object = patch::written_by(plan, step)?;
        patch::of(plan, step, json!({ "spec": { field(object.kind): rules } }))
    }

    fn lint(&self, _: &Policy) -> Vec<String> {
        vec![
            "a controller of progressive delivery that keeps the same route would set its own weights again".to_owned(),
        ]
    }

    fn example(&self) -> &'static str {
        "{http_route: cart, weights: {cart-stable: 100, cart-canary: 0}}"
    }

    fn disruption(&self, _: &Step, _: &Inspected) -> Disruption {
        Disruption::default()
    }

    fn works_while(&self) -> WorksWhile {
        WorksWhile { rolling_out: true, paused: true }
    }
}

impl ClusterAction for TrafficWeight {
    fn sights(&self, args: &Args) -> Vec<Sight> {
        route(args).map(|(kind, name)| Sight::Object(kind, name.to_owned())).into_iter().collect()
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: has_rules }
    }
}

fn has_rules(object: &Value, step: &Step) -> bool {
    let written = [ObjectKind::HttpRoute, ObjectKind::VirtualService].map(|kind| rules(kind, object));
    step.args.get("rules").is_some_and(|rules| written.contains(&rules))
}

fn route(args: &Args) -> Option<(ObjectKind, &str)> {
    let of = |kind, key| Some((kind, args.text(key)?));
    of(ObjectKind::HttpRoute, "http_route").or_else(|| of(ObjectKind::VirtualService, "virtual_service"))
}

/// Where a route's rules are.
fn field(kind: ObjectKind) -> &'static str {
    if kind == ObjectKind::VirtualService { "http" } else { "rules" }
}

fn rules(kind: ObjectKind, manifest: &Value) -> &Value {
    &manifest["spec"][field(kind)]
}

fn weights_of(weights: &Value) -> Option<&Map<String, Value>> {
    let weights = weights.as_object().filter(|weights| !weights.is_empty())?;
    let counts: Option<Vec<u64>> =
        weights.values().map(|weight| weight.as_u64().filter(|weight| *weight <= WEIGHT_MAX)).collect();
    counts?.iter().any(|weight| *weight > 0).then_some(weights)
}

/// The rules with these weights, and which of the backends they have.
fn weighted<'a>(kind: ObjectKind, rules: &Value, weights: &'a Map<String, Value>) -> (Value, Vec<&'a String>) {
    let (mut rules, mut found) = (rules.clone(), Vec::new());
    let backends = if kind == ObjectKind::VirtualService { "route" } else { "backendRefs" };
    for rule in rules.as_array_mut().into_iter().flatten() {
        for backend in rule[backends].as_array_mut().into_iter().flatten() {
            let name = if kind == ObjectKind::VirtualService {
                // A subset names a version of one host.
                let destination = &backend["destination"];
                destination["subset"].as_str().or_else(|| destination["host"].as_str())
            } else {
                backend["name"].as_str()
            };
            let Some((name, weight)) = name.and_then(|name| weights.get_key_value(name)) else { continue };
            found.push(name);
            backend["weight"] = weight.clone();
        }
    }
    (rules, found)
}

#[cfg(test)]
mod tests {
    use homeostat_core::Timestamp;
    use homeostat_remediate::ObjectRef;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn step(args: &Args, kind: ObjectKind, spec: Value) -> Result<(Step, Inverse), String> {
        let manifest = json!({ "metadata": { "name": "cart", "uid": "r", "resourceVersion": "5" }, "spec": spec });
        let seen_object = SeenObject { object: ObjectRef::of(kind, &manifest).unwrap(), manifest, owner: None };
        let seen = Inspected { others: vec![seen_object], ..Inspected::at_rest("u", WorkloadKind::Deployment, NOW) };
        TrafficWeight
            .step(&Ask { args, now: NOW, trouble_at: &[] }, &seen)
            .map_err(|objection| objection.code.into_owned())
    }

    fn args(key: &str, weights: Value) -> Args {
        Args::default().with(key, "cart").with("weights", weights)
    }

    #[test]
    fn only_the_named_backends_change_in_every_rule_and_everything_else_stays() {
        let rules = json!([
            { "matches": [{ "path": { "value": "/" } }],
              "backendRefs": [{ "name": "stable", "port": 80, "weight": 90 }, { "name": "canary", "port": 80, "weight": 10 }] },
            { "backendRefs": [{ "name": "other", "weight": 1 }] },
        ]);
        let wanted = json!({ "stable": 100, "canary": 0 });
        let (done, inverse) =
            step(&args("http_route", wanted.clone()), ObjectKind::HttpRoute, json!({ "rules": rules })).unwrap();
        let mut expected = rules.clone();
        expected[0]["backendRefs"][0]["weight"] = json!(100);
        expected[0]["backendRefs"][1]["weight"] = json!(0);
        assert_eq!(done.args.get("rules"), Some(&expected));
        assert_eq!(inverse.step().unwrap().args.get("rules"), Some(&rules));
        let again = step(&args("http_route", wanted), ObjectKind::HttpRoute, json!({ "rules": expected }));
        assert_eq!(again.unwrap_err(), "already-set");
    }

    #[test]
    fn a_virtual_services_backends_are_its_subsets_or_hosts() {
        let http = json!([{ "route": [
            { "destination": { "host": "cart", "subset": "v1" }, "weight": 50 },
            { "destination": { "host": "cart-next" }, "weight": 50 }] }]);
        let spec = json!({ "http": http });
        let (done, _) = step(
            &args("virtual_service", json!({ "v1": 100, "cart-next": 0 })),
            ObjectKind::VirtualService,
            spec.clone(),
        )
        .unwrap();
        assert_eq!(done.args.get("rules").unwrap()[0]["route"][1]["weight"], 0);
        let missing = step(&args("virtual_service", json!({ "v9": 100 })), ObjectKind::VirtualService, spec);
        assert_eq!(missing.unwrap_err(), "no-such-backend");
    }

    #[test]
    fn weights_that_would_lead_nowhere_are_none() {
        for wrong in [
            json!({}),
            json!({ "a": 0 }),
            json!({ "a": -1 }),
            json!({ "a": 0.5 }),
            json!([1]),
            json!({ "a": 2_000_000 }),
        ] {
            assert!(weights_of(&wrong).is_none(), "{wrong}");
        }
        assert!(weights_of(&json!({ "a": 1, "b": 0 })).is_some());
    }
}
