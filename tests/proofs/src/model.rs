//! The remediation protocol as a model for [stateright](https://docs.rs/stateright): two replicas with a lease, a journal,
//! an API server, people, and what goes wrong. Decisions, verdicts, stages and the ledger are the product's own functions;
//! written anew is only the order in which the driver calls them, and the world around it.

mod bounds;
mod heal;
mod inputs;
mod log;
mod mutation;
mod replica;
mod server;
mod state;

use std::sync::Arc;

use stateright::{Model, Property};

pub use self::bounds::Bounds;
pub use self::log::{Log, Planned, Tick, Times};
pub use self::mutation::Mutation;
pub use self::state::{Answer, Approvals, Content, Doing, Object, Replica, Request, State, TARGETS, What};

use self::heal::Healed;
use self::inputs::{Inputs, at};
use self::replica::LANDS_WITHIN;

/// What may go wrong. Each that happens takes one of the faults that a run allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A process dies.
    Crash,
    /// A process stands still for a while.
    Pause,
    /// A leader can't renew its lease.
    CutOff,
    /// A clock is a tick ahead, or behind.
    Skew,
    /// Somebody changes an object.
    Edit,
    /// GitOps puts an object back as it was.
    Revert,
    /// An object is deleted, and another one made under its name.
    Recreate,
    /// The kill switch.
    Stop,
    /// A look shows an object as it was before its last change.
    StaleRead,
    /// A request, or its answer, is lost, or its answer comes too late.
    Loss,
    /// The API server is away for good.
    Outage,
    /// An incident ends by itself.
    Close,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 12] = [
        Self::Crash,
        Self::Pause,
        Self::CutOff,
        Self::Skew,
        Self::Edit,
        Self::Revert,
        Self::Recreate,
        Self::Stop,
        Self::StaleRead,
        Self::Loss,
        Self::Outage,
        Self::Close,
    ];
}

/// The model.
pub struct Protocol {
    /// How much is looked at.
    pub bounds: Bounds,
    /// The guard that is broken on purpose.
    pub broken: Option<Mutation>,
    inputs: Inputs,
    healed: Arc<Healed>,
}

/// A step of somebody.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Time passes.
    Pass,
    /// A replica takes the lease, reads the journal and becomes the leader.
    Acquire(u8),
    /// A replica notices that its lease has run out, and drops what it was doing.
    Lose(u8),
    /// The leader notes a stop in the journal.
    NoteStop(u8),
    /// The leader looks at a target and decides; the look may be stale.
    Consider(u8, usize, bool),
    /// A replica does the next thing of what it is in the middle of.
    GoOn(u8),
    /// The leader carries on an action in flight, whose signals are normal now or aren't.
    CarryOn(u8, usize, bool),
    /// The API server handles a request; the answer may be lost.
    Deliver(usize, bool),
    /// A request is lost.
    Drop(usize),
    /// A replica waits for an answer no longer.
    TimeOut(u8),
    /// A replica dies.
    Crash(u8),
    /// A replica starts.
    Start(u8),
    /// A replica stands still.
    Pause(u8),
    /// It goes on.
    Continue(u8),
    /// A replica can't renew its lease.
    CutOff(u8),
    /// It can again.
    Reconnect(u8),
    /// A clock is set.
    Skew(u8, i8),
    /// Something happens to an object.
    Change(usize, Fault),
    /// An incident ends.
    Close(usize),
    /// Somebody says stop.
    Stop,
    /// The source of the stop is gone.
    StopGone,
    /// A person resumes automation.
    Resume,
    /// The API server goes away.
    Outage,
    /// A person approves the plan that is shown.
    Approve,
}

impl Doing {
    /// How a replica that is in the middle of this gets further.
    fn next(&self, me: u8) -> Option<Step> {
        match self {
            Self::Nothing => None,
            Self::Waiting(..) => Some(Step::TimeOut(me)),
            Self::Decided(_) | Self::Started(..) | Self::Answered(..) => Some(Step::GoOn(me)),
        }
    }
}

impl Protocol {
    /// The model with every guard whole, or with one broken.
    pub fn new(bounds: Bounds, broken: Option<Mutation>) -> Self {
        Self { bounds, broken, inputs: Inputs::new(broken), healed: Arc::default() }
    }

    fn is_broken(&self, guard: Mutation) -> bool {
        self.broken == Some(guard)
    }

    fn target(&self, planned: &Planned) -> usize {
        self.inputs.target(&planned.plan.target.subject)
    }

