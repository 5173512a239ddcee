//! What a shop consists of. Plain data; [`crate::Shop::new`] checks it.

mod standard;

use std::time::Duration;

use homeostat_core::{Subject, WorkloadKind};

/// Shortest and longest step: shorter costs much and shows nothing more (Prometheus scrapes every 15 s at best),
/// longer hides a container's restart between two steps.
pub const STEP_S: std::ops::RangeInclusive<u64> = 15..=60;

/// Most rows kept per service: four weeks of minutes, 9 services × 40 320 rows × 64 B = 23 MB.
pub const HISTORY_STEPS_MAX: usize = 28 * 24 * 60;

/// Most replicas of one service: pods are simulated one by one, so this bounds the work of a step.
pub const REPLICAS_MAX: u32 = 100;

/// A shop: services in one namespace that call one another.
#[derive(Clone, Debug, PartialEq)]
pub struct ShopSpec {
    /// The namespace of all services.
    pub namespace: String,
    /// Simulated time between two rows; whole seconds within [`STEP_S`].
    pub step: Duration,
    /// The services, in any order; calls form no cycle.
    pub services: Vec<ServiceSpec>,
    /// Rows kept per service, at most [`HISTORY_STEPS_MAX`]; older ones are forgotten.
    pub history_steps: usize,
    /// Share of scrapes that fail, each leaving a gap in every feature of one service's row.
    pub scrape_loss: f64,
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// Its workload's name.
    pub name: String,
    /// `External` is only watched; anything else has pods and rolls out as a Deployment does.
    pub kind: WorkloadKind,
    /// Pods wanted, 1 to [`REPLICAS_MAX`].
    pub replicas: u32,
    /// Requests a second from outside the shop, mean over a week; they follow the daily curve.
    pub demand_rps: f64,
    /// What each request calls.
    pub calls: Vec<Call>,
    /// CPU time of one request.
    pub cpu_s_per_request: f64,
    /// CPU limit of one pod, cores.
    pub cpu_limit_cores: f64,
    /// 99th percentile of its own latency when idle, without what it calls.
    pub latency_base_s: f64,
    /// Memory of a warm idle pod, share of its limit.
    pub memory_base: f64,
    /// What full load adds to that.
    pub memory_load: f64,
    /// From a container's start until it's ready.
    pub startup_s: f64,
}

/// A dependency of one service on another.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The service called.
    pub to: String,
    /// Calls per request.
    pub per_request: f64,
    /// Share of the failed calls that fail the request: 1 without any fallback.
    pub criticality: f64,
    /// Whether the caller waits for the answer. If not (a queue), errors and latency don't come back.
    pub waits: bool,
}

/// Why a [`ShopSpec`] is no shop.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ShopSpecError {
    /// There is no service.
    #[error("a shop needs at least one service")]
    NoServices,
    /// The step is outside [`STEP_S`] or no whole number of seconds.
    #[error("the step must be a whole number of seconds between 15 and 60, not {0:?}")]
    Step(Duration),
    /// The history is empty or too long.
    #[error("history_steps must be between 1 and {HISTORY_STEPS_MAX}, not {0}")]
    History(usize),
    /// Two services have one name.
    #[error("two services are named {0:?}")]
    Duplicate(String),
    /// A call goes nowhere.
    #[error("{caller} calls {callee:?}, which isn't among the services")]
    UnknownCallee {
        /// The service that calls.
        caller: String,
        /// What it names.
        callee: String,
    },
    /// Services call one another in a circle: a request would never end.
    #[error("services call one another in a circle through {0:?}")]
    Cycle(String),
    /// A number is out of its range.
    #[error("{service}: {field} must be {wanted}, not {found}")]
    OutOfRange {
        /// The service, or "shop".
        service: String,
        /// The field.
        field: &'static str,
        /// What it may be.
        wanted: &'static str,
        /// What it is.
        found: f64,
    },
}

impl ServiceSpec {
    /// The subject of this service in a namespace.
    pub fn subject(&self, namespace: &str) -> Subject {
        Subject { namespace: namespace.to_owned(), kind: self.kind, name: self.name.clone() }
    }

    fn check(&self) -> Result<(), ShopSpecError> {
        let positive = |field, found: f64| (found > 0.0 && found.is_finite(), field, "above 0", found);
        let not_negative = |field, found: f64| (found >= 0.0 && found.is_finite(), field, "0 or more", found);
        let share = |field, found: f64| ((0.0..=1.0).contains(&found), field, "between 0 and 1", found);
        let mut checks = vec![
            ((1..=REPLICAS_MAX).contains(&self.replicas), "replicas", "between 1 and 100", f64::from(self.replicas)),
            not_negative("demand_rps", self.demand_rps),
            positive("cpu_s_per_request", self.cpu_s_per_request),
            positive("cpu_limit_cores", self.cpu_limit_cores),
            positive("latency_base_s", self.latency_base_s),
            share("memory_base", self.memory_base),
            share("memory_base + memory_load", self.memory_base + self.memory_load),
            not_negative("memory_load", self.memory_load),
            positive("startup_s", self.startup_s),
        ];
        for call in &self.calls {
            checks.push(not_negative("per_request", call.per_request));
            checks.push(share("criticality", call.criticality));
        }
        match checks.into_iter().find(|(holds, ..)| !holds) {
            None => Ok(()),
            Some((_, field, wanted, found)) => {
                Err(ShopSpecError::OutOfRange { service: self.name.clone(), field, wanted, found })
            }
        }
    }
}

impl ShopSpec {
    /// Checks everything but cycles, which the ordering finds.
    pub(crate) fn check(&self) -> Result<(), ShopSpecError> {
        if self.services.is_empty() {
            return Err(ShopSpecError::NoServices);
        }
        if !STEP_S.contains(&self.step.as_secs()) || self.step.subsec_nanos() != 0 {
            return Err(ShopSpecError::Step(self.step));
        }
        if !(1..=HISTORY_STEPS_MAX).contains(&self.history_steps) {
            return Err(ShopSpecError::History(self.history_steps));
        }
        if !(0.0..1.0).contains(&self.scrape_loss) {
            return Err(ShopSpecError::OutOfRange {
                service: "shop".into(),
                field: "scrape_loss",
                wanted: "0 or more and below 1",
                found: self.scrape_loss,
            });
        }
        for (idx, service) in self.services.iter().enumerate() {
            if self.services[..idx].iter().any(|earlier| earlier.name == service.name) {
                return Err(ShopSpecError::Duplicate(service.name.clone()));
            }
        }
        for service in &self.services {
            service.check()?;
            if let Some(call) = service.calls.iter().find(|call| self.service(&call.to).is_none()) {
                return Err(ShopSpecError::UnknownCallee { caller: service.name.clone(), callee: call.to.clone() });
            }
        }
        Ok(())
    }

    /// The service with this name.
    pub fn service(&self, name: &str) -> Option<&ServiceSpec> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Subjects of all services, in order.
    pub fn subjects(&self) -> Vec<Subject> {
        let mut subjects: Vec<Subject> = self.services.iter().map(|service| service.subject(&self.namespace)).collect();
        subjects.sort();
        subjects
    }
}
