//! Actions outside the cluster, from the policy to the end: real listeners on loopback that misbehave, and real programs. What is
//! never sent twice is sent once, whatever comes of it (I7).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

#[path = "support/listener.rs"]
mod listener;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use homeostat_core::{Calendar, Incident, IncidentType, Mode, Subject, Timestamp, Topology, hmac_sha256_hex};
use homeostat_execute::{
    ApplyError, Driver, DriverEvent, Executor, Places, Registry, StopSwitch, TickInput, WriteOutcome,
};
use homeostat_journal::Journal;
use homeostat_remediate::{KillSwitch, SafetyLimits, Stage, load_policies};
use listener::{Answer, Listener, Reply, ok};
use support::incident;

const START: Timestamp = Timestamp::from_secs(36_000);

/// A switch that a test engages while something is done.
#[derive(Default)]
struct Switch(AtomicBool);

impl StopSwitch for Switch {
    fn read(&self) -> KillSwitch {
        KillSwitch { engaged: self.0.load(Ordering::SeqCst), why: "a test".into() }
    }
}

struct World {
    journal: Arc<Journal>,
    policy: String,
    driver: Driver,
    open: Vec<Incident>,
    switch: Arc<Switch>,
}

fn policy(action: &str, with: &str) -> String {
    format!(
        "remediation_policy:\n  incident_type: oom-killed\n  auto_execute: true\n  allow_irreversible: true\n  confidence_threshold: 0.9\n  \
         scope: {{namespaces: [shop]}}\n  action: {action}\n  with: {with}\n"
    )
}

impl World {
    fn new(action: &str, with: &str) -> Self {
        let journal = Arc::new(Journal::in_memory().unwrap());
        let policy = policy(action, with);
        let driver = Self::driver(&journal, &policy);
        let open = vec![incident(IncidentType::OomKilled, &Subject::deployment("shop", "cart"), START)];
        Self { journal, policy, driver, open, switch: Arc::default() }
    }

    fn driver(journal: &Arc<Journal>, policy: &str) -> Driver {
        let registry: Arc<dyn Executor> = Arc::new(Registry::new(Places::default()));
        let policies = load_policies(policy, "/policies/p.yaml", &homeostat_execute::actions());
        let policies = policies.unwrap_or_else(|problems| panic!("{problems:?}"));
        Driver::new(registry, Arc::clone(journal), policies, SafetyLimits::default())
    }

    /// As after a crash: another driver over the same journal.
    async fn restart(&mut self, after_s: u64) -> Vec<DriverEvent> {
        self.driver = Self::driver(&self.journal, &self.policy);
        self.driver.recover(START + Duration::from_secs(after_s)).await
    }

    async fn tick(&mut self, after_s: u64) -> Vec<DriverEvent> {
        let now = START + Duration::from_secs(after_s);
        for incident in &mut self.open {
            incident.updated_at = now;
        }
        let input = TickInput {
            incidents: &self.open,
            signals: &BTreeMap::new(),
            kill_switch: &*self.switch,
            mode: Mode::Execute,
            topology: &Topology::new(),
            calendar: &Calendar::default(),
        };
        self.driver.tick(now, &input).await
    }

    /// The last action, and why it is where it is.
    fn last(&self) -> (Stage, String) {
        let history = self.journal.history().unwrap();
        let action = history.actions.last().expect("an action");
        (action.stage, action.why.clone().unwrap_or_default())
    }

    fn n_actions(&self) -> usize {
        self.journal.history().unwrap().actions.len()
    }
}

fn called_for(events: &[DriverEvent]) -> Vec<&str> {
    let calls = events.iter().filter_map(|event| match event {
        DriverEvent::Escalate(call) => Some(call.reason.as_str()),
        _ => None,
    });
    calls.collect()
}