    fn replica_steps(&self, state: &State, me: u8, steps: &mut Vec<Step>) {
        let replica = &state.replicas[usize::from(me)];
        if !replica.runs() {
            return;
        }
        steps.extend(replica.doing.next(me));
        if !self.leads(state, me) {
            if replica.epoch > 0 {
                steps.push(Step::Lose(me));
            } else if !replica.cut_off && self.is_free(state) {
                steps.push(Step::Acquire(me));
            }
            return;
        }
        if replica.doing != Doing::Nothing {
            return;
        }
        steps.push(Step::NoteStop(me));
        for (idx, (_, action)) in replica.log.in_flight().enumerate() {
            steps.push(Step::CarryOn(me, idx, false));
            if action.stage == homeostat_remediate::Stage::Verifying {
                steps.push(Step::CarryOn(me, idx, true));
            }
        }
        for target in 0..TARGETS {
            if state.open[target] && !state.outage {
                steps.push(Step::Consider(me, target, false));
                if state.before[target].is_some() && self.may(state, Fault::StaleRead) {
                    steps.push(Step::Consider(me, target, true));
                }
            }
        }
    }

    /// Whether the lease may be taken: nobody has it, or nobody has renewed it for its whole duration.
    fn is_free(&self, state: &State) -> bool {
        const LEASE_DURATION: Tick = 2;
        state.holder.is_none() || state.now - state.renewed >= LEASE_DURATION
    }

    fn may(&self, state: &State, fault: Fault) -> bool {
        state.faults_left > 0 && self.bounds.kinds.contains(&fault)
    }

    fn fault_steps(&self, state: &State, steps: &mut Vec<Step>) {
        for (me, replica) in (0..).zip(&state.replicas) {
            let quiet = replica.epoch == 0 && replica.doing == Doing::Nothing;
            if replica.up && !quiet && self.may(state, Fault::Crash) {
                steps.push(Step::Crash(me));
            }
            if replica.runs() && !quiet && self.may(state, Fault::Pause) {
                steps.push(Step::Pause(me));
            }
            if replica.runs() && replica.epoch > 0 && !replica.cut_off && self.may(state, Fault::CutOff) {
                steps.push(Step::CutOff(me));
            }
            if replica.epoch == 0 && replica.skew == 0 && self.may(state, Fault::Skew) {
                steps.extend([Step::Skew(me, 1), Step::Skew(me, -1)]);
            }
        }
        for target in 0..TARGETS {
            let kinds = [Fault::Edit, Fault::Revert, Fault::Recreate].into_iter().filter(|kind| self.may(state, *kind));
            steps.extend(kinds.map(|kind| Step::Change(target, kind)));
            // Incidents are tracked between the driver's ticks.
            let is_between = state.replicas.iter().all(|replica| replica.doing == Doing::Nothing);
            if state.open[target] && is_between && self.may(state, Fault::Close) {
                steps.push(Step::Close(target));
            }
        }
        if !state.stop && self.may(state, Fault::Stop) {
            steps.push(Step::Stop);
        }
        if !state.outage && self.may(state, Fault::Outage) {
            steps.push(Step::Outage);
        }
    }

