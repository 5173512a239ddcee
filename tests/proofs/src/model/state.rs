//! A state of the model: two replicas, the journal, the lease, two objects that conflict, requests under way, and people.

use super::log::{Log, Planned, Tick};

/// The two targets: the first owns the second, so that an action on one conflicts with an action on the other.
pub const TARGETS: usize = 2;

/// Which write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// The plan's own.
    Apply,
    /// The one that takes it back.
    Undo,
}

/// What a server answered to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It is written.
    Written,
    /// The object isn't what was decided on.
    Stale,
}

/// What a replica is in the middle of, between two steps that somebody else may come between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Nothing.
    Nothing,
    /// It decided to do this; no intent is journaled.
    Decided(Planned),
    /// That it begins is journaled; nothing is sent.
    Started(Planned, What),
    /// It waits for the answer.
    Waiting(Planned, What),
    /// The answer is there and not journaled.
    Answered(Planned, What, Answer),
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    /// Whether it runs.
    pub up: bool,
    /// Whether it is stopped for a while (SIGSTOP, a garbage collector, a virtual machine that moves).
    pub paused: bool,
    /// Whether it can't renew its lease.
    pub cut_off: bool,
    /// Its lease's epoch; 0 for none.
    pub epoch: u8,
    /// When it renewed its lease last.
    pub renewed: Tick,
    /// How far its clock is ahead.
    pub skew: i8,
    /// The journal as it knows it.
    pub log: Log,
    /// What it is in the middle of.
    pub doing: Doing,
    /// When a write may have left last whose answer it doesn't know.
    pub unanswered: Option<Tick>,
    /// Whether the write that it waits for was sent before, without an answer.
    pub is_sent_again: bool,
}

/// Whose content an object has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// What it had before anybody acted.
    Original,
    /// What a plan wrote.
    Written,
    /// What taking a plan back wrote.
    Undone,
    /// What somebody else wrote.
    Foreign,
}

/// An object at the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// Which of those that had its name.
    pub uid: u8,
    /// Raised by every write.
    pub version: u8,
    /// The plan whose marker is on it.
    pub marker: Option<Planned>,
    /// The plan whose undo is on it.
    pub undone: Option<Planned>,
    /// Whose content it has.
    pub content: Content,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Of which plan.
    pub planned: Planned,
    /// Which write.
    pub what: What,
    /// When it left.
    pub sent: Tick,
    /// Who waits for its answer.
    pub waits: Option<u8>,
}

/// What people were shown and said about the second target's plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Approvals {
    /// The plan that waits.
    pub shown: Option<Planned>,
    /// The digest that was approved last.
    pub approved: Option<u64>,
    /// The digest that was acted on last.
    pub used: Option<u64>,
    /// The digest that a stop made void.
    pub void: Option<u64>,
    /// How often people may still say yes.
    pub left: u8,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// True time.
    pub now: Tick,
    /// The journal as it is.
    pub log: Log,
    /// The highest epoch that the journal has seen.
    pub epoch: u8,
    /// Who holds the lease.
    pub holder: Option<u8>,
    /// When it was renewed.
    pub renewed: Tick,
    /// The processes.
    pub replicas: [Replica; 2],
    /// The objects.
    pub objects: [Object; TARGETS],
    /// Objects as they were before their last change, for reads that are stale.
    pub before: [Option<Object>; TARGETS],
    /// Whether each target's incident goes on.
    pub open: [bool; TARGETS],
    /// Whether a source of the kill switch says stop.
    pub stop: bool,
    /// Whether the API server of the targets is away for good.
    pub outage: bool,
    /// What is on its way.
    pub requests: Vec<Request>,
    /// What people said.
    pub approvals: Approvals,
    /// Faults that may still happen.
    pub faults_left: u8,
    /// How far two clocks may be apart.
    pub skew_max: u8,
    /// Writes that took effect, by plan and kind: their number.
    pub effects: Vec<(Planned, What, u8)>,
    /// Invariants that were violated, by number.
    pub broken: u64,
}

impl State {
    /// Notes that an invariant doesn't hold.
    pub fn violate(&mut self, invariant: u8) {
        self.broken |= 1 << invariant;
    }

    /// Whether it held so far.
    pub fn holds(&self, invariant: u8) -> bool {
        self.broken & (1 << invariant) == 0
    }

    /// One replica.
    pub fn replica(&mut self, idx: u8) -> &mut Replica {
        &mut self.replicas[usize::from(idx)]
    }
}

impl Replica {
    /// Whether it can take a step.
    pub fn runs(&self) -> bool {
        self.up && !self.paused
    }
}
