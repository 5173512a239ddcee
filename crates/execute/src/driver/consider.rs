//! Deciding on open incidents: when something changed or a wait ran out, not every cycle.

use std::time::Duration;

use homeostat_core::{Incident, Timestamp};
use homeostat_journal::{Note, ReadError};
use homeostat_remediate::{
    Decision, DryRun, Environment, History, InspectError, NewestRows, NextStep, Objection, Proposal, SameCluster, Then,
    decide, features,
};

use tokio::time::{Instant, timeout_at};

use super::look::{Look, Target};
use super::proposing::{how_to_answer, is_answerable};
use super::{Considered, Driver, DriverEvent, TickInput};
use crate::executor::ApplyError;

/// How soon to ask again when a reason passes by itself: one usual cycle.
const AGAIN_AFTER_WAIT: Duration = Duration::from_secs(30);

/// How soon to ask again anyway: a human may have resumed a roll-out, or given a right. One look at one object in five
/// minutes is no load on an API server.
const AGAIN_ANYWAY: Duration = Duration::from_secs(300);

/// All dry runs of a tick, for which detection waits. One takes as long as a write; whoever isn't asked in time acts without.
const DRY_RUNS_WITHIN: Duration = Duration::from_secs(10);

impl Driver {
    /// Decides on those whose facts changed or whose wait ran out. What can be decided without looking at a target comes
    /// first, and nothing is asked for it.
    pub(super) async fn consider_all(
        &mut self,
        incidents: &[&Incident],
        input: &TickInput<'_>,
        events: &mut Vec<DriverEvent>,
    ) {
        let now = self.now();
        let history = match self.journal.history() {
            Ok(history) => history,
            Err(error) => {
                for incident in incidents {
                    self.refuse(incident, &error.to_string(), now, events);
                }
                return;
            }
        };
        // Cloned, because deciding borrows them while the driver writes down what was decided.
        let policies = self.policies.clone();
        let mut to_look_at: Vec<Proposal<'_>> = Vec::new();
        for incident in incidents {
            if self.is_settled(incident, &self.facts(incident, input, &history), now) {
                continue;
            }
            let proposal = Proposal::new(incident, &policies, &history);
            let unseen = Look { seen: Err(InspectError::NotAsked), same_cluster: SameCluster::Proven };
            let decision = self.decide_on(&proposal, &unseen, &history, &DryRun::Passed, input);
            // What a human may overrule is proposed, and a proposal names its target.
            if decision.objections().iter().all(|objection| objection.approvable) {
                to_look_at.push(proposal);
            } else {
                self.conclude_on(&proposal, decision, &history, input, events).await;
            }
        }
        let looks = self.look(to_look_at.iter().filter_map(target_of).collect()).await;
        let dry_runs_until = Instant::now() + DRY_RUNS_WITHIN;
        for proposal in to_look_at {
            let Some(look) = target_of(&proposal).and_then(|target| looks.get(&target)) else { continue };
            // Read again: the one before may have acted.
            match self.journal.history() {
                Ok(history) => {
                    let mut decision = self.decide_on(&proposal, look, &history, &DryRun::Passed, input);
                    let dry_run = self.dry_run(&decision, dry_runs_until, input).await;
                    if dry_run != DryRun::Passed {
                        decision = self.decide_on(&proposal, look, &history, &dry_run, input);
                    }
                    self.conclude_on(&proposal, decision, &history, input, events).await;
                }
                Err(error) => self.refuse(proposal.incident, &error.to_string(), self.now(), events),
            }
        }
    }

    fn is_settled(&self, incident: &Incident, facts: &str, now: Timestamp) -> bool {
        let before = self.considered.get(&incident.id);
        before.is_some_and(|before| before.facts == facts && before.at <= now && now < before.again_at)
    }

    async fn conclude_on(
        &mut self,
        proposal: &Proposal<'_>,
        decision: Decision,
        history: &History,
        input: &TickInput<'_>,
        events: &mut Vec<DriverEvent>,
    ) {
        let (incident, now) = (proposal.incident, self.now());
        let wait = if passes_by_itself(&decision) { AGAIN_AFTER_WAIT } else { AGAIN_ANYWAY };
        let waits_since = self.waits_since(incident, &decision, history, now);
        let considered =
            Considered { facts: self.facts(incident, input, history), at: now, again_at: now + wait, waits_since };
        self.considered.insert(incident.id.clone(), considered);
        self.follow(proposal, decision, input, events).await;
    }

