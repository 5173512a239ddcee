//! The shop as a whole: time goes on step by step. What a step does to one service is in `service` and `load`.

mod faults;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Calendar, Grid, ReplicaWindow, Rollout, Schema, Seed, Subject, Timestamp, Topology, Window};
use ndarray::Array2;

use crate::demand::relative_demand;
use crate::edge::Edge;
use crate::fault::{Fault, FaultKind};
use crate::features::{N_FEATURES, schema};
use crate::load::{Dependencies, Load, calls_rps};
use crate::service::{Draws, Service};
use crate::spec::{ShopSpec, ShopSpecError};
use crate::truth::FaultTruth;

pub use faults::{FAULTS_MAX, ScheduleError};

/// Roll-outs remembered: "what was rolled out lately" looks back an hour or two, and this is more than a busy day.
pub const ROLLOUTS_MAX: usize = 256;

/// A simulated cluster.
#[derive(Clone, Debug)]
pub struct Shop {
    pub(crate) services: Vec<Service>,
    /// Places of the services, callers before what they call.
    callers_first: Vec<usize>,
    pub(crate) schema: Arc<Schema>,
    topology: Topology,
    step: Duration,
    history_steps: usize,
    scrape_loss: f64,
    pub(crate) now: Timestamp,
    scheduled: Vec<Fault>,
    truths: Vec<FaultTruth>,
    calendar: Calendar,
    pub(crate) rollouts: VecDeque<Rollout>,
}

impl Shop {
    /// A shop that has run well for a day, at `start` (aligned down to the step). It has no rows yet.
    pub fn new(spec: ShopSpec, seed: Seed, start: Timestamp) -> Result<Self, ShopSpecError> {
        spec.check()?;
        let now = start.align_down(spec.step);
        let subjects = spec.subjects();
        let place = |name: &str| subjects.iter().position(|subject| subject.name == name);
        let mut services = Vec::with_capacity(subjects.len());
        let mut topology = Topology::new();
        for subject in &subjects {
            let Some(service) = spec.service(&subject.name) else { continue };
            let mut edges = Vec::with_capacity(service.calls.len());
            for call in &service.calls {
                let Some(to) = place(&call.to) else { continue };
                topology.add(subject.clone(), subjects[to].clone());
                let (per_request, criticality, waits) = (call.per_request, call.criticality, call.waits);
                edges.push(Edge { to, per_request, criticality, waits });
            }
            services.push(Service::new(service.clone(), subject.clone(), edges, seed, now));
        }
        // The features are a constant table that its own test checks; an empty list is the only way this could fail.
        let schema = schema().map_err(|_| ShopSpecError::NoServices)?;
        Ok(Self {
            callers_first: callers_first(&services)?,
            services,
            schema,
            topology,
            step: spec.step,
            history_steps: spec.history_steps,
            scrape_loss: spec.scrape_loss,
            now,
            scheduled: Vec::new(),
            truths: Vec::new(),
            calendar: Calendar::default(),
            rollouts: VecDeque::new(),
        })
    }

    /// The same shop at the same moment, with another noise from here on: for many scenarios after one training.
    #[must_use]
    pub fn reseeded(&self, seed: Seed) -> Self {
        let mut shop = self.clone();
        for service in &mut shop.services {
            service.reseed(seed);
        }
        shop
    }

