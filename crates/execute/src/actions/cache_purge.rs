//! `cache-purge`: removes what a cache holds: by PURGE or BAN of an HTTP cache, or the keys of a Redis that match a pattern.

use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp, format_duration, parse_duration};
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
use crate::redis::{Redis, RedisError};

const NAME: ActionName = ActionName::new("cache-purge");

/// Detection waits for it.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// So many literal characters must stand before the first wildcard: what begins shorter is nearly everything (I10).
const PREFIX_CHARS_MIN: usize = 3;

/// More keys than this are no purge but a flush, and take a single-threaded Redis too long.
const KEYS_MAX: u32 = 100_000;

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: outside::TARGETS,
    default_for: &[],
    // What was removed is removed: again it removes nothing more of what was there.
    repeat: Repeat::Idempotent,
    recovery: Recovery::SignalsOnly,
    rights: &[],
};

pub(super) struct CachePurge;

impl Action for CachePurge {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let timeout = with.duration_in("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
        let http = with.section("http", http_args);
        let redis = with.section("redis", redis_args);
        match (&http, &redis) {
            (Some(_), Some(_)) => with.reject("redis", "either http or redis, not both"),
            (None, None) => {
                let message = format!(
                    "{} is missing; for instance `http: {{url: 'http://cache.example/cart'}}`",
                    with.path_of("http")
                );
                with.problem(with.place(), message);
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        let args = Args::default().with("timeout", format_duration(timeout));
        let args = http.into_iter().fold(args, |args, http| args.with("http", http));
        redis.into_iter().fold(args, |args, redis| args.with("redis", redis))
    }

    fn step(&self, ask: &Ask<'_>, _: &Inspected) -> Result<(Step, Inverse), Objection> {
        Ok((Step { action: NAME, args: ask.args.clone() }, Inverse::Irreversible))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let what = if let Some(http) = step.args.get("http") {
            json!({ "method": http["method"], "url": http["url"], "header": HEADER })
        } else if let Some(redis) = step.args.get("redis") {
            json!({ "address": redis["address"], "db": redis["db"], "unlink": redis["pattern"], "max_keys": redis["max_keys"] })
        } else {
            return Err(PayloadError("it has neither http nor redis".to_owned()));
        };
        Ok(json!({ "purge": what, "for": outside::about(plan) }).to_string())
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let mut found = outside::lint_irreversible(policy, "a purge");
        let is_redis =
            |wanted: &homeostat_remediate::PolicyAction| wanted.name == NAME && wanted.args.get("redis").is_some();
        if policy.actions().any(is_redis) {
            found.push(
                "what is removed from Redis is gone: be sure that all its keys of this pattern are a cache".to_owned(),
            );
        }
        found
    }

    fn example(&self) -> &'static str {
        "{http: {url: 'http://cache.example/cart'}}"
    }
}

/// What tells the cache who asks.
const HEADER: &str = "x-homeostat-plan";

fn http_args(http: &mut Reader<'_>) -> Value {
    let method = http.parsed_by("method", |text| match text {
        "PURGE" | "BAN" => Ok(text.to_owned()),
        other => Err(format!("must be PURGE or BAN, not {other:?}")),
    });
    let url = http.parsed_by("url", |text| SecretUrl::parse(text).map(|_| text.to_owned()));
    http.require_such_as("url", url.as_ref(), "http://cache.example/cart");
    let headers = http.named_texts("headers");
    json!({ "method": method.unwrap_or_else(|| "PURGE".to_owned()), "url": url, "headers": headers })
}

fn redis_args(redis: &mut Reader<'_>) -> Value {
    let address = redis.parsed_by("address", |text| match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        Some(_) | None => Err("must be HOST:PORT, such as redis.shop:6379"),
    });
    redis.require_such_as("address", address.as_ref(), "redis.shop:6379");
    let pattern = redis.parsed_by("pattern", |text| {
        let literal = text.chars().take_while(|char| !"*?[\\".contains(*char)).count();
        if literal >= PREFIX_CHARS_MIN {
            Ok(text.to_owned())
        } else {
            Err(format!("must begin with at least {PREFIX_CHARS_MIN} literal characters, such as cart:*; else it matches nearly everything"))
        }
    });
    redis.require_such_as("pattern", pattern.as_ref(), "'cart:*'");
    let max_keys = redis.count("max_keys", 1..=KEYS_MAX);
    redis.require_such_as("max_keys", max_keys, "10000");
    let db = redis.count("db", 0..=1_000_000).unwrap_or(0);
    let user = redis.text("user");
    let password_file = outside::path(redis, "password_file").map(|path| path.display().to_string());
    json!({ "address": address, "pattern": pattern, "max_keys": max_keys, "db": db, "user": user, "password_file": password_file })
}

