//! The scenarios of `tests/decide/*.txt`, end to end through policy file, driver, journal and a simulated cluster.
//!
//! A script gives policies (`| yaml`), then lines `HH:MM command`. What the driver reports follows each line as `> ...`, and
//! must be exactly that. `BLESS=1 cargo test` rewrites the `>` lines; read the difference before keeping it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Calendar, Calibrated, Incident, IncidentState, Mode, PlannedEvent, Subject, Timestamp, Topology};
use homeostat_execute::{Driver, DriverEvent, SubjectSignals, TickInput};
use homeostat_journal::{Journal, Note};
use homeostat_remediate::{
    Answer, AnswerError, Approval, Decision, DryRun, KillSwitch, Objection, Observation, Owner, RowScore, SafetyLimits,
    Verdict, load_policies,
};
use support::{SimulatedExecutor, Trouble, block_on, confidence, incident};

/// The driver's usual cycle.
const STEP: Duration = Duration::from_secs(30);

struct World {
    now: Timestamp,
    executor: Arc<SimulatedExecutor>,
    journal: Arc<Journal>,
    driver: Driver,
    policies: String,
    incidents: BTreeMap<String, Incident>,
    /// How far each subject's features are from normal; they aren't measured when it isn't here.
    deviations: BTreeMap<Subject, f64>,
    traffic: BTreeMap<Subject, f64>,
    kill_switch: KillSwitch,
    mode: Mode,
    topology: Topology,
    calendar: Calendar,
    /// The digest of a plan that was shown earlier.
    remembered: String,
}

impl World {
    fn new(policies: &str) -> Self {
        let executor = Arc::new(SimulatedExecutor::default());
        let journal = Arc::new(Journal::in_memory().unwrap());
        let driver = Self::driver(&executor, &journal, policies);
        Self {
            now: Timestamp::from_secs(0),
            executor,
            journal,
            driver,
            policies: policies.to_owned(),
            incidents: BTreeMap::new(),
            deviations: BTreeMap::new(),
            traffic: BTreeMap::new(),
            kill_switch: KillSwitch::default(),
            mode: Mode::Execute,
            topology: Topology::new(),
            calendar: Calendar::default(),
            remembered: String::new(),
        }
    }

    fn driver(executor: &Arc<SimulatedExecutor>, journal: &Arc<Journal>, policies: &str) -> Driver {
        let policies = load_policies(policies, "policy.yaml", &homeostat_execute::actions())
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        let journal: Arc<Journal> = journal.clone();
        Driver::new(executor.clone(), journal, policies, SafetyLimits::default())
    }

    /// One cycle, as the engine would run it.
    fn tick(&mut self) -> Vec<DriverEvent> {
        let mut open: Vec<Incident> = self.incidents.values().cloned().collect();
        for incident in &mut open {
            incident.updated_at = self.now;
        }
        let mut signals: BTreeMap<Subject, SubjectSignals> = BTreeMap::new();
        for incident in &open {
            let entry = signals.entry(incident.subject.clone()).or_default();
            if let Some(deviation) = self.deviations.get(&incident.subject) {
                let normal = deviation.abs() < 4.0;
                entry.observations.push(Observation {
                    feature: incident.evidence[0].feature.clone(),
                    signal: incident.evidence[0].signal,
                    at: self.now,
                    value: Some(*deviation),
                    deviation: Some(*deviation),
                    normal,
                });
                entry.scores.push(RowScore { at: self.now, is_calm: normal, opens_at_once: false });
            }
            entry.traffic = self.traffic.get(&incident.subject).copied();
        }
        let input = TickInput {
            incidents: &open,
            signals: &signals,
            kill_switch: &self.kill_switch,
            mode: self.mode,
            topology: &self.topology,
            calendar: &self.calendar,
        };
        let events = block_on(self.driver.tick(self.now, &input));
        for event in &events {
            if let DriverEvent::Escalate(call) = event {
                self.driver.escalation_delivered(&call.incident, &call.reason, self.now).unwrap();
            }
        }
        events
    }

