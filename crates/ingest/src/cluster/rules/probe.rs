//! A container that runs and isn't ready, because of its probe.

use std::time::Duration;

use homeostat_core::{FactKind, Standing, Timestamp};

use super::super::draft::Draft;
use super::super::pod::Pod;
use super::super::view::View;
use super::words::cut;

/// The deadline that Kubernetes gives a roll-out by default (`progressDeadlineSeconds`).
const START_MAX: Duration = Duration::from_secs(600);

/// What the events about a pod say of its probes, if one of its containers runs and isn't ready.
///
/// What has never been ready may still be starting: it opens nothing before a roll-out would be called stuck.
pub(super) fn finding(view: &View<'_>, pod: &Pod) -> Option<(Draft, Standing)> {
    let waits = |container: &&super::super::container::Container| {
        !container.is_init && !container.is_ready && container.running_since().is_some()
    };
    let container = pod.containers.iter().find(waits)?;
    let events = view.events_about("Pod", &pod.meta);
    let running_since = container.running_since().unwrap_or(Timestamp::from_secs(0));
    let is_of_this_run = |last: Timestamp| last >= running_since;
    let event = events.iter().find(|event| event.reason == "Unhealthy" && is_of_this_run(event.last))?;
    let phrase = phrase(&event.message);
    let sentence = format!("the container `{}` isn't ready: its {phrase}", container.name);
    let unready_since = pod.unready_since();
    let is_starting = unready_since <= running_since && view.now.since(running_since) < START_MAX;
    let standing = if is_starting { Standing::Explains } else { Standing::Opens };
    let since = unready_since.max(running_since);
    Some((Draft::new(FactKind::ProbeFailing, pod.meta.object("Pod"), since, sentence), standing))
}

/// `Readiness probe failed: Get "http://10.1.2.3:8081/": dial tcp 10.1.2.3:8081: connect: connection refused` as part of a sentence,
/// without the address of the pod, which differs from pod to pod.
pub(super) fn phrase(message: &str) -> String {
    let (probe, why) = message.split_once(": ").unwrap_or((message, ""));
    let probe = probe.split_whitespace().next().unwrap_or("probe").to_lowercase();
    let refused = port_of(why);
    let why = match refused {
        Some(port) if why.contains("connection refused") => format!("nothing listens on port {port}"),
        Some(port) if why.contains("deadline exceeded") || why.contains("timeout") => {
            format!("port {port} doesn't answer in time")
        }
        Some(_) | None => cut(why),
    };
    format!("{probe} probe fails: {why}")
}

/// The port in an address or a URL.
fn port_of(text: &str) -> Option<&str> {
    let address = text.split_once("dial tcp ").or_else(|| text.split_once("://")).map(|(_, rest)| rest)?;
    let host_and_port = address.split(['/', ' ', '"']).next()?;
    let port = host_and_port.trim_end_matches(':').rsplit(':').next()?;
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(port).filter(|port| !port.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probes_message_is_said_without_the_pods_address() {
        for (message, wanted) in [
            (
                r#"Readiness probe failed: Get "http://10.1.2.3:8081/healthz": dial tcp 10.1.2.3:8081: connect: connection refused"#,
                "readiness probe fails: nothing listens on port 8081",
            ),
            (
                "Liveness probe failed: HTTP probe failed with statuscode: 500",
                "liveness probe fails: HTTP probe failed with statuscode: 500",
            ),
            (
                r#"Startup probe failed: Get "http://10.1.2.3:80/": context deadline exceeded (Client.Timeout exceeded)"#,
                "startup probe fails: port 80 doesn't answer in time",
            ),
            ("Readiness probe errored", "readiness probe fails: "),
        ] {
            assert_eq!(phrase(message), wanted);
        }
    }
}