    /// The shop's time: that of the latest row.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Time between two rows.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// The features of every window.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// All services, in order.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.services.iter().map(|service| &service.subject)
    }

    /// Who calls whom.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Planned events: the campaigns that are scheduled, from the moment they are.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The latest roll-outs, oldest first, at most [`ROLLOUTS_MAX`].
    pub fn rollouts(&self) -> impl Iterator<Item = &Rollout> {
        self.rollouts.iter()
    }

    /// What really happened so far, in order of start: labels, for scoring only.
    pub fn truths(&self) -> &[FaultTruth] {
        &self.truths
    }

    /// Rolls out a new revision that is as good as the old one, as teams do every day: nothing should come of it.
    pub fn deploy(&mut self, subject: &Subject) -> Result<(), ScheduleError> {
        let now = self.now;
        let place = self.place(subject).ok_or_else(|| ScheduleError::NoSuchService(subject.clone()))?;
        let deployment = self.services[place].deployment.as_mut();
        let impossible = || ScheduleError::Impossible { kind: FaultKind::BadDeployment, subject: subject.clone() };
        let deployment = deployment.ok_or_else(impossible)?;
        deployment.deploy(now);
        let revision = deployment.current.number;
        self.note_rollout(place, now, revision, false);
        Ok(())
    }

    /// Steps until the latest row isn't before `until`.
    pub fn advance_to(&mut self, until: Timestamp) {
        while self.now < until {
            self.advance();
        }
    }

    /// One step.
    pub fn advance(&mut self) {
        let before = self.now;
        self.now = before + self.step;
        let (now, step, step_s) = (self.now, self.step, self.step.as_secs_f64());
        self.begin_faults(before);
        for service in &mut self.services {
            service.live(now);
        }
        let draws: Vec<Draws> = self.services.iter_mut().map(|service| service.draw(step_s)).collect();
        let traffic_rps = self.spread_traffic(&draws);
        let mut loads: Vec<Load> = vec![Load::default(); self.services.len()];
        for &place in self.callers_first.iter().rev() {
            let service = &mut self.services[place];
            let dependencies = Dependencies::of(&service.edges, &loads);
            service.serve(traffic_rps[place], &dependencies, now, step);
            loads[place] = service.load;
        }
        for (place, draws) in draws.iter().enumerate() {
            let service = &mut self.services[place];
            let (memory, n_kills) = service.remember(now, step, draws);
            let row = service.measure(step_s, memory, draws, self.scrape_loss);
            if service.history.len() >= self.history_steps {
                service.history.pop_front();
            }
            service.history.push_back(row);
            if n_kills > 0 {
                self.note_kills(place);
            }
        }
        self.end_faults();
    }

    /// Windows of the last `n_steps` rows, ending now, one per service in order of subject. There are fewer rows while
    /// the shop is young, and none before the first step.
    pub fn windows(&self, n_steps: usize) -> Vec<Window> {
        self.services.iter().filter_map(|service| self.window_of(service, n_steps)).collect()
    }

    /// Windows of the last `n_steps` rows of every pod, 64 at most, ending now: error ratio, latency (s) and CPU (cores). In order of
    /// service and slot; a pod that came or went meanwhile has gaps where it wasn't.
    pub fn replica_windows(&self, n_steps: usize) -> Vec<ReplicaWindow> {
        let of = |service: &Service| service.replicas.windows(&service.subject, self.now, self.step, n_steps);
        self.services.iter().flat_map(of).collect()
    }

    /// The window of one service, as in [`Shop::windows`].
    pub fn window(&self, subject: &Subject, n_steps: usize) -> Option<Window> {
        self.window_of(&self.services[self.place(subject)?], n_steps)
    }

    /// Windows of all rows that are kept.
    pub fn history(&self) -> Vec<Window> {
        self.windows(self.history_steps)
    }

    fn window_of(&self, service: &Service, n_steps: usize) -> Option<Window> {
        let n_rows = n_steps.min(service.history.len());
        let grid = Grid::ending_at(self.now, self.step, n_rows).ok()?;
        let rows = service.history.iter().skip(service.history.len() - n_rows);
        let values: Vec<f64> = rows.flatten().copied().collect();
        let values = Array2::from_shape_vec((n_rows, N_FEATURES), values).ok()?;
        Window::new(service.subject.clone(), grid, Arc::clone(&self.schema), values).ok()
    }

    pub(crate) fn place(&self, subject: &Subject) -> Option<usize> {
        self.services.binary_search_by(|service| service.subject.cmp(subject)).ok()
    }

    pub(crate) fn note_rollout(&mut self, place: usize, at: Timestamp, revision: u64, by_us: bool) {
        if self.rollouts.len() >= ROLLOUTS_MAX {
            self.rollouts.pop_front();
        }
        let subject = self.services[place].subject.clone();
        self.rollouts.push_back(Rollout { subject, at, revision: revision.to_string(), by_us });
    }

    /// Requests a second that reach each service: from outside, and from callers.
    fn spread_traffic(&self, draws: &[Draws]) -> Vec<f64> {
        let relative = relative_demand(self.now);
        let mut traffic_rps: Vec<f64> =
            self.services.iter().map(|service| service.spec.demand_rps * relative).collect();
        for &place in &self.callers_first {
            let service = &self.services[place];
            traffic_rps[place] *= draws[place].traffic * service.traffic_factor();
            for edge in &service.edges {
                let callee = &self.services[edge.to].load;
                traffic_rps[edge.to] += calls_rps(traffic_rps[place], &service.load, edge, callee);
            }
        }
        traffic_rps
    }
}

/// Places of the services, callers before what they call (Kahn, Topological sorting of large networks, 1962).
fn callers_first(services: &[Service]) -> Result<Vec<usize>, ShopSpecError> {
    let mut n_callers = vec![0_usize; services.len()];
    for edge in services.iter().flat_map(|service| &service.edges) {
        n_callers[edge.to] += 1;
    }
    let mut order: Vec<usize> = (0..services.len()).filter(|place| n_callers[*place] == 0).collect();
    let mut done = 0;
    while let Some(place) = order.get(done).copied() {
        done += 1;
        for edge in &services[place].edges {
            n_callers[edge.to] -= 1;
            if n_callers[edge.to] == 0 {
                order.push(edge.to);
            }
        }
    }
    match (0..services.len()).find(|place| n_callers[*place] > 0) {
        None => Ok(order),
        Some(place) => Err(ShopSpecError::Cycle(services[place].spec.name.clone())),
    }
}