    fn run(&mut self, command: &str) -> Vec<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["open", id, kind, subject, rest @ ..] => self.open(id, kind, &subject.parse().unwrap(), rest),
            ["stale", id] => self.incidents.get_mut(*id).unwrap().state = IncidentState::Stale,
            ["resolve", id] => drop(self.incidents.remove(*id).unwrap()),
            ["mode", mode] => self.mode = mode.parse().unwrap(),
            ["signals", subject, "missing"] => drop(self.deviations.remove(&subject.parse().unwrap())),
            ["signals", subject, state] => drop(self.deviations.insert(subject.parse().unwrap(), deviation_of(state))),
            ["traffic", subject, value] => {
                self.traffic.insert(subject.parse().unwrap(), value.parse().unwrap());
            }
            ["stop", why @ ..] => self.kill_switch = KillSwitch { engaged: true, why: why.join(" ") },
            ["resume", why @ ..] => {
                self.kill_switch = KillSwitch::default();
                self.driver.resume(&why.join(" "), self.now).unwrap();
            }
            ["depends", caller, dependency] => {
                self.topology.add(caller.parse().unwrap(), dependency.parse().unwrap());
            }
            ["event", name, "until", end] => self.calendar.events.push(PlannedEvent {
                name: (*name).to_owned(),
                start: self.now,
                end: clock(end),
                namespaces: vec![],
                workloads: vec![],
            }),
            ["object", subject, what] => self.object(&subject.parse().unwrap(), what),
            ["trouble", "lost-answer"] => self.executor.0.lock().unwrap().trouble = Some(Trouble::LostAnswer),
            ["trouble", "not-now"] => self.executor.0.lock().unwrap().trouble = Some(Trouble::NotNow),
            ["trouble", "altered"] => self.executor.0.lock().unwrap().trouble = Some(Trouble::Altered),
            ["trouble", "conflict", n] => self.executor.0.lock().unwrap().conflicts = n.parse().unwrap(),
            ["trouble", "dry-run", "passes"] => self.executor.0.lock().unwrap().dry_run = DryRun::Passed,
            ["trouble", "dry-run", "refused", why @ ..] => {
                self.executor.0.lock().unwrap().dry_run = DryRun::Refused { why: why.join(" ") };
            }
            ["trouble", "dry-run", "not-now", why @ ..] => {
                self.executor.0.lock().unwrap().dry_run = DryRun::NotNow { why: why.join(" ") };
            }
            ["trouble", "forbidden"] => self.executor.0.lock().unwrap().trouble = Some(Trouble::Forbidden),
            ["restart"] => {
                self.driver = Self::driver(&self.executor, &self.journal, &self.policies);
                let events = block_on(self.driver.recover(self.now));
                return events.iter().map(|event| self.line(event)).collect();
            }
            ["remember", id] => self.remembered = self.digest(id),
            ["answer", id, answer, by] => return vec![self.answer(id, answer, by, &self.digest(id))],
            ["answer-remembered", id, answer, by] => return vec![self.answer(id, answer, by, &self.remembered)],
            ["until", end] => return self.run_until(clock(end)),
            ["tick"] => {}
            other => panic!("no such command: {other:?}"),
        }
        if words == ["tick"] {
            let events = self.tick();
            return events.iter().map(|event| self.line(event)).collect();
        }
        Vec::new()
    }

    /// The digest of the plan that waits for an answer; none waits: no digest.
    fn digest(&self, id: &str) -> String {
        let pending = self.journal.pending(&self.incidents[id].id).unwrap();
        pending.map_or_else(|| "0".repeat(64), |pending| pending.plan().digest())
    }

    fn answer(&self, id: &str, answer: &str, by: &str, digest: &str) -> String {
        let approval = Approval {
            incident: self.incidents[id].id.clone(),
            digest: digest.to_owned(),
            answer: if answer == "approve" { Answer::Approve } else { Answer::Reject },
            by: by.to_owned(),
            note: String::new(),
            at: self.now,
        };
        let refused = match self.journal.pending(&approval.incident).unwrap() {
            Some(pending) => pending.check(&approval, self.now).err(),
            None => Some(AnswerError::NoneWaits(approval.incident.clone())),
        };
        // The journal refuses what the check refuses, and nothing else.
        match (refused, self.journal.note(&Note::Approval(approval), self.now)) {
            (None, Ok(true)) => "taken".to_owned(),
            (None, Ok(false)) => "known already".to_owned(),
            (Some(AnswerError::NoneWaits(_)), Err(_)) => "refused: none waits".to_owned(),
            (Some(AnswerError::Superseded { .. }), Err(_)) => "refused: superseded".to_owned(),
            (Some(AnswerError::Expired(at)), Err(_)) => format!("refused: expired at {}", show(at)),
            (refused, noted) => panic!("{refused:?}, {noted:?}"),
        }
    }

    fn run_until(&mut self, end: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        while self.now < end {
            self.now = self.now + STEP;
            let events = self.tick();
            lines.extend(events.iter().map(|event| format!("{} {}", show(self.now), self.line(event))));
        }
        lines
    }

    fn open(&mut self, id: &str, kind: &str, subject: &Subject, rest: &[&str]) {
        self.executor.add(subject);
        let mut opened = incident(kind.parse().unwrap(), subject, self.now);
        for pair in rest.chunks(2) {
            match pair {
                ["confidence", value] => {
                    let value = confidence(value.parse().unwrap());
                    opened.confidence = Calibrated { confidence: value, lower: value, ..opened.confidence };
                }
                ["outcomes", n] => opened.confidence.n_outcomes = n.parse().unwrap(),
                other => panic!("no such property: {other:?}"),
            }
        }
        self.deviations.insert(subject.clone(), deviation_of("abnormal"));
        self.incidents.insert(id.to_owned(), opened);
    }

    fn object(&mut self, subject: &Subject, what: &str) {
        self.executor.add(subject);
        self.executor.change(subject, |object| match what {
            "argo-cd" => object.owner = Some(Owner { name: "Argo CD".into(), seen_by: "a label".into() }),
            "rolling" => object.rollout_in_progress = true,
            "hung" => object.rollout_failed = Some("ProgressDeadlineExceeded".into()),
            "breaks" => object.rollout_breaks = true,
            "recreate" => object.disruption.is_recreate = true,
            "volume" => object.has_persistent_volume = true,
            "paused" => object.paused = true,
            "edited" => {
                object.version += 1;
                object.generation += 1;
                object.marker = None;
            }
            "first-revision" => object.revision_previous = None,
            "scaled-down" => object.replicas = 1,
            other => panic!("no such object: {other}"),
        });
    }

    /// One event as a line: what a reader of the journal would call it.
    fn line(&self, event: &DriverEvent) -> String {
        let codes = |objections: &[Objection]| {
            objections.iter().map(|objection| objection.code.as_ref()).collect::<Vec<_>>().join(", ")
        };
        match event {
            DriverEvent::Decided { decision, .. } => match decision {
                Decision::Execute(plan) => {
                    format!("execute {} {} attempt {}", plan.step.action, plan.target.subject, plan.attempt)
                }
                Decision::Approved { plan, approval, overruled, .. } => {
                    let target = &plan.target.subject;
                    format!("approved by {} {} {target}: {}", approval.by, plan.step.action, codes(overruled))
                }
                Decision::Propose { plan, held_back_by } => {
                    format!("propose {} {}: {}", plan.step.action, plan.target.subject, codes(held_back_by))
                }
                Decision::Refuse { action, objections } => {
                    let action = action.as_ref().map_or("nothing", |action| action.as_str());
                    format!("refuse {action}: {}", codes(objections))
                }
            },
            DriverEvent::Applied { plan } => format!("applied {}", plan.step.action),
            DriverEvent::ApplyFailed { stage, why, .. } => format!("apply-failed {stage}: {why}"),
            DriverEvent::Verdict { verdict, .. } => match verdict {
                Verdict::Pending => "pending".to_owned(),
                Verdict::Recovered => "recovered".to_owned(),
                Verdict::NotRecovered { why, .. } => format!("not-recovered: {why}"),
                Verdict::Overridden => "overridden".to_owned(),
                Verdict::Unknown { why } => format!("unknown: {why}"),
            },
            DriverEvent::Undone { .. } => "undone".to_owned(),
            DriverEvent::Restored { .. } => "restored".to_owned(),
            DriverEvent::Stuck { why, .. } => format!("stuck: {why}"),
            DriverEvent::PolicyFrozen { policy, .. } => format!("frozen {policy}"),
            DriverEvent::Escalate(call) => {
                let channel = call.channels.first().map_or("default", String::as_str);
                format!("escalate {channel} {} (tried: {})", call.reason, call.history.len())
            }
            DriverEvent::JournalTrouble { why } => format!("journal-trouble {why}"),
        }
    }
}

