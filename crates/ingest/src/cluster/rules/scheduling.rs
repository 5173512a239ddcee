//! A pod that no node takes, and why.

use homeostat_core::{ClusterObjectRef, FactKind, IncidentType};

use super::super::draft::Draft;
use super::super::pod::Pod;
use super::super::quantity::{bytes_text, cpus_text};
use super::super::view::View;
use super::words::{cut, quoted_after};

pub(super) fn finding(view: &View<'_>, pod: &Pod) -> Option<Draft> {
    let scheduled = pod.condition("PodScheduled").filter(|condition| condition.is_false)?;
    if scheduled.reason == "SchedulingGated" {
        return None;
    }
    let since = scheduled.since.or(pod.meta.created).unwrap_or(view.now);
    let message = &scheduled.message;
    let object = pod.meta.object("Pod");
    if let Some(claim) = claim_at_fault(pod, message) {
        // Of a claim that is there, its own rule says more.
        let is_known = |known: &&&super::super::claim::Claim| known.meta.object("PersistentVolumeClaim") == claim.0;
        if view.claims.iter().find(is_known).is_some_and(|known| known.phase == "Pending") {
            return None;
        }
        return Some(Draft::new(FactKind::VolumePending, claim.0, since, claim.1));
    }
    let (reasons, is_short) = reasons(view, pod, message);
    let mut draft = Draft::new(FactKind::Unschedulable, object, since, format!("can't be scheduled: {reasons}"));
    if is_short {
        draft.incident_type = IncidentType::ResourceStarvation;
    }
    Some(draft)
}

/// The claim that the scheduler waits for.
fn claim_at_fault(pod: &Pod, message: &str) -> Option<(ClusterObjectRef, String)> {
    let object = |name: &str| ClusterObjectRef {
        kind: "PersistentVolumeClaim".to_owned(),
        namespace: pod.meta.namespace.clone(),
        name: name.to_owned(),
    };
    if message.contains("persistentvolumeclaim") && message.contains("not found") {
        let name = quoted_after(message, "persistentvolumeclaim ")?;
        return Some((object(name), format!("PersistentVolumeClaim `{name}` doesn't exist")));
    }
    if message.contains("unbound immediate PersistentVolumeClaims") {
        let name = pod.claims.first()?;
        return Some((object(name), format!("PersistentVolumeClaim `{name}` isn't bound to a volume")));
    }
    None
}