    fn take(&self, state: &mut State, step: &Step) -> bool {
        match *step {
            Step::Pass => self.pass(state),
            Step::Acquire(me) => self.acquire(state, me),
            Step::Lose(me) => {
                let replica = state.replica(me);
                (replica.epoch, replica.doing, replica.log, replica.unanswered) =
                    (0, Doing::Nothing, Log::default(), None);
                waits_no_more(state, me);
            }
            Step::NoteStop(me) => return self.note_stop(state, me),
            Step::Consider(me, target, is_stale) => {
                let seen = if is_stale { state.before[target].clone() } else { Some(state.objects[target].clone()) };
                let Some(seen) = seen else { return false };
                state.faults_left -= u8::from(is_stale);
                return self.consider(state, me, target, &seen);
            }
            Step::GoOn(me) => match state.replicas[usize::from(me)].doing.clone() {
                Doing::Decided(planned) => self.record(state, me, &planned),
                Doing::Started(planned, what) => return self.send(state, me, &planned, what),
                Doing::Answered(planned, what, answer) => self.take_answer(state, me, &planned, what, answer),
                Doing::Nothing | Doing::Waiting(..) => return false,
            },
            Step::CarryOn(me, idx, is_normal) => {
                let log = state.replicas[usize::from(me)].log.clone();
                let Some((planned, action)) = log.in_flight().nth(idx) else { return false };
                return self.carry_on(state, me, planned, action.stage, is_normal);
            }
            Step::Deliver(idx, is_answered) => {
                let mut request = state.requests.remove(idx);
                if !is_answered {
                    state.faults_left -= 1;
                    request.waits = None;
                }
                self.deliver(state, &request);
            }
            Step::Drop(idx) => {
                state.requests.remove(idx);
                // A server that is away takes nothing; otherwise it is a fault.
                state.faults_left -= u8::from(!state.outage);
            }
            Step::TimeOut(me) => {
                if state.requests.iter().any(|request| request.waits == Some(me)) {
                    if state.faults_left == 0 {
                        return false;
                    }
                    state.faults_left -= 1;
                }
                waits_no_more(state, me);
                state.replica(me).doing = Doing::Nothing;
            }
            Step::Approve => {
                state.approvals.left -= 1;
                // Said after the stop, it counts, be it to the same plan.
                (state.approvals.approved, state.approvals.void) =
                    (state.approvals.shown.as_ref().map(|shown| shown.digest), None);
            }
            Step::Resume => {
                let clock = at(state.now, 0);
                let Some(log) = state.log.with_switch(false, clock) else { return false };
                let Some(leader) = state.holder else { return false };
                state.log = log.clone();
                state.replica(leader).log = log;
            }
            Step::Start(me) => state.replica(me).up = true,
            Step::Continue(me) => state.replica(me).paused = false,
            Step::Reconnect(me) => state.replica(me).cut_off = false,
            Step::StopGone => state.stop = false,
            Step::Crash(_)
            | Step::Pause(_)
            | Step::CutOff(_)
            | Step::Skew(..)
            | Step::Change(..)
            | Step::Close(_)
            | Step::Stop
            | Step::Outage => {
                state.faults_left -= 1;
                self.fail(state, step);
            }
        }
        true
    }

    fn fail(&self, state: &mut State, step: &Step) {
        match *step {
            Step::Crash(me) => {
                let skew = state.replicas[usize::from(me)].skew;
                *state.replica(me) = Replica { up: false, skew, ..Replica::down() };
                waits_no_more(state, me);
            }
            Step::Pause(me) => state.replica(me).paused = true,
            Step::CutOff(me) => state.replica(me).cut_off = true,
            Step::Skew(me, by) => {
                state.replica(me).skew = by;
                let skews = state.replicas.each_ref().map(|replica| replica.skew);
                // From each other, and from true time.
                let apart =
                    (skews[0] - skews[1]).unsigned_abs().max(skews[0].unsigned_abs()).max(skews[1].unsigned_abs());
                state.skew_max = state.skew_max.max(apart);
            }
            Step::Change(target, kind) => {
                let object = state.objects[target].clone();
                let version = object.version + 1;
                let after = match kind {
                    Fault::Recreate => Object {
                        uid: object.uid + 1,
                        version: 1,
                        marker: None,
                        undone: None,
                        content: Content::Original,
                    },
                    Fault::Revert => {
                        Object { version, marker: None, undone: None, content: Content::Original, ..object }
                    }
                    _ => Object { version, content: Content::Foreign, ..object },
                };
                state.before[target] = Some(std::mem::replace(&mut state.objects[target], after));
            }
            Step::Close(target) => state.open[target] = false,
            Step::Stop => state.stop = true,
            Step::Outage => state.outage = true,
            _ => {}
        }
    }

    fn pass(&self, state: &mut State) {
        for me in 0..2 {
            let leads = self.leads(state, me);
            let holds = state.holder == Some(me);
            let now = state.now + 1;
            let replica = state.replica(me);
            if leads && holds && replica.runs() && !replica.cut_off {
                replica.renewed = now;
                state.renewed = now;
            }
        }
        state.now += 1;
    }

    fn acquire(&self, state: &mut State, me: u8) {
        state.epoch += 1;
        let (now, epoch, log) = (state.now, state.epoch, state.log.clone());
        (state.holder, state.renewed) = (Some(me), now);
        let replica = state.replica(me);
        (replica.epoch, replica.renewed, replica.doing) = (epoch, now, Doing::Nothing);
        // A write of whoever led before may have left just before.
        let is_applying = log.in_flight().any(|(_, action)| action.stage == homeostat_remediate::Stage::Applying);
        replica.unanswered = is_applying.then_some(now);
        replica.log = log;
    }
}