    /// Since when the decision has been to wait. After a restart that is as long as it can have been.
    fn waits_since(
        &self,
        incident: &Incident,
        decision: &Decision,
        history: &History,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if decision.next_step() != NextStep::Wait {
            return None;
        }
        if let Some(before) = self.considered.get(&incident.id) {
            return before.waits_since.or(Some(now));
        }
        let codes: Vec<&str> = decision.objections().iter().map(|objection| objection.code.as_ref()).collect();
        let waited_before =
            self.journal.decision(&incident.id).ok().flatten().is_some_and(|before| {
                before.refusals.iter().map(|reason| reason.code.as_str()).eq(codes.iter().copied())
            });
        let last_end = history.of_incident(&incident.id).map(|action| action.stage_at).max();
        let earliest = last_end.map_or(incident.opened_at, |end| end.max(incident.opened_at));
        Some(if waited_before { earliest.min(now) } else { now })
    }

    /// What the cluster says beforehand of the write that would leave now. Nothing is asked of a proposal: the API server takes the
    /// question for a write and wants the right to it, and a cluster that isn't proven to be the watched one isn't to be written to.
    async fn dry_run(&self, decision: &Decision, until: Instant, input: &TickInput<'_>) -> DryRun {
        let plan = match decision {
            Decision::Execute(plan) | Decision::Approved { plan, .. } if self.may_write(input) => plan,
            Decision::Execute(_) | Decision::Approved { .. } | Decision::Propose { .. } | Decision::Refuse { .. } => {
                return DryRun::Passed;
            }
        };
        match timeout_at(until, self.executor.dry_run(plan)).await {
            Ok(Err(ApplyError::Rejected { why })) => DryRun::Refused { why },
            Ok(Err(ApplyError::NotNow { why })) => DryRun::NotNow { why },
            // The write itself finds out.
            Ok(Err(ApplyError::Stale { .. } | ApplyError::Conflict { .. } | ApplyError::Unknown { .. })) => {
                DryRun::Passed
            }
            Ok(Ok(())) | Err(_) => DryRun::Passed,
        }
    }

    fn decide_on(
        &self,
        proposal: &Proposal<'_>,
        look: &Look,
        history: &History,
        dry_run: &DryRun,
        input: &TickInput<'_>,
    ) -> Decision {
        let incident = proposal.incident;
        let kill_switch = self.stopped(input);
        let environment = Environment {
            mode: input.mode,
            kill_switch: &kill_switch,
            open: input.incidents,
            is_storm: self.storm.is_some(),
            newest_rows: &newest_rows(&features(incident), incident, input),
            dry_run,
            same_cluster: &look.same_cluster,
            topology: input.topology,
            calendar: input.calendar,
            actions: self.executor.actions(),
            rego: self.rego.as_ref(),
        };
        decide(proposal, look.seen.as_ref(), history, &environment, &self.limits, self.now())
    }

    /// Writes the decision down, then does what it says (I32).
    async fn follow(
        &mut self,
        proposal: &Proposal<'_>,
        decision: Decision,
        input: &TickInput<'_>,
        events: &mut Vec<DriverEvent>,
    ) {
        let (incident, now) = (proposal.incident, self.now());
        let is_new = match self.journal.note(&Note::Decision(decision.record(proposal)), now) {
            Ok(is_new) => is_new,
            Err(error) => return self.refuse(incident, &error.to_string(), now, events),
        };
        if is_new {
            events.push(DriverEvent::Decided { incident: incident.id.clone(), decision: decision.clone() });
        }
        match &decision {
            Decision::Execute(plan) => {
                self.carry_out(incident, plan, &plan.target.resource_version, input, events).await;
            }
            Decision::Approved { plan, resource_version, .. } => {
                self.carry_out(incident, plan, resource_version, input, events).await;
            }
            Decision::Propose { plan, held_back_by } => {
                if self.propose(incident, plan, held_back_by, events) {
                    self.escalate_decision(proposal, &decision, now, events);
                }
            }
            Decision::Refuse { .. } => self.escalate_decision(proposal, &decision, now, events),
        }
    }

