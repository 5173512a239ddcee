//! Which pod an action on one pod is done to: never more than one, and never one of many that all fail, where taking one away helps nobody.

use homeostat_remediate::{
    Args, Ask, Disruption, Failing, Inspected, Known, Objection, Reader, SeenPod, Step, worst_failing,
};
use serde_json::json;

/// The argument that says whether the pod served when it was chosen.
const SERVES: &str = "serves";

/// Which pod a policy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// The one that has failed for longest.
    Failing,
    /// The one whose containers were started again most often, whether it serves or not.
    MostRestarted,
}

impl Which {
    const FAILING: &'static str = "failing";
    const MOST_RESTARTED: &'static str = "most-restarted";

    fn of(text: &str) -> Result<Self, String> {
        match text {
            Self::FAILING => Ok(Self::Failing),
            Self::MOST_RESTARTED => Ok(Self::MostRestarted),
            other => Err(format!("must be {} or {}, not {other:?}", Self::FAILING, Self::MOST_RESTARTED)),
        }
    }
}

/// Reads `pod`, which may be absent.
pub(super) fn read(with: &mut Reader<'_>) -> Args {
    let which = with.parsed_by("pod", Which::of).unwrap_or(Which::Failing);
    let text = match which {
        Which::Failing => Which::FAILING,
        Which::MostRestarted => Which::MOST_RESTARTED,
    };
    Args::default().with("pod", text)
}

/// The arguments that name the pod to do it to, or why there is none.
pub(super) fn choose(ask: &Ask<'_>, seen: &Inspected) -> Result<(Args, SeenPod), Objection> {
    let pods = visible(seen)?;
    let which = ask.args.text("pod").and_then(|text| Which::of(text).ok()).unwrap_or(Which::Failing);
    let chosen = match which {
        Which::Failing => worst_failing(pods).map(|(pod, _)| pod),
        Which::MostRestarted => {
            let restarted = pods.iter().filter(|pod| pod.restarts > 0);
            restarted.max_by_key(|pod| (pod.restarts, std::cmp::Reverse(pod.object.name.clone())))
        }
    };
    let Some(pod) = chosen else {
        let text = format!("none of its {} pods is {}", pods.len(), ask.args.text("pod").unwrap_or(Which::FAILING));
        return Err(Objection::escalate("no-such-pod", text));
    };
    let n_failing = pods.iter().filter(|pod| pod.failing.is_some()).count();
    if pods.len() > 1 && n_failing == pods.len() {
        let text = format!("all {n_failing} pods fail: another one in the place of one would fail, too");
        return Err(Objection::escalate("all-pods-fail", text));
    }
    let args = pod.object.in_args(Args::default()).with(SERVES, pod.failing.is_none());
    let why = pod.failing.as_ref().map_or_else(|| format!("{} restarts", pod.restarts), why);
    Ok((args.with("because", why), pod.clone()))
}

fn why(failing: &Failing) -> String {
    match failing.since {
        Some(since) => format!("{} since {since}", failing.why),
        None => failing.why.clone(),
    }
}

/// The workload's pods, where they can be seen.
pub(super) fn visible(seen: &Inspected) -> Result<&Vec<SeenPod>, Objection> {
    match seen.get::<Vec<SeenPod>>() {
        Known::Is(pods) => Ok(pods),
        Known::NotApplicable => Err(Objection::escalate("no-such-pod", "it has no pods")),
        Known::NotVisible { why } => {
            Err(Objection::escalate("pods-not-visible", format!("its pods can't be seen: {why}")))
        }
    }
}

/// What taking the chosen pod away takes down: nothing, if it didn't serve.
pub(super) fn disruption(step: &Step, seen: &Inspected) -> Disruption {
    if step.args.get(SERVES) == Some(&json!(false)) {
        return Disruption::default();
    }
    Disruption { is_recreate: false, unavailable_max: 1, budget: seen.disruption.budget.clone() }
}

#[cfg(test)]
mod tests;