/// The purge of a Redis.
struct RedisPurge<'a> {
    address: &'a str,
    pattern: &'a str,
    max_keys: usize,
    db: u32,
    user: Option<&'a str>,
    password: Option<String>,
    limit: Duration,
}

impl<'a> RedisPurge<'a> {
    fn of(redis: &'a Value, limit: Duration) -> Result<Self, String> {
        let number = |key: &str| redis[key].as_u64().ok_or_else(|| format!("it has no {key}"));
        Ok(Self {
            address: redis["address"].as_str().ok_or("it has no address")?,
            pattern: redis["pattern"].as_str().ok_or("it has no pattern")?,
            max_keys: usize::try_from(number("max_keys")?).unwrap_or(usize::MAX),
            db: u32::try_from(number("db")?).map_err(|error| error.to_string())?,
            user: redis["user"].as_str(),
            password: redis["password_file"].as_str().map(outside::secret).transpose()?,
            limit,
        })
    }

    /// Connects and finds the keys; nothing is removed yet, and nothing where there are too many.
    async fn look(&self) -> Result<(Redis, Vec<Vec<u8>>), ApplyError> {
        let mut redis = Redis::connect(self.address, self.limit).await.map_err(before)?;
        redis.log_in(self.user, self.password.as_deref(), self.db).await.map_err(before)?;
        let keys = redis.keys(self.pattern, self.max_keys).await.map_err(before)?;
        let keys = keys.ok_or_else(|| ApplyError::Rejected {
            why: format!("more than {} keys match {}: nothing was removed", self.max_keys, self.pattern),
        })?;
        Ok((redis, keys))
    }

    async fn run(&self) -> Result<u64, ApplyError> {
        let (mut redis, keys) = self.look().await?;
        redis.unlink(&keys).await.map_err(|error| ApplyError::Unknown { why: error.to_string() })
    }
}

/// Before the first key is removed nothing was done.
fn before(error: RedisError) -> ApplyError {
    match error {
        RedisError::Refused(_) => ApplyError::Rejected { why: error.to_string() },
        RedisError::NotConnected { .. } | RedisError::NoAnswer(_) => ApplyError::NotNow { why: error.to_string() },
    }
}

fn limit(step: &Step) -> Duration {
    step.args.text("timeout").and_then(|text| parse_duration(text).ok()).unwrap_or(TIMEOUT_DEFAULT)
}

#[async_trait]
impl Effect for CachePurge {
    async fn inspect(&self, _: &Places, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        Ok(outside::look(subject, now))
    }

    /// Whether a purge arrived can't be seen; done again it does no more, so it may be sent again.
    async fn outcome_of_write(&self, _: &Places, _: &Plan) -> Result<WriteOutcome, InspectError> {
        Ok(WriteOutcome::NotApplied)
    }

    async fn dry_run(&self, _: &Places, plan: &Plan) -> Result<(), ApplyError> {
        let Some(redis) = plan.step.args.get("redis") else { return Ok(()) };
        let purge = RedisPurge::of(redis, limit(&plan.step)).map_err(|why| ApplyError::Rejected { why })?;
        purge.look().await.map(drop)
    }

    async fn apply(&self, at: &Places, plan: &Journaled, _: &str) -> Result<Applied, ApplyError> {
        let (plan, step) = (plan.plan(), &plan.plan().step);
        if let Some(redis) = step.args.get("redis") {
            let purge = RedisPurge::of(redis, limit(step)).map_err(|why| ApplyError::Rejected { why })?;
            let n_removed = purge.run().await?;
            tracing::info!(plan = %plan.id, n_removed, "keys were removed from Redis");
            return Ok(outside::done());
        }
        let http = step.args.get("http").cloned().unwrap_or(Value::Null);
        let rejected = |why: &str| ApplyError::Rejected { why: why.to_owned() };
        let url = http["url"].as_str().ok_or_else(|| rejected("it has no url"))?;
        let url = SecretUrl::parse(url).map_err(|why| rejected(&why))?;
        let mut headers = vec![(HEADER, plan.id.as_str())];
        let own = http["headers"].as_object().into_iter().flatten();
        headers.extend(own.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))));
        let method = http["method"].as_str().unwrap_or("PURGE");
        let request = Request { method, url: &url, headers: &headers, body: String::new(), limit: limit(step) };
        outside::judged(at.http().send(request).await)
    }

    async fn undo(&self, _: &Places, _: &Journaled, _: &Step) -> Result<Applied, ApplyError> {
        Err(ApplyError::Rejected { why: "a purge can't be taken back".to_owned() })
    }

    async fn progress(&self, _: &Places, _: &Plan) -> Result<Progress, InspectError> {
        Ok(Progress::Complete { wanted: 0 })
    }
}