#[tokio::test]
async fn a_webhook_is_a_signed_event_that_is_sent_once() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "k3y-of-the-receiver\n").unwrap();
    let listener = Listener::start(Reply::Status(204)).await;
    let with = format!("{{url: {}, secret_file: {}, data: {{job: purge}}}}", listener.url(), secret.display());
    let mut world = World::new("webhook", &with);
    world.tick(0).await;
    assert_eq!(world.last().0, Stage::Verifying);
    world.tick(30).await;
    let requests = listener.requests();
    let [(head, body)] = requests.as_slice() else { panic!("{requests:?}") };
    let history = world.journal.history().unwrap();
    let plan = &history.actions.first().unwrap().plan;
    let signature =
        format!("x-homeostat-signature-256: sha256={}", hmac_sha256_hex(b"k3y-of-the-receiver", body.as_bytes()));
    for expected in [&signature, &format!("idempotency-key: {}", plan.id), "content-type: application/cloudevents+json"]
    {
        assert!(head.contains(expected), "{expected} in {head}");
    }
    let event: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&event["specversion"], &event["id"]), (&"1.0".into(), &plan.id.as_str().into()));
    assert_eq!(event["data"]["data"]["job"], "purge");
    assert_eq!(event["subject"], "shop/deployment/cart");
    let kept = format!("{:?}", world.journal.record_of(&world.open[0].id).unwrap());
    assert!(kept.contains("of the body, with the key in") && !kept.contains("k3y-of-the-receiver"), "{kept}");
}

