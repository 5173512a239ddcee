//! `feature-flag`: turns a feature off: in a flagd file, in Unleash, or by a plain HTTP resource. Taken back it is on again.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp, format_duration, parse_duration};
use homeostat_http::{Answer, NoAnswer, Request, SecretUrl};
use homeostat_journal::Journaled;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, InspectError, Inspected, Inverse, Objection, PayloadError, Plan,
    Progress, Reader, Recovery, Repeat, Step,
};
use serde_json::{Value, json};

use crate::effect::Effect;
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::flagd::{self, FlagdError};
use crate::outside;
use crate::places::Places;

const NAME: ActionName = ActionName::new("feature-flag");

/// Detection waits for it.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// Where flags are kept, as policies name it.
const PLACES: [&str; 3] = ["flagd", "unleash", "http"];

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: outside::TARGETS,
    default_for: &[],
    // Off twice is off, and where it stands can be looked at.
    repeat: Repeat::Idempotent,
    recovery: Recovery::SignalsOnly,
    rights: &[],
};

pub(super) struct FeatureFlag;

impl Action for FeatureFlag {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let timeout = with.duration_in("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
        let mut args = Args::default().with("timeout", format_duration(timeout));
        let read =
            [with.section("flagd", flagd_args), with.section("unleash", unleash_args), with.section("http", http_args)];
        let n_places = read.iter().flatten().count();
        if n_places != 1 {
            let path = with.path_of("flagd");
            let message = if n_places == 0 {
                format!(
                    "{path} is missing; for instance `flagd: {{file: /etc/flagd/flags.json, flag: new-checkout}}`, or unleash, or http"
                )
            } else {
                "flagd, unleash and http exclude each other: name one".to_owned()
            };
            with.problem(with.place(), message);
        }
        for (place, read) in PLACES.into_iter().zip(read) {
            args = read.into_iter().fold(args, |args, read| args.with(place, read));
        }
        args
    }

    fn step(&self, ask: &Ask<'_>, _: &Inspected) -> Result<(Step, Inverse), Objection> {
        let step = |on: bool| Step { action: NAME, args: ask.args.clone().with("on", on) };
        Ok((step(false), Inverse::Step(step(true))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let on = step
            .args
            .get("on")
            .and_then(Value::as_bool)
            .ok_or_else(|| PayloadError("it doesn't say on or off".to_owned()))?;
        let place = PLACES.into_iter().find_map(|place| Some((place, step.args.get(place)?)));
        let (place, of) = place.ok_or_else(|| PayloadError("it names no place".to_owned()))?;
        Ok(json!({ place: of, "on": on, "for": outside::about(plan) }).to_string())
    }

    fn example(&self) -> &'static str {
        "{flagd: {file: /etc/flagd/flags.json, flag: new-checkout}}"
    }
}

fn flagd_args(flagd: &mut Reader<'_>) -> Value {
    let file = outside::path(flagd, "file").map(|path| path.display().to_string());
    flagd.require_such_as("file", file.as_ref(), "/etc/flagd/flags.json");
    let flag = flagd.text("flag");
    flagd.require_such_as("flag", flag.as_ref(), "new-checkout");
    let variant = flagd.text("off_variant").unwrap_or_else(|| "off".to_owned());
    json!({ "file": file, "flag": flag, "off_variant": variant })
}

/// A name within a URL's path: nothing in it may lead elsewhere.
fn segment(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_plain && !text.starts_with('.') {
        Ok(text.to_owned())
    } else {
        Err("must be letters, digits, -, _ and .".to_owned())
    }
}

fn url(reader: &mut Reader<'_>, example: &str) -> Option<String> {
    let url = reader.parsed_by("url", |text| SecretUrl::parse(text).map(|_| text.trim_end_matches('/').to_owned()));
    reader.require_such_as("url", url, example)
}

fn token_file(reader: &mut Reader<'_>) -> Option<String> {
    outside::path(reader, "token_file").map(|path| path.display().to_string())
}

fn unleash_args(unleash: &mut Reader<'_>) -> Value {
    let url = url(unleash, "https://unleash.example");
    let [project, flag, environment] = ["project", "flag", "environment"].map(|key| unleash.parsed_by(key, segment));
    unleash.require_such_as("flag", flag.as_ref(), "new-checkout");
    unleash.require_such_as("environment", environment.as_ref(), "production");
    let token_file = token_file(unleash);
    unleash.require_such_as("token_file", token_file.as_ref(), "/etc/homeostat/unleash-token");
    let project = project.unwrap_or_else(|| "default".to_owned());
    json!({ "url": url, "project": project, "flag": flag, "environment": environment, "token_file": token_file })
}

fn http_args(http: &mut Reader<'_>) -> Value {
    let url = url(http, "https://flags.example/v1/flags/new-checkout");
    let token_file = token_file(http);
    json!({ "url": url, "token_file": token_file })
}

/// The request that turns it on or off.
struct RemoteWrite {
    method: &'static str,
    url: String,
    body: String,
}

/// A flag that is reached by HTTP.
struct Remote {
    look: SecretUrl,
    write: fn(&Self, bool) -> RemoteWrite,
    state: fn(&Self, &Value) -> Option<bool>,
    base: String,
    environment: String,
    token: Option<String>,
    limit: Duration,
}

impl Remote {
    fn of(step: &Step) -> Result<Self, String> {
        let limit = step.args.text("timeout").and_then(|text| parse_duration(text).ok()).unwrap_or(TIMEOUT_DEFAULT);
        let token = |of: &Value| of["token_file"].as_str().map(outside::secret).transpose();
        if let Some(of) = step.args.get("unleash") {
            let text = |key: &str| of[key].as_str().ok_or_else(|| format!("it has no {key}"));
            let base = format!("{}/api/admin/projects/{}/features/{}", text("url")?, text("project")?, text("flag")?);
            return Ok(Self {
                look: SecretUrl::parse(&base)?,
                write: |remote, on| {
                    let turn = if on { "on" } else { "off" };
                    let url = format!("{}/environments/{}/{turn}", remote.base, remote.environment);
                    RemoteWrite { method: "POST", url, body: String::new() }
                },
                state: |remote, body| {
                    let all = body["environments"].as_array()?;
                    all.iter().find(|one| one["name"] == remote.environment.as_str())?["enabled"].as_bool()
                },
                base,
                environment: text("environment")?.to_owned(),
                token: token(of)?,
                limit,
            });
        }
        let of = step.args.get("http").ok_or("it names no place")?;
        let base = of["url"].as_str().ok_or("it has no url")?.to_owned();
        Ok(Self {
            look: SecretUrl::parse(&base)?,
            write: |remote, on| RemoteWrite {
                method: "PUT",
                url: remote.base.clone(),
                body: json!({ "enabled": on }).to_string(),
            },
            state: |_, body| body["enabled"].as_bool(),
            base,
            environment: String::new(),
            token: token(of)?,
            limit,
        })
    }

