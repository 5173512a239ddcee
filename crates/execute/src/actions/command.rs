//! `command`: runs a program, once: its arguments as they are, no shell, a clean environment, a time limit.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp, format_duration, parse_duration};
use homeostat_journal::Journaled;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, InspectError, Inspected, Inverse, Objection, PayloadError, Plan, Policy,
    Progress, Reader, Recovery, Repeat, Step,
};
use serde_json::{Value, json};

use crate::child::{Child, Ended, Program};
use crate::effect::Effect;
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::outside;
use crate::places::Places;

const NAME: ActionName = ActionName::new("command");

/// Detection waits for it, so it is short: what takes longer starts a job elsewhere and returns.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// Arguments that anybody writes into a policy; more is a generated file gone wrong.
const ARGV_MAX: usize = 100;

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: outside::TARGETS,
    default_for: &[],
    repeat: Repeat::AtMostOnce,
    recovery: Recovery::SignalsOnly,
    rights: &[],
};

pub(super) struct Command;

impl Action for Command {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let argv = with.texts("argv");
        with.require_such_as("argv", argv.as_ref(), "[/usr/local/bin/flush, --all]");
        let argv = argv.unwrap_or_default();
        match argv.first() {
            // A name would be looked for in a PATH, which is somebody else's.
            Some(program) if !program.starts_with('/') => {
                with.reject(
                    "argv",
                    format_args!("{program:?} must be the whole path of a program, such as /usr/bin/true"),
                );
            }
            None if with.has("argv") => with.reject("argv", "must name a program"),
            Some(_) | None => {}
        }
        if argv.len() > ARGV_MAX {
            with.reject("argv", format_args!("has more than {ARGV_MAX} arguments"));
        }
        let environment = with.named_texts("environment");
        let files = with.named_texts("environment_files");
        for name in environment.keys().chain(files.keys()) {
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name || name.starts_with(PREFIX) {
                let key = if files.contains_key(name) { "environment_files" } else { "environment" };
                with.reject(
                    key,
                    format_args!("{name:?} can't be a variable here: letters, digits and _, and not {PREFIX}…"),
                );
            }
        }
        let timeout = with.duration_in("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
        Args::default()
            .with("argv", argv)
            .with("environment", json!(environment))
            .with("environment_files", json!(files))
            .with("timeout", format_duration(timeout))
    }

    fn step(&self, ask: &Ask<'_>, _: &Inspected) -> Result<(Step, Inverse), Objection> {
        Ok((Step { action: NAME, args: ask.args.clone() }, Inverse::Irreversible))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let program = program(plan, step, |file| Ok(format!("<the content of {file}>"))).map_err(PayloadError)?;
        let environment: BTreeMap<_, _> = program.environment.into_iter().collect();
        Ok(json!({ "argv": program.argv, "environment": environment, "timeout": format_duration(program.limit) })
            .to_string())
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let mut found = outside::lint_irreversible(policy, "a command");
        let is_shell =
            |program: &str| ["/sh", "/bash", "/zsh", "/dash"].into_iter().any(|name| program.ends_with(name));
        for wanted in policy.actions().filter(|wanted| wanted.name == NAME) {
            let program = wanted.args.get("argv").and_then(|argv| argv.get(0)?.as_str().map(str::to_owned));
            if program.is_some_and(|program| is_shell(&program)) {
                found.push(
                    "the command is a shell: what it does isn't in the policy; name the program itself".to_owned(),
                );
            }
        }
        found
    }

    fn example(&self) -> &'static str {
        "{argv: [/usr/bin/true]}"
    }
}

/// What homeostat itself tells the program.
const PREFIX: &str = "HOMEOSTAT_";

/// The program to run for a plan; `read` gives what a file of the environment holds.
fn program(plan: &Plan, step: &Step, read: impl Fn(&str) -> Result<String, String>) -> Result<Program, String> {
    let texts = |value: Option<&Value>| -> Vec<(String, String)> {
        let entries = value.and_then(Value::as_object).into_iter().flatten();
        entries.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect()
    };
    let argv = step.args.get("argv").and_then(Value::as_array).ok_or("it has no argv")?;
    let argv: Vec<String> = argv.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect();
    if argv.is_empty() {
        return Err("its argv is empty".to_owned());
    }
    let mut environment = texts(step.args.get("environment"));
    for (name, file) in texts(step.args.get("environment_files")) {
        environment.push((name, read(&file)?));
    }
    let subject = &plan.target.subject;
    for (name, text) in [
        ("PLAN", plan.id.to_string()),
        ("INCIDENT", plan.incident.to_string()),
        ("INCIDENT_TYPE", plan.incident_type.to_string()),
        ("POLICY", plan.policy.clone()),
        ("ATTEMPT", plan.attempt.to_string()),
        ("NAMESPACE", subject.namespace.clone()),
        ("KIND", subject.kind.name().to_owned()),
        ("NAME", subject.name.clone()),
        ("TARGET_UID", plan.target.uid.clone()),
    ] {
        environment.push((format!("{PREFIX}{name}"), text));
    }
    let limit = step.args.text("timeout").and_then(|text| parse_duration(text).ok()).unwrap_or(TIMEOUT_DEFAULT);
    Ok(Program { argv, environment, limit })
}

#[async_trait]
impl Effect for Command {
    async fn inspect(&self, _: &Places, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        Ok(outside::look(subject, now))
    }

    async fn outcome_of_write(&self, _: &Places, _: &Plan) -> Result<WriteOutcome, InspectError> {
        Ok(WriteOutcome::Unknowable)
    }

    async fn dry_run(&self, _: &Places, plan: &Plan) -> Result<(), ApplyError> {
        let program = program(plan, &plan.step, outside::secret).map_err(|why| ApplyError::Rejected { why })?;
        program.check().map_err(|why| ApplyError::Rejected { why })
    }

    async fn apply(&self, _: &Places, plan: &Journaled, _: &str) -> Result<Applied, ApplyError> {
        let plan = plan.plan();
        let program = program(plan, &plan.step, outside::secret).map_err(|why| ApplyError::Rejected { why })?;
        let child = Child::start(&program).map_err(|why| ApplyError::Rejected { why })?;
        match child.end(program.limit).await {
            Ended { code: Some(0), output } => {
                tracing::info!(plan = %plan.id, output, "the command ended with 0");
                Ok(outside::done())
            }
            // It may have done a part of what it should.
            Ended { code: Some(code), output } => {
                Err(ApplyError::Unknown { why: format!("it ended with {code}: {output}") })
            }
            Ended { code: None, output } => {
                let limit = format_duration(program.limit);
                Err(ApplyError::Unknown { why: format!("it was killed, or didn't end within {limit}: {output}") })
            }
        }
    }

    async fn undo(&self, _: &Places, _: &Journaled, _: &Step) -> Result<Applied, ApplyError> {
        Err(ApplyError::Rejected { why: "a command can't be taken back".to_owned() })
    }

    async fn progress(&self, _: &Places, _: &Plan) -> Result<Progress, InspectError> {
        Ok(Progress::Complete { wanted: 0 })
    }
}
