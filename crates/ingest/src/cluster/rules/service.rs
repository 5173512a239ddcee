//! Services that lead nowhere.

use homeostat_core::{ClusterFact, FactKind, Standing, Subject, Timestamp, WorkloadKind};

use super::super::draft::Draft;
use super::super::network::{Service, TargetPort};
use super::super::pod::Pod;
use super::super::view::View;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    let routed = view.services.iter().filter(|service| !service.selector.is_empty() && service.meta.deleted.is_none());
    routed.flat_map(|service| of_service(view, service)).collect()
}

fn of_service(view: &View<'_>, service: &Service) -> Vec<ClusterFact> {
    let in_namespace = |pod: &&&Pod| pod.meta.namespace == service.meta.namespace;
    let pods: Vec<&Pod> = view
        .pods
        .iter()
        .filter(in_namespace)
        .filter(|pod| pod.meta.deleted.is_none() && !pod.has_ended() && pod.matches(&service.selector))
        .copied()
        .collect();
    if pods.is_empty() {
        return without_pods(view, service).into_iter().collect();
    }
    let Some(subject) = pods.iter().find_map(|pod| view.subject_of(pod)) else { return Vec::new() };
    service.target_ports.iter().filter_map(|port| port_fact(service, port, &pods, &subject)).collect()
}

fn without_pods(view: &View<'_>, service: &Service) -> Option<ClusterFact> {
    let namespace = &service.meta.namespace;
    let mut workloads = view.workloads.iter().filter(|(subject, _)| subject.namespace == *namespace);
    let selects = |labels: &[(String, String)]| service.selector.iter().all(|label| labels.contains(label));
    // Its workload is there: why that has no pods, other rules say.
    if workloads.clone().any(|(_, workload)| selects(&workload.template_labels)) {
        return None;
    }
    let name = &service.meta.name;
    let selector: Vec<String> = service.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let selector = selector.join(",");
    let near = workloads.find(|(subject, _)| subject.name == *name);
    let (subject, hint) = match near {
        Some((subject, workload)) => {
            let labels = workload.template_labels.iter().map(|(key, value)| format!("{key}={value}"));
            let labels: Vec<String> = labels.collect();
            let hint = format!("; the pods of {} `{}` have {}", workload.kind_name(), subject.name, labels.join(","));
            (subject.clone(), hint)
        }
        None => {
            let kind = WorkloadKind::External;
            (Subject { namespace: namespace.clone(), kind, name: name.clone() }, String::new())
        }
    };
    // A Service of which nobody knows a workload may be left over: only that of a workload by its name opens anything.
    let standing = if near.is_some() { Standing::Opens } else { Standing::Hints };
    let sentence = format!("Service `{name}` selects no pod: its selector is {selector}{hint}");
    let since = service.meta.changed.unwrap_or(Timestamp::from_secs(0));
    let draft = Draft::new(FactKind::ServiceWithoutPods, service.meta.object("Service"), since, sentence);
    Some(draft.about(subject, standing))
}

/// A port by name is looked up among the containers' ports, and without one there is no endpoint. A number needn't be declared by
/// anybody: it is only a hint.
fn port_fact(service: &Service, port: &TargetPort, pods: &[&Pod], subject: &Subject) -> Option<ClusterFact> {
    let ports = || pods.iter().flat_map(|pod| &pod.containers).flat_map(|container| &container.ports);
    let (is_there, text, standing) = match port {
        TargetPort::Name(name) => (ports().any(|port| port.name == *name), format!("`{name}`"), Standing::Opens),
        TargetPort::Number(number) => {
            let declares_none = ports().next().is_none();
            (declares_none || ports().any(|port| port.number == *number), number.to_string(), Standing::Hints)
        }
    };
    if is_there {
        return None;
    }
    let mut known: Vec<String> =
        ports()
            .map(|port| {
                if port.name.is_empty() { port.number.to_string() } else { format!("{} ({})", port.number, port.name) }
            })
            .collect();
    known.sort();
    known.dedup();
    let known = if known.is_empty() { "no ports".to_owned() } else { known.join(", ") };
    let sentence =
        format!("Service `{}` sends to port {text}, which no container declares: they have {known}", service.meta.name);
    // Either of the two may have been changed.
    let newest_pod = pods.iter().filter_map(|pod| pod.meta.created).max();
    let since = service.meta.changed.max(newest_pod).unwrap_or(Timestamp::from_secs(0));
    let draft = Draft::new(FactKind::ServicePort, service.meta.object("Service"), since, sentence);
    Some(draft.about(subject.clone(), standing))
}