/// A word of the scripts as training deviations.
fn deviation_of(state: &str) -> f64 {
    match state {
        "normal" => 0.0,
        "abnormal" => 9.0,
        "worse" => 40.0,
        other => panic!("no such state: {other}"),
    }
}

fn clock(text: &str) -> Timestamp {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().unwrap());
    let mut next = || parts.next().unwrap_or(0);
    Timestamp::from_secs(next() * 3600 + next() * 60 + next())
}

fn show(at: Timestamp) -> String {
    let secs = at.as_millis() / 1000;
    format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}

/// Runs a script and writes it again with what really happened.
fn replay(script: &str) -> String {
    let policies: Vec<&str> = script.lines().filter_map(|line| line.strip_prefix("| ")).collect();
    let mut world = World::new(&policies.join("\n"));
    let mut out = String::new();
    for line in script.lines().filter(|line| !line.starts_with('>')) {
        writeln!(out, "{line}").unwrap();
        if line.starts_with(['#', '|']) || line.trim().is_empty() {
            continue;
        }
        let (at, command) = line.split_once(' ').unwrap();
        world.now = clock(at);
        for happened in world.run(command.trim()) {
            writeln!(out, "> {happened}").unwrap();
        }
    }
    world.journal.verify_chain().unwrap();
    out
}

#[test]
fn every_script_comes_out_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decide");
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut wrong = Vec::new();
    for path in &paths {
        let script = std::fs::read_to_string(path).unwrap();
        let happened = replay(&script);
        if happened != script {
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(path, &happened).unwrap();
            }
            wrong.push(format!("--- {}: what happened is\n{happened}", path.display()));
        }
    }
    assert!(paths.len() >= 10, "scripts are missing: {paths:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
