//! A container that doesn't run: its image, what it needs, how it ends.

use homeostat_core::{FactKind, Standing};

use super::super::container::{Container, End};
use super::super::draft::Draft;
use super::super::life_cycle::{CRASHES_MIN, Loop, OOM_KILLS_MIN};
use super::super::pod::Pod;
use super::super::quantity::bytes_text;
use super::super::view::View;
use super::reason::{missing, of_image};
use super::words::cut;

/// What is wrong with a container. The standing is [`Standing::Explains`] for what a single one of doesn't open an incident.
pub(super) fn findings(view: &View<'_>, pod: &Pod, container: &Container) -> Vec<(Draft, Standing)> {
    let opens = |draft: Draft| vec![(draft, Standing::Opens)];
    if let Some((reason, message)) = container.waiting() {
        let since = pod.unready_since();
        match reason {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => {
                let why = of_image(reason, message).or_else(|| pull_event(view, pod, container));
                let why = why.unwrap_or_else(|| "the kubelet says no more".to_owned());
                let sentence = format!("the image `{}` can't be pulled: {why}", container.image);
                return opens(Draft::new(FactKind::ImagePull, pod.meta.object("Pod"), since, sentence));
            }
            "CreateContainerConfigError" => {
                return opens(match missing(&pod.meta.namespace, message) {
                    Some(missing) => Draft::new(FactKind::MissingConfig, missing.object, since, missing.sentence),
                    None => cannot_start(pod, container, message, since),
                });
            }
            "CreateContainerError" | "RunContainerError" | "StartError" => {
                return opens(cannot_start(pod, container, message, since));
            }
            _other => {}
        }
    }
    let born = pod.meta.created.unwrap_or(view.now);
    let chain = view.life(pod, container).and_then(|life| life.chain(container, born, view.now));
    chain.map(|chain| of_ends(view, pod, container, &chain)).unwrap_or_default()
}

fn cannot_start(pod: &Pod, container: &Container, message: &str, since: homeostat_core::Timestamp) -> Draft {
    let sentence = format!("the container `{}` can't be started: {}", container.name, cut(message));
    Draft::new(FactKind::ContainerStart, pod.meta.object("Pod"), since, sentence)
}

/// What the kubelet said when it tried, where the status says only that it waits to try again.
fn pull_event(view: &View<'_>, pod: &Pod, container: &Container) -> Option<String> {
    let events = view.events_about("Pod", &pod.meta);
    let mut pulls = events.iter().filter(|event| event.reason == "Failed" && event.message.contains(&container.image));
    pulls.find_map(|event| of_image("ErrImagePull", &event.message))
}

fn of_ends(view: &View<'_>, pod: &Pod, container: &Container, chain: &Loop) -> Vec<(Draft, Standing)> {
    let (object, since, name) = (pod.meta.object("Pod"), chain.since, &container.name);
    let is_loop = chain.crashes >= CRASHES_MIN;
    if chain.newest.is_oom() || 2 * chain.oom_kills > chain.crashes {
        let limit = match container.memory_limit {
            Some(limit) => format!("its memory limit is {}", bytes_text(limit)),
            None => "it has no memory limit, the node itself ran out".to_owned(),
        };
        let again = if is_loop { " again and again" } else { "" };
        let sentence = format!("the container `{name}` is killed for memory{again} (OOMKilled): {limit}");
        let standing = if is_loop || chain.oom_kills >= OOM_KILLS_MIN { Standing::Opens } else { Standing::Explains };
        return vec![(Draft::new(FactKind::OomKilled, object, since, sentence), standing)];
    }
    if chain.newest.reason == "StartError" || chain.newest.reason == "ContainerCannotRun" {
        return vec![(cannot_start(pod, container, &chain.newest.message, since), Standing::Opens)];
    }
    if !is_loop {
        return Vec::new();
    }
    let why = liveness(view, pod, container).unwrap_or_else(|| exit(&chain.newest));
    let what = if container.is_init { "init container" } else { "container" };
    let sentence = format!("the {what} `{name}` crashes again and again: {why}");
    vec![(Draft::new(FactKind::CrashLoop, object, since, sentence), Standing::Opens)]
}

/// What an exit code means.
fn exit(end: &End) -> String {
    match end.exit_code {
        0 => "it ends by itself with exit code 0, though it should go on running".to_owned(),
        126 => "exit code 126, its command can't be executed".to_owned(),
        127 => "exit code 127, its command isn't found".to_owned(),
        137 => "exit code 137, it was killed (SIGKILL), and not for its memory limit".to_owned(),
        139 => "exit code 139, a segmentation fault".to_owned(),
        143 => "exit code 143, it was told to end (SIGTERM)".to_owned(),
        code => format!("exit code {code}"),
    }
}

/// Whether it is its liveness or startup probe that ends it.
fn liveness(view: &View<'_>, pod: &Pod, container: &Container) -> Option<String> {
    let events = view.events_about("Pod", &pod.meta);
    let unhealthy = events.iter().filter(|event| event.reason == "Unhealthy");
    let mut failed = unhealthy.filter(|event| {
        // An event of a pod with several containers doesn't say of which it is, but in its field path, which isn't kept.
        pod.containers.iter().filter(|other| !other.is_init).count() == 1
            && !container.is_init
            && (event.message.starts_with("Liveness") || event.message.starts_with("Startup"))
    });
    failed.next().map(|event| format!("the kubelet ends it, because its {}", super::probe::phrase(&event.message)))
}