    fn escalate_decision(
        &mut self,
        proposal: &Proposal<'_>,
        decision: &Decision,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        let since = self.considered.get(&proposal.incident.id).and_then(|considered| considered.waits_since);
        let step = match decision.next_step() {
            NextStep::Escalate => NextStep::Escalate,
            NextStep::Wait if since.is_some_and(|since| has_waited_too_long(decision, now.since(since))) => {
                NextStep::Wait
            }
            NextStep::Wait | NextStep::Note => return,
        };
        let Some(first) = decision.objections().iter().find(|reason| reason.next_step() == step) else { return };
        let suggested = match (decision, decision.action()) {
            (Decision::Propose { plan, .. }, Some(action)) => format!("proposed: {action} ({})", plan.id),
            (_, Some(action)) => format!("would have been: {action}"),
            (_, None) => "no action is known".to_owned(),
        };
        let mut reasons: Vec<String> =
            decision.objections().iter().map(|reason| format!("{}: {reason}", reason.code)).collect();
        if let (NextStep::Wait, Some(since)) = (step, since) {
            reasons.push(format!("waiting since {since}"));
        }
        let answered = match decision {
            Decision::Propose { plan, held_back_by } if is_answerable(held_back_by) => {
                format!(". {}", how_to_answer(plan))
            }
            Decision::Execute(_) | Decision::Approved { .. } | Decision::Propose { .. } | Decision::Refuse { .. } => {
                String::new()
            }
        };
        let incident = proposal.incident;
        let cause = incident.facts().next().map(|fact| format!(", {}", fact.sentence)).unwrap_or_default();
        let message = format!(
            "{} on {}{cause}: not done automatically, {suggested}. {}{answered}",
            incident.incident_type,
            incident.subject,
            reasons.join("; ")
        );
        let policy = proposal.policy.map(|policy| policy.name.as_str());
        self.escalate(incident, policy, &first.code, message, now, events);
    }

    /// Nothing is decided without the journal (I12); that itself is told.
    pub(super) fn refuse(&mut self, incident: &Incident, why: &str, now: Timestamp, events: &mut Vec<DriverEvent>) {
        let policies = self.policies.clone();
        let proposal = Proposal::new(incident, &policies, &History::default());
        let text = format!("{why}; without it nothing is done");
        let objection = Objection::escalate("journal-unavailable", text);
        let decision = Decision::Refuse { action: proposal.action().cloned(), objections: vec![objection] };
        // Asked again in the next cycle, whatever the facts: the journal may be back.
        self.considered.remove(&incident.id);
        let key = (incident.id.clone(), "journal-unavailable".to_owned());
        if !self.called_unjournaled.contains(&key) {
            events.push(DriverEvent::Decided { incident: incident.id.clone(), decision: decision.clone() });
        }
        self.escalate_decision(&proposal, &decision, now, events);
    }

    pub(super) fn refuse_all(
        &mut self,
        input: &TickInput<'_>,
        error: &ReadError,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        events.push(DriverEvent::JournalTrouble { why: error.to_string() });
        for incident in input.incidents {
            self.refuse(incident, &error.why, now, events);
        }
    }

    /// What a decision depends on, but for time and the target: if it is the same, the decision would be too.
    fn facts(&self, incident: &Incident, input: &TickInput<'_>, history: &History) -> String {
        let stages: Vec<_> = history.of_incident(&incident.id).map(|action| action.stage.name()).collect();
        format!(
            "{:?}",
            (
                (incident.incident_type, incident.state, &incident.annotations, incident.evidence.is_empty()),
                (incident.confidence.lower.value(), incident.confidence.n_outcomes),
                (input.mode, self.stopped(input).engaged, self.storm.is_some()),
                newest_rows(&features(incident), incident, input).are_normal(),
                (stages, history.in_flight().count(), history.frozen.len()),
                history.pending.get(&incident.id).map(|pending| (&pending.answer, pending.is_in_time(self.now()))),
            )
        )
    }
}

/// What a look for the proposal looks at: an action may see more of an object than another.
fn target_of(proposal: &Proposal<'_>) -> Option<Target> {
    let wanted = proposal.policy.or(proposal.elsewhere)?.action.as_ref()?;
    let args = serde_json::to_string(&wanted.args).unwrap_or_default();
    Some((wanted.name.clone(), args, proposal.incident.subject.clone()))
}

/// What the newest rows of the incident's subject say of these features; nothing where it isn't measured.
pub(super) fn newest_rows(features: &[String], incident: &Incident, input: &TickInput<'_>) -> NewestRows {
    match input.signals.get(&incident.subject) {
        Some(signals) if incident.opened_by_rule_of().is_some() => {
            NewestRows::of_rule(features, incident.opened_at, &signals.observations)
        }
        Some(signals) => NewestRows::of(features, incident.opened_at, &signals.observations, &signals.scores),
        None => NewestRows::default(),
    }
}

/// Whether a decision to wait has waited for so long that a human must know (I15). A cooldown of the same incident ends by
/// itself, and how the attempt before it ended was told.
fn has_waited_too_long(decision: &Decision, waited: Duration) -> bool {
    decision.objections().iter().any(|objection| match objection.then {
        Then::Expect { within_s } => waited >= Duration::from_secs(within_s),
        Then::Note | Then::Wait { .. } | Then::Escalate => false,
    })
}

/// Whether time alone may change the decision soon: something is to be waited for, or a cooldown runs.
fn passes_by_itself(decision: &Decision) -> bool {
    let runs_out = |objection: &Objection| objection.code == "cooldown-active";
    decision.next_step() == NextStep::Wait || decision.objections().iter().any(runs_out)
}
