//! What a set of policies would have done about each incident of an export, and where two sets differ.

use std::collections::BTreeMap;

use homeostat_core::{Incident, Timestamp};
use homeostat_execute::DriverEvent;
use homeostat_remediate::{Decision, Objection, Plan, Policy};
use serde::Serialize;

use crate::serve::cycle::Tick;
use crate::words::{self, printable};

/// How a set of policies would have answered an incident; the strongest comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// Nothing would have been done.
    Refuse,
    /// A person would have been asked.
    Propose,
    /// It would have been done without asking.
    Execute,
}

impl Answer {
    fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Propose => "propose",
            Self::Execute => "execute",
        }
    }
}

/// A reason against.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Reason {
    code: String,
    why: String,
}

/// What one set of policies would have done about one incident: the first of its strongest decisions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Judgement {
    at: Timestamp,
    answer: Answer,
    policy: Option<String>,
    action: Option<String>,
    objections: Vec<Reason>,
}

impl Judgement {
    fn new(at: Timestamp, decision: &Decision, policies: &[Policy]) -> Self {
        let (answer, objections) = match decision {
            Decision::Execute(_) | Decision::Approved { .. } => (Answer::Execute, Vec::new()),
            Decision::Propose { plan, held_back_by } if only_replay_holds_back(plan, held_back_by, policies) => {
                (Answer::Execute, Vec::new())
            }
            Decision::Propose { held_back_by, .. } => {
                (Answer::Propose, reasons(held_back_by, policies, decision.plan()))
            }
            Decision::Refuse { objections, .. } => (Answer::Refuse, reasons(objections, policies, None)),
        };
        let policy = decision.plan().map(|plan| plan.policy.clone());
        Self { at, answer, policy, action: decision.action().map(ToString::to_string), objections }
    }

    /// Whether both would have had the same effect; which policy says so, and when, is no difference of effect.
    fn same_effect(&self, other: &Self) -> bool {
        self.answer == other.answer && self.action == other.action
    }

    fn cell(&self) -> String {
        let action = self.action.as_ref().map(|action| format!(" {action}")).unwrap_or_default();
        let codes: Vec<&str> = self.objections.iter().map(|reason| reason.code.as_str()).collect();
        let why = if codes.is_empty() { String::new() } else { format!(": {}", codes.join(", ")) };
        format!("{}{action}{why}", self.answer.name())
    }
}

/// A replay never goes beyond `recommend`: that alone doesn't speak against what the policy itself may execute.
fn only_replay_holds_back(plan: &Plan, objections: &[Objection], policies: &[Policy]) -> bool {
    may_execute(plan, policies) && objections.iter().all(|objection| objection.code == "mode")
}

fn may_execute(plan: &Plan, policies: &[Policy]) -> bool {
    policies.iter().any(|policy| policy.name == plan.policy && policy.may_execute())
}

/// The reasons, without the replay's own mode where the policy itself may execute.
fn reasons(objections: &[Objection], policies: &[Policy], plan: Option<&Plan>) -> Vec<Reason> {
    let of_replay = plan.is_some_and(|plan| may_execute(plan, policies));
    let counts = |objection: &&Objection| !(of_replay && objection.code == "mode");
    let reason = |objection: &Objection| Reason { code: objection.code.to_string(), why: objection.to_string() };
    objections.iter().filter(counts).map(reason).collect()
}

/// One incident of the export, and what each set would have done about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    id: String,
    opened_at: Timestamp,
    #[serde(rename = "type")]
    incident_type: String,
    subject: String,
    policies: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<bool>,
}

/// What one set would have done, by incident.
#[derive(Debug, Default)]
pub(super) struct Judged(BTreeMap<(Timestamp, String), (Incident, Option<Judgement>)>);

impl Judged {
    /// Takes what a tick brought.
    pub(super) fn note(&mut self, at: Timestamp, tick: &Tick, policies: &[Policy]) {
        for incident in &tick.open {
            let key = (incident.opened_at, incident.id.to_string());
            // The type may become clearer while an incident is open: the last one is shown.
            self.0.entry(key).or_insert_with(|| (incident.clone(), None)).0 = incident.clone();
        }
        for event in &tick.events {
            let DriverEvent::Decided { incident, decision } = event else { continue };
            let judgement = Judgement::new(at, decision, policies);
            let known = self.0.values_mut().find(|(known, _)| known.id == *incident);
            let Some((_, strongest)) = known else { continue };
            if strongest.as_ref().is_none_or(|strongest| strongest.answer < judgement.answer) {
                *strongest = Some(judgement);
            }
        }
    }
}

/// The incidents, oldest first. `against` is the other set, where one was given.
pub(super) fn rows(judged: Judged, against: Option<Judged>) -> Vec<Row> {
    let compared = against.is_some();
    let mut both: BTreeMap<_, (Incident, Option<Judgement>, Option<Judgement>)> = BTreeMap::new();
    for (key, (incident, judgement)) in judged.0 {
        both.insert(key, (incident, judgement, None));
    }
    for (key, (incident, judgement)) in against.into_iter().flat_map(|judged| judged.0) {
        both.entry(key).or_insert((incident, None, None)).2 = judgement;
    }
    both.into_iter()
        .map(|((opened_at, id), (incident, policies, against))| {
            let same = match (&policies, &against) {
                (Some(one), Some(other)) => one.same_effect(other),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            Row {
                id,
                opened_at,
                incident_type: incident.incident_type.to_string(),
                subject: incident.subject.to_string(),
                policies,
                against,
                differs: compared.then_some(!same),
            }
        })
        .collect()
}

/// For people: a line for each incident, then the counts.
pub(super) fn table(rows: &[Row], compared: bool) -> String {
    if rows.is_empty() {
        return "No incident opened in the replayed part.\n".to_owned();
    }
    let cell = |judgement: &Option<Judgement>| {
        judgement.as_ref().map_or_else(|| "-".to_owned(), |judgement| printable(&judgement.cell()).into_owned())
    };
    let mut heading = vec!["OPENED", "TYPE", "SUBJECT", "POLICIES"];
    if compared {
        heading.extend(["AGAINST", "DIFFERS"]);
    }
    let mut lines = vec![heading.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        let subject = printable(&row.subject).into_owned();
        let mut line = vec![row.opened_at.to_string(), row.incident_type.clone(), subject, cell(&row.policies)];
        if let Some(differs) = row.differs {
            line.extend([cell(&row.against), if differs { "yes" } else { "no" }.to_owned()]);
        }
        lines.push(line);
    }
    let mut text = words::table(&lines);
    text.push_str(&counts("policies", rows.iter().map(|row| row.policies.as_ref())));
    if compared {
        text.push_str(&counts("against", rows.iter().map(|row| row.against.as_ref())));
        let n_differ = rows.iter().filter(|row| row.differs == Some(true)).count();
        text.push_str(&format!("They differ on {n_differ} of {} incidents.\n", rows.len()));
    }
    text
}

fn counts<'a>(set: &str, judgements: impl Iterator<Item = Option<&'a Judgement>>) -> String {
    let (mut n_execute, mut n_propose, mut n_refuse) = (0_usize, 0_usize, 0_usize);
    for judgement in judgements.flatten() {
        match judgement.answer {
            Answer::Execute => n_execute += 1,
            Answer::Propose => n_propose += 1,
            Answer::Refuse => n_refuse += 1,
        }
    }
    format!("{set}: {n_execute} executed, {n_propose} proposed, {n_refuse} refused\n")
}
