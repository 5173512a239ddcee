//! `webhook`: posts a CloudEvent to a URL, once. What the receiver does is its own business.

use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp, format_duration, hmac_sha256_hex, parse_duration};
use homeostat_http::{Request, SecretUrl};
use homeostat_journal::Journaled;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, InspectError, Inspected, Inverse, Objection, PayloadError, Plan, Policy,
    Progress, Reader, Recovery, Repeat, Step,
};
use serde_json::{Value, json};

use crate::effect::Effect;
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::outside;
use crate::places::Places;

const NAME: ActionName = ActionName::new("webhook");

/// The signature of the body: `sha256=` and the HMAC-SHA-256 in hex, as GitHub writes it.
const SIGNATURE: &str = "x-homeostat-signature-256";

/// Detection waits for it, so it is short: a receiver with much to do answers 202 first.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Shorter limits fail on a healthy network.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: outside::TARGETS,
    default_for: &[],
    // Receivers that know the idempotency key would take it twice; nobody knows whether this one does.
    repeat: Repeat::AtMostOnce,
    recovery: Recovery::SignalsOnly,
    rights: &[],
};

pub(super) struct Webhook;

impl Action for Webhook {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let url = with.parsed_by("url", |text| {
            SecretUrl::parse(text)?;
            let has_credentials = text.split("://").nth(1).and_then(|rest| rest.split('/').next()?.find('@')).is_some();
            if has_credentials {
                Err("must not have credentials: put it into a file and name that as url_file".to_owned())
            } else {
                Ok(text.to_owned())
            }
        });
        let url_file = outside::path(with, "url_file");
        match (with.has("url"), with.has("url_file")) {
            (true, true) => with.reject("url_file", "either url or url_file, not both"),
            (false, false) => drop(with.require_such_as("url", None::<()>, "https://receiver.example/hook")),
            (true, false) | (false, true) => {}
        }
        let secret_file = outside::path(with, "secret_file");
        let timeout = with.duration_in("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
        let data = with.named_texts("data");
        let mut args = Args::default().with("timeout", format_duration(timeout)).with("data", json!(data));
        for (name, path) in [("url_file", url_file), ("secret_file", secret_file)] {
            args = path.into_iter().fold(args, |args, path| args.with(name, path.display().to_string()));
        }
        url.into_iter().fold(args, |args, url| args.with("url", url))
    }

    fn step(&self, ask: &Ask<'_>, _: &Inspected) -> Result<(Step, Inverse), Objection> {
        Ok((Step { action: NAME, args: ask.args.clone() }, Inverse::Irreversible))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let url = match (step.args.text("url"), step.args.text("url_file")) {
            (Some(url), _) => url.to_owned(),
            (None, Some(file)) => format!("<the URL in {file}>"),
            (None, None) => return Err(PayloadError("it has no url".to_owned())),
        };
        let mut headers = json!({ "content-type": CONTENT_TYPE, "idempotency-key": plan.id });
        if let Some(file) = step.args.text("secret_file") {
            headers[SIGNATURE] = json!(format!("sha256=<of the body, with the key in {file}>"));
        }
        let sent = json!({ "method": "POST", "url": url, "headers": headers, "body": event(plan, step) });
        Ok(sent.to_string())
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let mut found = outside::lint_irreversible(policy, "a webhook");
        for wanted in policy.actions().filter(|wanted| wanted.name == NAME) {
            if wanted.args.text("secret_file").is_none() {
                found.push("the webhook has no secret_file: its receiver can't tell who sends".to_owned());
            }
            if wanted.args.text("url").is_some_and(|url| url.starts_with("http://") && !is_local(url)) {
                found
                    .push("the webhook's URL isn't https: whoever is in between reads it and may change it".to_owned());
            }
        }
        found
    }

    fn example(&self) -> &'static str {
        "{url: 'https://receiver.example/hook'}"
    }
}

const CONTENT_TYPE: &str = "application/cloudevents+json";

fn is_local(url: &str) -> bool {
    ["http://127.", "http://localhost", "http://[::1]"].into_iter().any(|local| url.starts_with(local))
}

/// The CloudEvent, in structured mode.
fn event(plan: &Plan, step: &Step) -> Value {
    let mut data = outside::about(plan);
    data["data"] = step.args.get("data").cloned().unwrap_or(Value::Null);
    json!({
        "specversion": "1.0",
        "id": plan.id,
        "source": "/homeostat",
        "type": "io.homeostat.action.webhook",
        "subject": plan.target.subject,
        "time": plan.decided_at.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    })
}

/// Where to, and the signature's key; what can't be read is told before anything is sent.
fn secrets(step: &Step) -> Result<(SecretUrl, Option<String>), String> {
    let url = match (step.args.text("url"), step.args.text("url_file")) {
        (Some(url), _) => SecretUrl::parse(url)?,
        (None, Some(file)) => {
            SecretUrl::parse(&outside::secret(file)?).map_err(|why| format!("the URL in {file} {why}"))?
        }
        (None, None) => return Err("it has no url".to_owned()),
    };
    Ok((url, step.args.text("secret_file").map(outside::secret).transpose()?))
}

#[async_trait]
impl Effect for Webhook {
    async fn inspect(&self, _: &Places, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        Ok(outside::look(subject, now))
    }

    async fn outcome_of_write(&self, _: &Places, _: &Plan) -> Result<WriteOutcome, InspectError> {
        Ok(WriteOutcome::Unknowable)
    }

    async fn dry_run(&self, _: &Places, plan: &Plan) -> Result<(), ApplyError> {
        secrets(&plan.step).map(drop).map_err(|why| ApplyError::Rejected { why })
    }

    async fn apply(&self, at: &Places, plan: &Journaled, _: &str) -> Result<Applied, ApplyError> {
        let (plan, step) = (plan.plan(), &plan.plan().step);
        let (url, key) = secrets(step).map_err(|why| ApplyError::Rejected { why })?;
        let body = event(plan, step).to_string();
        let signature = key.map(|key| format!("sha256={}", hmac_sha256_hex(key.as_bytes(), body.as_bytes())));
        let mut headers = vec![("content-type", CONTENT_TYPE), ("idempotency-key", plan.id.as_str())];
        headers.extend(signature.as_deref().map(|signature| (SIGNATURE, signature)));
        let limit = step.args.text("timeout").and_then(|text| parse_duration(text).ok()).unwrap_or(TIMEOUT_DEFAULT);
        let request = Request { method: "POST", url: &url, headers: &headers, body, limit };
        outside::judged(at.http().send(request).await)
    }

    async fn undo(&self, _: &Places, _: &Journaled, _: &Step) -> Result<Applied, ApplyError> {
        Err(ApplyError::Rejected { why: "a webhook can't be taken back".to_owned() })
    }

    async fn progress(&self, _: &Places, _: &Plan) -> Result<Progress, InspectError> {
        Ok(Progress::Complete { wanted: 0 })
    }
}
