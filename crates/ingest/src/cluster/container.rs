//! A container of a pod: what it is meant to be, and where it stands.

use homeostat_core::{Timestamp, parse_quantity};

use super::json::Json;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) is_init: bool,
    pub(super) ports: Vec<Port>,
    pub(super) memory: f64,
    pub(super) cpu: f64,
    pub(super) memory_limit: Option<f64>,
    pub(super) is_ready: bool,
    pub(super) restarts: u32,
    pub(super) state: ContainerState,
    /// How it ended last.
    pub(super) last_end: Option<End>,
}

/// A port that a container names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) number: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ContainerState {
    /// Its node hasn't said.
    #[default]
    Unknown,
    Waiting {
        reason: String,
        message: String,
    },
    Running {
        since: Option<Timestamp>,
    },
    Terminated(End),
}

/// One end of a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    pub(super) finished: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) reason: String,
    pub(super) exit_code: i64,
    pub(super) message: String,
}

impl Container {
    /// All containers of a pod, those that run before the others first.
    pub(super) fn read_all(pod: Json<'_>) -> Vec<Self> {
        let of = |list: &str, statuses: &str, is_init: bool| {
            let status_of = |name: &str| {
                let mut statuses = pod.at("status").list(statuses);
                statuses.find(|status| status.text("name") == name)
            };
            let read = |spec: Json<'_>| Self::read(spec, status_of(&spec.text("name")), is_init);
            pod.at("spec").list(list).map(read).collect::<Vec<Self>>()
        };
        let mut containers = of("initContainers", "initContainerStatuses", true);
        containers.extend(of("containers", "containerStatuses", false));
        containers
    }

    fn read(spec: Json<'_>, status: Option<Json<'_>>, is_init: bool) -> Self {
        let (requests, limits) = (spec.at("resources").at("requests"), spec.at("resources").at("limits"));
        let quantity = |of: Json<'_>, name: &str| {
            let whole = || of.int(name).and_then(|number| parse_quantity(&number.to_string()));
            parse_quantity(&of.text(name)).or_else(whole)
        };
        let port = |port: Json<'_>| Some(Port { name: port.text("name"), number: port.int("containerPort")? });
        let mut container = Self {
            name: spec.text("name"),
            image: spec.text("image"),
            is_init,
            ports: spec.list("ports").filter_map(port).collect(),
            memory: quantity(requests, "memory").unwrap_or(0.0),
            cpu: quantity(requests, "cpu").unwrap_or(0.0),
            memory_limit: quantity(limits, "memory"),
            ..Self::default()
        };
        if let Some(status) = status {
            container.is_ready = status.flag("ready");
            container.restarts = status.count("restartCount").unwrap_or(0);
            container.state = ContainerState::read(status.at("state"));
            container.last_end = End::read(status.at("lastState").at("terminated"));
        }
        container
    }

    pub(super) fn waiting(&self) -> Option<(&str, &str)> {
        match &self.state {
            ContainerState::Waiting { reason, message } => Some((reason, message)),
            ContainerState::Unknown | ContainerState::Running { .. } | ContainerState::Terminated(_) => None,
        }
    }

    pub(super) fn running_since(&self) -> Option<Timestamp> {
        match &self.state {
            ContainerState::Running { since } => *since,
            ContainerState::Unknown | ContainerState::Waiting { .. } | ContainerState::Terminated(_) => None,
        }
    }

    /// The ends that its status tells of.
    pub(super) fn ends(&self) -> impl Iterator<Item = &End> {
        let now = match &self.state {
            ContainerState::Terminated(end) => Some(end),
            ContainerState::Unknown | ContainerState::Waiting { .. } | ContainerState::Running { .. } => None,
        };
        self.last_end.iter().chain(now)
    }
}

impl ContainerState {
    fn read(state: Json<'_>) -> Self {
        let (waiting, running) = (state.at("waiting"), state.at("running"));
        if waiting.is_there() {
            return Self::Waiting { reason: waiting.text("reason"), message: waiting.text("message") };
        }
        if running.is_there() {
            return Self::Running { since: running.moment("startedAt") };
        }
        End::read(state.at("terminated")).map_or(Self::Unknown, Self::Terminated)
    }
}

impl End {
    fn read(terminated: Json<'_>) -> Option<Self> {
        Some(Self {
            finished: terminated.moment("finishedAt")?,
            started: terminated.moment("startedAt"),
            reason: terminated.text("reason"),
            exit_code: terminated.int("exitCode")?,
            // What the program wrote may be anything; only the runtime's own messages are read, when a container can't start.
            message: terminated.text("message"),
        })
    }

    pub(super) fn is_oom(&self) -> bool {
        self.reason == "OOMKilled"
    }
}