fn waits_no_more(state: &mut State, me: u8) {
    for request in state.requests.iter_mut().filter(|request| request.waits == Some(me)) {
        request.waits = None;
    }
}

impl Replica {
    fn down() -> Self {
        Self {
            up: true,
            paused: false,
            cut_off: false,
            epoch: 0,
            renewed: 0,
            skew: 0,
            log: Log::default(),
            doing: Doing::Nothing,
            unanswered: None,
            is_sent_again: false,
        }
    }
}

fn holds<const INVARIANT: u8>(_: &Protocol, state: &State) -> bool {
    state.holds(INVARIANT)
}

fn some_action(state: &State, wanted: impl Fn(&homeostat_remediate::PastAction) -> bool) -> bool {
    state.log.actions().any(|(_, _, action)| wanted(action))
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let object = || Object { uid: 1, version: 1, marker: None, undone: None, content: Content::Original };
        vec![State {
            now: 0,
            log: Log::default(),
            epoch: 0,
            holder: None,
            renewed: 0,
            replicas: [Replica::down(), Replica::down()],
            objects: [object(), object()],
            before: [None, None],
            open: [true; TARGETS],
            stop: false,
            outage: false,
            requests: Vec::new(),
            approvals: Approvals { left: self.bounds.approvals, ..Approvals::default() },
            faults_left: self.bounds.faults,
            skew_max: 0,
            effects: Vec::new(),
            broken: 0,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for me in 0..2 {
            self.replica_steps(state, me, steps);
        }
        for (idx, _) in state.requests.iter().enumerate() {
            if state.outage {
                steps.push(Step::Drop(idx));
                continue;
            }
            steps.push(Step::Deliver(idx, true));
            if self.may(state, Fault::Loss) {
                steps.extend([Step::Deliver(idx, false), Step::Drop(idx)]);
            }
        }
        for (me, replica) in (0..).zip(&state.replicas) {
            match replica {
                Replica { up: false, .. } => steps.push(Step::Start(me)),
                Replica { paused: true, .. } => steps.push(Step::Continue(me)),
                Replica { cut_off: true, .. } => steps.push(Step::Reconnect(me)),
                Replica { .. } => {}
            }
        }
        let is_led = state
            .holder
            .is_some_and(|me| self.leads(state, me) && state.replicas[usize::from(me)].doing == Doing::Nothing);
        if state.log.is_stopped() && state.stop {
            steps.push(Step::StopGone);
        }
        if state.log.is_stopped() && !state.stop && is_led {
            steps.push(Step::Resume);
        }
        if state.approvals.left > 0 && state.approvals.shown.is_some() {
            steps.push(Step::Approve);
        }
        if state.now < self.bounds.horizon
            && state.requests.iter().all(|request| state.now < request.sent + LANDS_WITHIN)
        {
            steps.push(Step::Pass);
        }
        if state.faults_left > 0 {
            self.fault_steps(state, steps);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        (self.take(&mut state, &step) || state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        use homeostat_remediate::Stage;
        vec![
            Property::always("I1: one action at a time on targets that conflict", holds::<1>),
            Property::always("I3: no more attempts than allowed", holds::<3>),
            Property::always("I4: every end starts the cooldown", holds::<4>),
            Property::always("I5: a journaled intent before every write", holds::<5>),
            Property::always("I6: a write has one effect, and what has one isn't called not applied", holds::<6>),
            Property::always("I8: only on what was decided on, in time, while the incident goes on", holds::<8>),
            Property::always("I9: only the leader of the newest epoch writes", holds::<9>),
            Property::always("I11: a stop holds every decision and every write", holds::<11>),
            Property::always("I15: from here every action ends and lets go of its target", Self::heals),
            Property::always("I16: taken back once, and only what it wrote", holds::<16>),
            Property::always("I22: what was put back isn't written again", holds::<22>),
            Property::always("I25: an approval is for one plan, once, in time", holds::<25>),
            // That all this isn't true of a model in which nothing happens.
            Property::sometimes("an action recovers", |_, state| some_action(state, |it| it.stage == Stage::Recovered)),
            Property::sometimes("an action is taken back", |_, state| {
                some_action(state, |it| it.stage == Stage::Undone)
            }),
            Property::sometimes("a second attempt", |_, state| some_action(state, |it| it.plan.attempt > 1)),
            Property::sometimes("an approved plan is applied", |_, state: &State| {
                state.approvals.used.is_some()
                    && some_action(state, |it| it.stage == Stage::Verifying && it.plan.policy == "oom-killed")
            }),
        ]
    }
}