    async fn send(
        &self,
        at: &Places,
        method: &str,
        url: &SecretUrl,
        body: String,
        plan: &Plan,
    ) -> Result<Answer, NoAnswer> {
        let mut headers = vec![("content-type", "application/json"), ("x-homeostat-plan", plan.id.as_str())];
        headers.extend(self.token.as_deref().map(|token| ("authorization", token)));
        at.http().send(Request { method, url, headers: &headers, body, limit: self.limit }).await
    }

    /// Whether it is on.
    async fn is_on(&self, at: &Places, plan: &Plan) -> Result<bool, String> {
        let answer = self.send(at, "GET", &self.look, String::new(), plan).await.map_err(|error| error.to_string())?;
        let body: Option<Value> = answer.is_success().then(|| serde_json::from_str(&answer.body).ok()).flatten();
        let is_on = body.as_ref().and_then(|body| (self.state)(self, body));
        is_on.ok_or_else(|| format!("the flag's state isn't in the answer: {}", answer.quote))
    }

    async fn turn(&self, at: &Places, on: bool, plan: &Plan) -> Result<Applied, ApplyError> {
        let RemoteWrite { method, url, body } = (self.write)(self, on);
        let url = SecretUrl::parse(&url).map_err(|why| ApplyError::Rejected { why })?;
        outside::judged(self.send(at, method, &url, body, plan).await)
    }
}

/// A flag in a file of flagd.
struct InFile<'a> {
    path: &'a Path,
    flag: &'a str,
    off_variant: &'a str,
}

impl<'a> InFile<'a> {
    fn of(step: &'a Step) -> Option<Self> {
        let flagd = step.args.get("flagd")?;
        let text = |key: &str| flagd[key].as_str();
        Some(Self { path: Path::new(text("file")?), flag: text("flag")?, off_variant: text("off_variant")? })
    }
}