/// Each answer with what it means, and that nothing follows it.
#[tokio::test]
async fn every_answer_to_a_webhook_has_its_meaning_and_none_is_followed_by_a_second_request() {
    for (reply, stage, why) in [
        (Reply::Silence, Stage::Unknown, "timed out"),
        (Reply::HangUp, Stage::Unknown, "may have happened"),
        (Reply::Half, Stage::Unknown, "may have happened"),
        (Reply::Status(500), Stage::Unknown, "500"),
        (Reply::Status(503), Stage::Unknown, "503"),
        (Reply::Redirect, Stage::NotApplied, "redirects aren't followed"),
        (Reply::Status(403), Stage::NotApplied, "403"),
        (Reply::Status(429), Stage::NotApplied, "429"),
    ] {
        let listener = Listener::start(reply).await;
        let mut world = World::new("webhook", &format!("{{url: {}, timeout: 300ms}}", listener.url()));
        let mut events = world.tick(0).await;
        // Too soon for another plan, which may follow where nothing was done.
        for cycle in 1..=3 {
            events.extend(world.tick(5 * cycle).await);
        }
        let (found, told) = world.last();
        assert_eq!(found, stage, "{reply:?}: {told}");
        assert!(told.contains(why), "{reply:?}: {told}");
        assert!(!told.contains("s3cret77"), "{told}");
        assert_eq!(listener.requests().len(), 1, "{reply:?}");
        assert!(called_for(&events).contains(&stage.name()), "{reply:?}: {events:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_isnt_there_was_sent_nothing_and_the_next_attempt_is_another_plan() {
    let gone = Listener::start(Reply::Silence).await;
    let url = gone.url();
    gone.stop().await;
    let mut world = World::new("webhook", &format!("{{url: {url}}}"));
    let events = world.tick(0).await;
    assert_eq!(world.last().0, Stage::NotApplied);
    assert!(world.last().1.contains("nothing was sent"), "{:?}", world.last());
    assert_eq!(called_for(&events), ["not-applied"]);
}

/// Killed while the answer was awaited: nobody knows, so a human is called, and nothing is sent again.
#[tokio::test]
async fn who_died_while_a_webhook_was_sent_calls_a_human_and_sends_nothing() {
    let listener = Listener::start(Reply::Silence).await;
    let mut world = World::new("webhook", &format!("{{url: {}}}", listener.url()));
    let cut = tokio::time::timeout(Duration::from_millis(700), world.tick(0)).await;
    assert!(cut.is_err() && listener.requests().len() == 1, "it is under way");
    let events = world.restart(5).await;
    assert_eq!(called_for(&events), ["unknown"]);
    for cycle in 1..=3 {
        world.tick(30 * cycle).await;
    }
    assert_eq!((world.last().0, listener.requests().len()), (Stage::Unknown, 1));
    assert!(world.last().1.contains("never sent twice"), "{:?}", world.last());
}

#[tokio::test]
async fn what_a_webhook_needs_and_cant_be_read_is_told_before_anything_is_sent() {
    let mut world = World::new("webhook", "{url_file: gone}");
    let events = world.tick(0).await;
    assert_eq!((world.n_actions(), called_for(&events)), (0, vec!["dry-run-refused"]));
}

/// Its arguments are data, its environment is what the policy says, and what it writes is kept.
#[tokio::test]
async fn a_command_gets_its_arguments_as_they_are_and_a_clean_environment() {
    let directory = tempfile::tempdir().unwrap();
    let (out, token) = (directory.path().join("out"), directory.path().join("token"));
    std::fs::write(&token, "t0ken-in-a-file\n").unwrap();
    let script =
        program(directory.path(), "show", &format!("/usr/bin/env > {0}; echo \"arg:$1\" >> {0}", out.display()));
    let with = format!(
        "{{argv: [{script}, '$(id); `id` ; | > &'], environment: {{REGION: eu}}, environment_files: {{TOKEN: {}}}}}",
        token.display()
    );
    let mut world = World::new("command", &with);
    world.tick(0).await;
    assert_eq!(world.last().0, Stage::Verifying, "{:?}", world.last());
    let shown = std::fs::read_to_string(&out).unwrap();
    assert!(shown.contains("arg:$(id); `id` ; | > &\n"), "{shown}");
    for expected in ["REGION=eu", "TOKEN=t0ken-in-a-file", "HOMEOSTAT_NAMESPACE=shop", "HOMEOSTAT_NAME=cart"] {
        assert!(shown.lines().any(|line| line == expected), "{expected} in {shown}");
    }
    // The script's own shell sets these.
    let own = ["PWD", "SHLVL", "_", "OLDPWD"];
    let foreign: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .filter(|name| !name.starts_with("HOMEOSTAT_") && !own.contains(name) && !["REGION", "TOKEN"].contains(name))
        .collect();
    assert_eq!(foreign, Vec::<&str>::new());
    let kept = format!("{:?}", world.journal.record_of(&world.open[0].id).unwrap());
    assert!(kept.contains("the content of") && !kept.contains("t0ken-in-a-file"), "{kept}");
}

#[tokio::test]
async fn a_command_that_fails_or_takes_too_long_has_an_unknown_outcome_and_isnt_run_again() {
    let directory = tempfile::tempdir().unwrap();
    let ran = directory.path().join("ran");
    let script =
        |name: &str, what: &str| program(directory.path(), name, &format!("echo x >> {}; {what}", ran.display()));
    for (what, why) in [
        ("echo no such queue >&2; exit 3", "it ended with 3: no such queue"),
        ("echo working; sleep 60", "didn't end within 300ms: working"),
        ("kill -9 $$", "it was killed"),
    ] {
        let _ = std::fs::remove_file(&ran);
        let with = format!("{{argv: [{}], timeout: 300ms}}", script("fails", what));
        let mut world = World::new("command", &with);
        let mut events = Vec::new();
        for cycle in 0..4 {
            events.extend(world.tick(30 * cycle).await);
        }
        let (stage, told) = world.last();
        assert!(stage == Stage::Unknown && told.contains(why), "{what}: {stage}: {told}");
        assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\n", "{what}");
        assert!(called_for(&events).contains(&"unknown"), "{what}");
    }
}

/// Whatever the program started ends with it.
#[tokio::test]
async fn the_kill_switch_ends_a_command_with_all_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pids = directory.path().join("pids");
    let script = program(
        directory.path(),
        "long",
        &format!("sleep 300 & echo $$ $! > {0}.new; mv {0}.new {0}; wait", pids.display()),
    );
    let mut world = World::new("command", &format!("{{argv: [{script}], timeout: 30s}}"));
    let switch = Arc::clone(&world.switch);
    let started = pids.clone();
    let engage = tokio::spawn(async move {
        while !started.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        switch.0.store(true, Ordering::SeqCst);
        Instant::now()
    });
    world.tick(0).await;
    let engaged_at = engage.await.unwrap();
    assert!(engaged_at.elapsed() < Duration::from_secs(5), "{:?}", engaged_at.elapsed());
    for pid in std::fs::read_to_string(&pids).unwrap().split_whitespace() {
        wait_until_gone(pid).await;
    }
    assert_eq!(world.last().0, Stage::Applying, "what came of it isn't known yet");
    world.tick(30).await;
    let (stage, why) = world.last();
    assert!(stage == Stage::Unknown && why.contains("automation was stopped"), "{stage}: {why}");
}

#[tokio::test]
async fn a_program_that_isnt_there_is_told_before_it_is_tried() {
    let mut world = World::new("command", "{argv: [/nonexistent/program]}");
    let events = world.tick(0).await;
    assert_eq!((world.n_actions(), called_for(&events)), (0, vec!["dry-run-refused"]));
}

#[test]
fn what_could_be_misread_in_a_policy_is_refused() {
    for (action, with, expected) in [
        ("webhook", "{}", "remediation_policy.with.url is missing"),
        ("webhook", "{url: 'ftp://x/'}", "must begin with http:// or https://"),
        ("webhook", "{url: 'https://bot:pass@x/'}", "must not have credentials"),
        ("webhook", "{url: 'https://x/', url_file: y}", "either url or url_file"),
        ("webhook", "{url: 'https://x/', timeout: 5m}", "must lie between"),
        ("webhook", "{url: 'https://x/', data: {a: 1}}", "with.data.a: must be a text"),
        ("webhook", "{url: 'https://x/', secret: abc}", "unknown key remediation_policy.with.secret"),
        ("cache-purge", "{}", "with.http is missing"),
        ("cache-purge", "{redis: {address: 'r:6379', pattern: '*', max_keys: 5}}", "at least 3 literal characters"),
        ("cache-purge", "{redis: {address: 'r:6379', pattern: 'ab*', max_keys: 5}}", "at least 3 literal characters"),
        ("cache-purge", "{redis: {address: 'r:6379', pattern: 'cart:*'}}", "max_keys is missing"),
        ("cache-purge", "{redis: {address: redis, pattern: 'cart:*', max_keys: 5}}", "must be HOST:PORT"),
        ("cache-purge", "{http: {url: 'http://x/', method: DELETE}}", "must be PURGE or BAN"),
        ("feature-flag", "{}", "with.flagd is missing"),
        ("feature-flag", "{http: {url: 'http://x/'}, flagd: {file: a, flag: b}}", "exclude each other"),
        (
            "feature-flag",
            "{unleash: {url: 'http://x', flag: '../../users', environment: p, token_file: t}}",
            "must be letters",
        ),
        ("feature-flag", "{unleash: {url: 'http://x', flag: f, environment: p}}", "token_file is missing"),
        ("command", "{}", "remediation_policy.with.argv is missing"),
        ("command", "{argv: []}", "must name a program"),
        ("command", "{argv: [rm, -rf]}", "must be the whole path"),
        ("command", "{argv: [/bin/true], environment: {'A B': x}}", "can't be a variable"),
        ("command", "{argv: [/bin/true], environment: {HOMEOSTAT_PLAN: x}}", "can't be a variable"),
    ] {
        let found = load_policies(&policy(action, with), "p.yaml", &homeostat_execute::actions()).unwrap_err();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|problem| problem.contains(expected)), "{with}: {found:?}");
        assert!(!found.iter().any(|problem| problem.contains("pass@")), "{found:?}");
    }
}