/// The scheduler's reasons in words, and whether nodes are short of something.
fn reasons(view: &View<'_>, pod: &Pod, message: &str) -> (String, bool) {
    let reasons = message.split_once("nodes are available: ").map_or(message, |(_, reasons)| reasons);
    // What preemption would bring is said after that.
    let end = [". preemption:", ". no new claims"].iter().filter_map(|text| reasons.find(text)).min();
    let reasons = end.and_then(|end| reasons.get(..end)).unwrap_or(reasons).trim_end_matches('.');
    if reasons.trim().is_empty() || message.starts_with("no nodes available") {
        return ("there is no node".to_owned(), true);
    }
    let (mut words, mut is_short) = (Vec::new(), false);
    for reason in reasons.split(", ") {
        let reason = reason.trim_start_matches(|letter: char| letter.is_ascii_digit()).trim();
        let reason = reason.strip_prefix("node(s) ").unwrap_or(reason);
        is_short |= reason.starts_with("Insufficient") || reason.starts_with("Too many pods");
        let word = word(view, pod, reason);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.sort();
    (words.join(", "), is_short)
}

fn word(view: &View<'_>, pod: &Pod, reason: &str) -> String {
    if reason == "Insufficient memory" {
        return format!("insufficient memory{}", room(view, pod, Resource::Memory));
    }
    if reason == "Insufficient cpu" {
        return format!("insufficient CPU{}", room(view, pod, Resource::Cpu));
    }
    if let Some(resource) = reason.strip_prefix("Insufficient ") {
        return format!("insufficient {resource}");
    }
    if reason.starts_with("had untolerated taint") {
        let taint = reason.split_once('{').and_then(|(_, rest)| rest.split('}').next()).unwrap_or_default();
        let taint = taint.trim_end_matches([' ', ':']);
        return match taint {
            "node.kubernetes.io/unschedulable" => "nodes are cordoned".to_owned(),
            "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable" => "nodes aren't ready".to_owned(),
            "" => taints(view, pod),
            taint => format!("nodes have the taint `{taint}`, which it doesn't tolerate"),
        };
    }
    let known = [
        ("were unschedulable", "nodes are cordoned"),
        ("didn't match Pod's node affinity", "no node has the labels that its node selector or affinity asks for"),
        ("didn't match pod affinity rules", "its pod affinity fits no node"),
        ("didn't match pod anti-affinity rules", "its pod anti-affinity leaves no node"),
        ("didn't satisfy existing pods anti-affinity rules", "the anti-affinity of other pods leaves no node"),
        ("didn't match pod topology spread constraints", "its topology spread constraints leave no node"),
        ("didn't have free ports", "its host port is taken on every node"),
        ("had volume node affinity conflict", "its volume is bound to a node or zone that can't take it"),
        ("didn't find available persistent volumes to bind", "no persistent volume fits its claims"),
    ];
    let word = known.iter().find(|(begins, _)| reason.starts_with(begins)).map(|(_, word)| (*word).to_owned());
    word.or_else(|| (reason == "Too many pods").then(|| "the nodes are full of pods".to_owned()))
        .unwrap_or_else(|| cut(reason))
}

/// Which taints, where the scheduler doesn't say: newer ones don't.
fn taints(view: &View<'_>, pod: &Pod) -> String {
    let is_tolerated = |key: &str| pod.tolerates.iter().any(|tolerated| tolerated.is_empty() || tolerated == key);
    let foreign = |(key, _): &&(String, String)| !key.starts_with("node.kubernetes.io/") && !is_tolerated(key);
    let taints = view.nodes.values().flat_map(|node| &node.taints).filter(foreign);
    let mut names: Vec<String> = taints
        .map(|(key, value)| if value.is_empty() { format!("`{key}`") } else { format!("`{key}: {value}`") })
        .collect();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [] => "nodes have a taint that it doesn't tolerate".to_owned(),
        [one] => format!("nodes have the taint {one}, which it doesn't tolerate"),
        several => format!("nodes have the taints {}, which it doesn't tolerate", several.join(" and ")),
    }
}

#[derive(Clone, Copy)]
enum Resource {
    Memory,
    Cpu,
}

/// What the pod needs, and the most that there is on one node, as far as that can be known.
fn room(view: &View<'_>, pod: &Pod, resource: Resource) -> String {
    let of = |(memory, cpu): (f64, f64)| match resource {
        Resource::Memory => memory,
        Resource::Cpu => cpu,
    };
    let text = |amount: f64| match resource {
        Resource::Memory => bytes_text(amount),
        Resource::Cpu => cpus_text(amount),
    };
    let needs = of(pod.requests());
    if needs <= 0.0 {
        return String::new();
    }
    let nodes = view.nodes.values().filter(|node| !node.is_cordoned);
    let has = nodes.filter_map(|node| Some((node.meta.name.as_str(), of((node.memory?, node.cpu?)))));
    let has: Vec<(&str, f64)> = has.collect();
    let Some(largest) = has.iter().map(|(_, has)| *has).reduce(f64::max) else {
        return format!(" (needs {})", text(needs));
    };
    if needs > largest {
        return format!(" (needs {}; the largest node has {})", text(needs), text(largest));
    }
    if !view.is_whole() {
        return format!(" (needs {})", text(needs));
    }
    let used = |node: &str| -> f64 {
        let pods = view.pods.iter().filter(|other| other.node == node && !other.has_ended());
        pods.map(|other| of(other.requests())).sum()
    };
    let free = has.iter().map(|(node, has)| (has - used(node)).max(0.0)).reduce(f64::max).unwrap_or(0.0);
    format!(" (needs {}; most free on one node {})", text(needs), text(free))
}