fn unset(error: FlagdError) -> ApplyError {
    match error {
        FlagdError::Unfit(_) => ApplyError::Rejected { why: error.to_string() },
        FlagdError::Io { .. } => ApplyError::NotNow { why: error.to_string() },
    }
}

fn unseen(error: FlagdError) -> InspectError {
    InspectError::Unavailable { why: error.to_string() }
}

fn already_off() -> ApplyError {
    ApplyError::Rejected { why: "the flag is off already".to_owned() }
}

fn remote(step: &Step) -> Result<Remote, ApplyError> {
    Remote::of(step).map_err(|why| ApplyError::Rejected { why })
}

#[async_trait]
impl Effect for FeatureFlag {
    async fn inspect(&self, _: &Places, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        Ok(outside::look(subject, now))
    }

    async fn outcome_of_write(&self, at: &Places, plan: &Plan) -> Result<WriteOutcome, InspectError> {
        if let Some(file) = InFile::of(&plan.step) {
            let flag = flagd::look(file.path, file.flag).map_err(unseen)?;
            return Ok(match flag.written_by {
                Some(id) if id == plan.id.as_str() => WriteOutcome::AppliedByUs,
                Some(_) | None if flag.variant == file.off_variant => WriteOutcome::ChangedByOther,
                Some(_) | None => WriteOutcome::NotApplied,
            });
        }
        let remote = Remote::of(&plan.step).map_err(|why| InspectError::NotConfigured { why })?;
        // There is no mark; it was on when it was decided, so off is what was to be done.
        let is_on = remote.is_on(at, plan).await.map_err(|why| InspectError::Unavailable { why })?;
        Ok(if is_on { WriteOutcome::NotApplied } else { WriteOutcome::AppliedByUs })
    }

    async fn dry_run(&self, at: &Places, plan: &Plan) -> Result<(), ApplyError> {
        let is_on = match InFile::of(&plan.step) {
            Some(file) => flagd::look(file.path, file.flag).map_err(unset)?.variant != file.off_variant,
            None => remote(&plan.step)?.is_on(at, plan).await.map_err(|why| ApplyError::NotNow { why })?,
        };
        if is_on { Ok(()) } else { Err(already_off()) }
    }

    async fn apply(&self, at: &Places, plan: &Journaled, _: &str) -> Result<Applied, ApplyError> {
        let plan = plan.plan();
        let Some(file) = InFile::of(&plan.step) else {
            let remote = remote(&plan.step)?;
            // What somebody else turned off isn't ours to turn on again.
            return match remote.is_on(at, plan).await {
                Ok(true) => remote.turn(at, false, plan).await,
                Ok(false) => Err(already_off()),
                Err(why) => Err(ApplyError::NotNow { why }),
            };
        };
        let flag = flagd::look(file.path, file.flag).map_err(unset)?;
        if flag.written_by.as_deref() == Some(plan.id.as_str()) {
            return Ok(outside::done());
        }
        if flag.variant == file.off_variant {
            return Err(already_off());
        }
        flagd::set(file.path, file.flag, file.off_variant, plan.id.as_str()).map_err(unset)?;
        Ok(outside::done())
    }

    async fn undo(&self, at: &Places, plan: &Journaled, _: &Step) -> Result<Applied, ApplyError> {
        let plan = plan.plan();
        let stale = |why: &str| ApplyError::Stale { why: why.to_owned() };
        let Some(file) = InFile::of(&plan.step) else {
            let remote = remote(&plan.step)?;
            return match remote.is_on(at, plan).await {
                // It is on again already: by us, or by somebody else.
                Ok(true) => Ok(outside::done()),
                Ok(false) => remote.turn(at, true, plan).await,
                Err(why) => Err(ApplyError::NotNow { why }),
            };
        };
        let undone = format!("{}/undone", plan.id);
        let flag = flagd::look(file.path, file.flag).map_err(unset)?;
        if flag.written_by.as_deref() == Some(undone.as_str()) {
            return Ok(outside::done());
        }
        if flag.written_by.as_deref() != Some(plan.id.as_str()) || flag.variant != file.off_variant {
            return Err(stale("the flag isn't as the action left it"));
        }
        let before = flag.variant_before.ok_or_else(|| stale("what the flag served before isn't known"))?;
        flagd::set(file.path, file.flag, &before, &undone).map_err(unset)?;
        Ok(outside::done())
    }

    async fn progress(&self, _: &Places, _: &Plan) -> Result<Progress, InspectError> {
        Ok(Progress::Complete { wanted: 0 })
    }
}