const FLAGS: &str =
    r#"{"flags":{"new-checkout":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}}}"#;

fn served(file: &Path) -> String {
    let root: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    root["flags"]["new-checkout"]["defaultVariant"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_flag_in_a_file_of_flagd_goes_off_and_on_again_unless_somebody_changed_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("flags.json");
    let with = format!("{{flagd: {{file: {}, flag: new-checkout}}}}", file.display());
    let registry = Registry::new(Places::default());
    for edited in [false, true] {
        std::fs::write(&file, FLAGS).unwrap();
        let mut world = World::new("feature-flag", &with);
        world.tick(0).await;
        assert_eq!((world.last().0, served(&file).as_str()), (Stage::Verifying, "off"));
        let journaled = world.journal.in_flight().unwrap().remove(0);
        let outcome = registry.outcome_of_write(journaled.plan()).await.unwrap();
        assert_eq!(outcome, WriteOutcome::AppliedByUs, "the mark is in the same write");
        assert!(registry.apply(&journaled, "").await.is_ok(), "again it is the same");
        if edited {
            let text = std::fs::read_to_string(&file).unwrap().replace(journaled.plan().id.as_str(), "somebody");
            std::fs::write(&file, text).unwrap();
            assert!(matches!(registry.undo(&journaled).await, Err(ApplyError::Stale { .. })));
            assert_eq!(served(&file), "off");
        } else {
            for _ in 0..2 {
                registry.undo(&journaled).await.unwrap();
                assert_eq!(served(&file), "on");
            }
        }
    }
    std::fs::write(&file, FLAGS.replace(r#"t":"on""#, r#"t":"off""#)).unwrap();
    let mut world = World::new("feature-flag", &with);
    let events = world.tick(0).await;
    assert_eq!(
        (world.n_actions(), called_for(&events)),
        (0, vec!["dry-run-refused"]),
        "what is off already isn't ours"
    );
}

/// As Unleash's admin API, and a plain resource, have it.
#[tokio::test]
async fn a_remote_flag_goes_off_and_on_again_and_a_lost_answer_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "t0ken-of-flags\n").unwrap();
    for is_unleash in [true, false] {
        let (on, loses) = (Arc::new(Mutex::new(true)), Arc::new(AtomicBool::new(true)));
        let (state, loses_next) = (Arc::clone(&on), Arc::clone(&loses));
        let listener = Listener::answering(Arc::new(move |head, body| {
            assert!(head.contains("authorization: t0ken-of-flags"), "{head}");
            let mut on = state.lock().unwrap();
            let path = head.split_whitespace().nth(1).unwrap();
            let wanted = match (head.split_whitespace().next().unwrap(), is_unleash) {
                ("get", true) => {
                    assert_eq!(path, "/hook/s3cret77/api/admin/projects/default/features/new-checkout");
                    let all = format!(
                        r#"{{"environments":[{{"name":"dev","enabled":true}},{{"name":"prod","enabled":{on}}}]}}"#
                    );
                    return Answer::Text(ok(200, &all));
                }
                ("get", false) => return Answer::Text(ok(200, &format!(r#"{{"enabled":{on}}}"#))),
                ("post", true) => path.ends_with("/environments/prod/on"),
                ("put", false) => {
                    serde_json::from_str::<serde_json::Value>(body).unwrap()["enabled"].as_bool().unwrap()
                }
                other => panic!("{other:?}"),
            };
            *on = wanted;
            if loses_next.swap(false, Ordering::SeqCst) { Answer::HangUp } else { Answer::Text(ok(200, "")) }
        }))
        .await;
        let (url, token) = (listener.url(), token.display());
        let with = if is_unleash {
            format!("{{unleash: {{url: {url}, flag: new-checkout, environment: prod, token_file: {token}}}}}")
        } else {
            format!("{{http: {{url: {url}, token_file: {token}}}}}")
        };
        let mut world = World::new("feature-flag", &with);
        world.tick(0).await;
        assert_eq!(world.last().0, Stage::Applying, "the answer was lost");
        world.tick(5).await;
        assert_eq!((world.last().0, *on.lock().unwrap()), (Stage::Verifying, false), "{:?}", world.last());
        let writes =
            |listener: &Listener| listener.requests().iter().filter(|(head, _)| !head.starts_with("get")).count();
        assert_eq!(writes(&listener), 1, "it was looked at, not sent again");
        let journaled = world.journal.in_flight().unwrap().remove(0);
        let registry = Registry::new(Places::default());
        registry.undo(&journaled).await.unwrap();
        assert!(*on.lock().unwrap());
    }
}

#[tokio::test]
async fn an_http_cache_is_purged_with_the_plans_id() {
    let listener = Listener::start(Reply::Status(200)).await;
    let mut world = World::new(
        "cache-purge",
        &format!("{{http: {{method: BAN, url: {}, headers: {{X-Tag: cart}}}}}}", listener.url()),
    );
    world.tick(0).await;
    assert_eq!(world.last().0, Stage::Verifying);
    let (head, _) = listener.requests().remove(0);
    let plan = format!("x-homeostat-plan: {}", world.journal.history().unwrap().actions.first().unwrap().plan.id);
    assert!(head.starts_with("ban /hook/s3cret77") && head.contains("x-tag: cart") && head.contains(&plan), "{head}");
}

/// What isn't a Redis, or breaks off, ends with nothing removed, and without more being read than was asked for.
#[tokio::test]
async fn what_answers_no_redis_protocol_is_left_alone() {
    for text in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "$100\r\nhalf",
        "$99999999999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        "*99999999\r\n",
        "-NOAUTH no\r\n",
        "",
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        let with = format!("{{redis: {{address: '{address}', pattern: 'cart:*', max_keys: 10}}, timeout: 500ms}}");
        let mut world = World::new("cache-purge", &with);
        let events = world.tick(0).await;
        assert_eq!(world.n_actions(), 0, "{text:?}: {events:?}");
    }
}

/// A Redis as Debian has it.
struct RedisServer {
    child: std::process::Child,
    address: String,
}

impl RedisServer {
    async fn start(password: &str) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let mut command = std::process::Command::new("redis-server");
        command.args(["--port", &port, "--save", "", "--appendonly", "no", "--requirepass", password]);
        command.stdout(std::process::Stdio::null());
        let child = command.spawn().ok()?;
        let address = format!("127.0.0.1:{port}");
        let until = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            assert!(Instant::now() < until, "redis-server doesn't listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Self { child, address })
    }

    /// Sends commands, one a line, and gives the last answer's text.
    async fn ask(&self, lines: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(format!("{lines}\r\nQUIT\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_real_redis_loses_the_keys_of_the_pattern_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    std::fs::write(&password, "r3dis-pass\n").unwrap();
    let Some(redis) = RedisServer::start("r3dis-pass").await else {
        eprintln!("not run: no redis-server in PATH (apt-get install redis-server)");
        return;
    };
    let fill: String = (0..1300).map(|n| format!("SET cart:{n} x\r\n")).collect();
    redis.ask(&format!("AUTH r3dis-pass\r\n{fill}SET order:1 x\r\nSET cartoon x")).await;
    let with = |max: u32| {
        format!(
            "{{redis: {{address: '{}', pattern: 'cart:*', max_keys: {max}, password_file: {}}}}}",
            redis.address,
            password.display()
        )
    };
    let size = async || redis.ask("AUTH r3dis-pass\r\nDBSIZE").await;
    let mut few = World::new("cache-purge", &with(1000));
    let events = few.tick(0).await;
    assert_eq!((few.n_actions(), called_for(&events)), (0, vec!["dry-run-refused"]), "more keys than allowed");
    assert!(size().await.contains(":1302"));
    let mut world = World::new("cache-purge", &with(2000));
    world.tick(0).await;
    assert_eq!(world.last().0, Stage::Verifying, "{:?}", world.last());
    assert!(size().await.contains(":2\r\n"), "{}", size().await);
    let wrong = directory.path().join("wrong");
    std::fs::write(&wrong, "guess").unwrap();
    let mut world =
        World::new("cache-purge", &with(2000).replace(&password.display().to_string(), &wrong.display().to_string()));
    assert_eq!(called_for(&world.tick(0).await), ["dry-run-refused"]);
}

/// An executable shell script.
fn program(directory: &Path, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

async fn wait_until_gone(pid: &str) {
    let until = Instant::now() + Duration::from_secs(5);
    // A zombie that its parent hasn't reaped yet does nothing any more.
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim_start().starts_with('Z'))
    };
    while runs() {
        assert!(Instant::now() < until, "{pid} still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
