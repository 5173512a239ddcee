use std::path::Path;

use homeostat_ingest::{Aggregation, OnMissing};

use super::*;

mod any;
mod keys;
mod policy_keys;
mod policy_reference;
mod reference;

const GOOD: &str = "
datasources:
  - url: http://127.0.0.1:9090
queries:
  memory: {expr: m, signal: memory, direction: up}
";

fn load_text(text: &str) -> Result<Config, Vec<String>> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, text).expect("written");
    load(&path).map(|loaded| loaded.config).map_err(|problems| {
        problems
            .iter()
            .map(|problem| format!("{}:{}: {}", problem.place.line, problem.place.column, problem.message))
            .collect()
    })
}

#[test]
fn the_smallest_config_observes_and_listens_on_loopback() {
    let config = load_text(GOOD).expect("a config");
    assert_eq!(config.mode, Mode::Observe);
    assert!(config.listen_address.ip().is_loopback());
    assert_eq!(config.queries.n_queries(), 1);
    assert_eq!(
        config.detection.detectors,
        ["residual", "forest", "dbscan", "forecast", "pca", "autoencoder", "envelope"]
    );
    assert!(config.detection.share_models);
    assert!(!load_text(&format!("{GOOD}share_models: false\n")).expect("a config").detection.share_models);
    assert_eq!(
        config.channels.objection_to_escalations(Channels::DEFAULT),
        None,
        "calls for a human always have somewhere to go"
    );
}

#[test]
fn a_query_may_have_a_limit_and_the_presets_memory_has_one() {
    let config = load_text(&format!("{GOOD}  disk-free: {{expr: d, direction: down, limit: 0}}\n")).expect("a config");
    assert_eq!(config.queries.limits(), [("disk-free".to_owned(), 0.0)].into());
    let preset = load_text(&format!("preset: kubernetes-workload\n{GOOD}")).expect("a config");
    assert_eq!(preset.queries.limits(), [].into(), "a query that replaces the preset's has its own limit, or none");
    let preset =
        GOOD.replace("queries:\n  memory: {expr: m, signal: memory, direction: up}", "preset: kubernetes-workload");
    assert_eq!(load_text(&preset).expect("a config").queries.limits(), [("memory".to_owned(), 1.0)].into());
    let problems = load_text(&format!("{GOOD}  disk: {{expr: d, limit: much}}\n")).expect_err("no number");
    assert!(problems[0].contains("limit"), "{problems:?}");
}

#[test]
fn models_are_trained_anew_only_where_the_config_says_so_and_never_instead_of_a_bundle() {
    assert_eq!(load_text(GOOD).expect("a config").retrain_every, None);
    let weekly = format!("{GOOD}global: {{retrain_every: 7d}}\n");
    assert_eq!(load_text(&weekly).expect("a config").retrain_every, Some(Duration::from_secs(7 * 86_400)));
    let problems = load_text(&format!("{weekly}bundle: models\n")).expect_err("two sources of models");
    assert!(problems[0].contains("global.retrain_every"), "{problems:?}");
    let problems = load_text(&format!("{GOOD}global: {{retrain_every: 10m}}\n")).expect_err("too often");
    assert!(problems[0].contains("at least 1h"), "{problems:?}");
}

#[test]
fn replicas_are_compared_only_where_the_config_says_so() {
    assert!(load_text(GOOD).expect("a config").replicas.is_none());
    let config = load_text(&format!("{GOOD}replicas: {{preset: kubernetes-replicas}}\n")).expect("a config");
    let replicas = config.replicas.expect("a section");
    assert_eq!((replicas.label.as_str(), replicas.queries.n_queries()), ("pod", 3));
    let own = "replicas:\n  label: instance\n  queries:\n    latency: {expr: l, signal: latency, direction: up}\n";
    let replicas = load_text(&format!("{GOOD}{own}")).expect("a config").replicas.expect("a section");
    assert_eq!((replicas.label.as_str(), replicas.queries.n_queries()), ("instance", 1));
    let problems = load_text(&format!("{GOOD}replicas: {{label: pod}}\n")).expect_err("nothing to compare by");
    assert!(problems[0].contains("replicas.queries"), "{problems:?}");
}

#[test]
fn an_expression_alone_is_a_query() {
    let config =
        load_text(&format!("{GOOD}  requests: sum by (namespace, workload) (rate(x[5m]))\n")).expect("a config");
    assert_eq!(config.queries.n_queries(), 2);
}

#[test]
fn every_problem_is_shown_at_once_with_its_place() {
    let text = "
mode: exceute
global:
  step: 0s
  histroy: 7d
datasources:
  - url: localhost:9090
queries:
  memory: {expr: m, signal: memori}
server:
  listen_address: 0.0.0.0:9476
calendar:
  - {name: sale, start: 2026-12-02T00:00:00Z, end: 2026-12-01T00:00:00Z}
  - {name: freeze, start: 2026-12-01T00:00:00Z, end: 2026-12-02T00:00:00Z, namespaces: ['shop-.*']}
channels:
  slack: {type: slak}
detectors: [forrest]
";
    let problems = load_text(text).expect_err("nothing but problems");
    for (place, part) in [
        ("2:7:", "unknown mode \"exceute\""),
        ("4:9:", "global.step"),
        ("5:3:", "unknown key global.histroy; did you mean history?"),
        ("7:10:", "the scheme must be http or https"),
        ("9:29:", "unknown signal \"memori\""),
        ("11:19:", "isn't loopback"),
        ("13:52:", "must be after the start"),
        ("14:88:", "\"shop-.*\" matches no name: it is a regular expression"),
        (
            "16:17:",
            "unknown kind of channel \"slak\"; known are: alertmanager, log, pagerduty, slack, webhook; did you mean slack?",
        ),
        ("17:12:", "unknown \"forrest\""),
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(place) && problem.contains(part)),
            "{place} {part} isn't among\n{}",
            problems.join("\n")
        );
    }
}

#[test]
fn executing_without_a_cluster_or_with_an_unknown_channel_is_a_problem() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = "
remediation_policy:
  incident_type: oom-killed
  auto_execute: true
  confidence_threshold: 0.9
  max_attempts: 2
  cooldown_after_action: 10m
  verification_window: 5m
  rollback_if_failed: false
  escalation_channel: nowhere
  scope: {namespaces: [shop]}
";
    std::fs::write(dir.path().join("policies.yaml"), policy).expect("written");
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, format!("mode: execute\npolicies: policies.yaml\n{GOOD}")).expect("written");
    let problems = load(&path).expect_err("two problems");
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(text.iter().any(|problem| problem.contains("\"nowhere\" isn't configured")), "{text:?}");
    assert!(text.iter().any(|problem| problem.contains("no `kubernetes` section")), "{text:?}");
}

#[test]
fn an_action_that_the_registry_does_not_have_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = "
remediation_policy:
  incident_type: bad-deployment
  auto_execute: true
  confidence_threshold: 0.9
  max_attempts: 1
  cooldown_after_action: 10m
  verification_window: 5m
  rollback_if_failed: false
  action: reboot-cluster
  escalation_channel: log
  scope: {namespaces: [shop]}
";
    std::fs::write(dir.path().join("policies.yaml"), policy).expect("written");
    let path = dir.path().join("config.yaml");
    let text =
        format!("mode: execute\npolicies: policies.yaml\nkubernetes: {{}}\nchannels: {{log: {{type: log}}}}\n{GOOD}");
    std::fs::write(&path, text).expect("written");
    let problems = load(&path).expect_err("a problem");
    assert!(
        problems.iter().any(|problem| problem.message.contains("unknown action \"reboot-cluster\"")),
        "{problems:?}"
    );
    let policy = policy.replace("  action: reboot-cluster\n", "");
    std::fs::write(dir.path().join("policies.yaml"), policy).expect("written");
    let loaded = load(&path).expect("a bad deployment is undone by default");
    assert_eq!(loaded.config.policies[0].action.as_ref().expect("an action").name.as_str(), "rollout-undo");
}

#[test]
fn the_example_that_ships_is_right() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/homeostat.example.yaml");
    let loaded = load(&example).expect("the example config");
    assert_eq!(loaded.config.mode, Mode::Observe);
    assert!(!loaded.config.policies.is_empty());
}

#[test]
fn no_part_of_a_url_is_repeated_in_a_problem() {
    for url in
        ["me:hunter2@prometheus:9090", "ftp://me:hunter2@prometheus", "http://me:hunter2@/x", "http://h?token=hunter2"]
    {
        let problems = load_text(&GOOD.replace("http://127.0.0.1:9090", url)).expect_err(url);
        assert!(problems[0].contains("datasources[0].url"), "{problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("hunter2")), "{problems:?}");
    }
}

#[test]
fn probes_may_listen_apart_on_any_address() {
    assert_eq!(load_text(GOOD).expect("a config").probe_address, None);
    let config = load_text(&format!("{GOOD}server: {{listen_address: 'localhost:9480', probe_address: ':9481'}}\n"));
    let config = config.expect("a config");
    assert_eq!(config.listen_address.to_string(), "127.0.0.1:9480");
    assert_eq!(config.probe_address.map(|address| address.to_string()).as_deref(), Some(":9481"));
}

#[test]
fn who_asks_prometheus_is_told_as_prometheus_itself_is_told_and_never_shown() {
    let of =
        |more: &str| load_text(&GOOD.replace("http://127.0.0.1:9090", &format!("http://127.0.0.1:9090\n    {more}")));
    let config = of("authorization: {credentials_file: token}").expect("a config");
    assert!(format!("{:?}", config.source.authorization).contains("token"), "{:?}", config.source.authorization);
    let config =
        of("basic_auth: {username: me, password: hunter2}\n    tls_config: {ca_file: ca.pem}").expect("a config");
    assert!(config.source.ca_file.is_some_and(|path| path.ends_with("ca.pem")));
    assert!(!format!("{:?}", config.source.authorization).contains("hunter2"));
    for (wrong, part) in [
        ("authorization: {credentials: a, credentials_file: b}", "leave one of them out"),
        ("authorization: {}", "datasources[0].authorization.credentials_file is missing"),
        ("basic_auth: {password: hunter2}", "datasources[0].basic_auth.username is missing"),
        ("authorization: {credentials: a}\n    basic_auth: {username: u, password: hunter2}", "only one of them"),
    ] {
        let problems = of(wrong).expect_err(wrong);
        assert!(problems.iter().any(|problem| problem.contains(part)), "{wrong}: {problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("hunter2")), "{problems:?}");
    }
}

#[test]
fn a_policy_for_bad_deployments_that_can_never_hold_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy =
        "remediation_policy: {incident_type: bad-deployment, auto_execute: false, confidence_threshold: 0.9}\n";
    std::fs::write(dir.path().join("policies.yml"), policy).expect("written");
    let load_with = |more: &str| {
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, format!("{GOOD}policies: [policies.yml]\n{more}")).expect("written");
        load(&path).expect("a config")
    };
    let silent = load_with("");
    assert!(silent.warnings.iter().any(|warning| warning.contains("no incident is called bad-deployment")));
    for more in ["rollouts: {enabled: true}\n", "rollouts: {expr: rolled_out_at}\n", "preset: kubernetes-workload\n"] {
        let loaded = load_with(more);
        assert!(loaded.config.rollouts.is_some(), "{more}");
        assert!(!loaded.warnings.iter().any(|warning| warning.contains("bad-deployment:")), "{:?}", loaded.warnings);
    }
    let of_sets = load_with("rollouts: {enabled: true}\nsubjects: {kind: stateful-set}\n").config.rollouts;
    assert!(of_sets.is_some_and(|expr| expr.contains("kube_statefulset_status_update_revision")));
    let external = load_text(&format!("{GOOD}rollouts: {{enabled: true}}\nsubjects: {{kind: external}}\n"));
    assert!(external.is_err_and(|problems| problems[0].contains("set expr")));
}

#[test]
fn keys_and_values_of_queries_under_their_old_names_are_read_with_a_warning() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config.yaml");
    let old = "  kills: {expr: k, across: sum, absent: zero}\n  cpu: {expr: c, absent: hole}\n";
    std::fs::write(&path, format!("{GOOD}{old}")).expect("written");
    let loaded = load(&path).expect("a config");
    let query = |name: &str| loaded.config.queries.queries().iter().find(|query| query.name == name).expect("a query");
    let (kills, cpu) = (query("kills"), query("cpu"));
    assert_eq!((kills.aggregation, kills.on_missing), (Aggregation::Sum, OnMissing::Zero));
    assert_eq!(cpu.on_missing, OnMissing::Gap);
    let warned = |part: &str| loaded.warnings.iter().filter(|warning| warning.contains(part)).count();
    assert_eq!(warned("across is now called aggregation"), 1, "{:?}", loaded.warnings);
    assert_eq!(warned("absent is now called on_missing"), 2, "{:?}", loaded.warnings);
    assert_eq!(warned("hole is now called gap"), 1, "{:?}", loaded.warnings);
}

#[test]
fn an_unknown_time_zone_and_a_time_that_ends_before_it_starts_are_told_with_their_place() {
    let problems = load_text(&format!("{GOOD}global:\n  timezone: Europe/Berlim\n")).expect_err("no zone");
    assert!(
        problems[0].starts_with("7:") && problems[0].contains("global.timezone: unknown time zone"),
        "{problems:?}"
    );
    assert!(problems[0].ends_with("did you mean Europe/Berlin?"), "{problems:?}");
    let exclude = |text: &str| load_text(&format!("{GOOD}global:\n  exclude: [{{{text}}}]\n"));
    let problems =
        exclude("from: 2026-11-03T12:00:00Z, to: 2026-11-03T10:00:00Z").expect_err("it ends before it starts");
    assert!(problems[0].contains("global.exclude[0].to: must be after from"), "{problems:?}");
    let problems = exclude("from: 2026-11-03T12:00:00Z").expect_err("no end");
    assert!(problems[0].contains("global.exclude[0]"), "{problems:?}");
    let config = exclude("from: 2026-11-03T10:00:00Z, to: 2026-11-03T12:00:00Z, workloads: [cart]").expect("a config");
    let found = &config.detection.exclude[0];
    assert_eq!((found.reason.as_str(), found.scope().as_str()), ("global.exclude", "cart of every namespace"));
}

#[test]
fn holidays_are_dates_that_are_like_a_weekday_and_a_wrong_one_is_told_with_its_place() {
    let holidays = |text: &str| load_text(&format!("{GOOD}global:\n  holidays: [{text}]\n"));
    let config = holidays("{dates: [2027-01-01, 2026-12-25]}, {dates: 2026-12-24, like: saturday}").expect("a config");
    let read: Vec<String> = config.detection.timezone.local_time.holidays().iter().map(ToString::to_string).collect();
    assert_eq!(read, ["2026-12-24 like saturday", "2026-12-25 like sunday", "2027-01-01 like sunday"]);
    for (text, why) in [
        ("{dates: [2026-02-30]}", "global.holidays[0].dates: invalid date \"2026-02-30\""),
        ("{dates: [2026-12-25], like: funday}", "global.holidays[0].like: unknown weekday \"funday\""),
        ("{dates: [2026-12-25]}, {dates: [2026-12-25], like: monday}", "[1].dates: 2026-12-25 is named twice"),
        ("{like: sunday}", "global.holidays[0]"),
    ] {
        let problems = holidays(text).expect_err("no holiday");
        assert!(problems[0].starts_with("7:") && problems[0].contains(why), "{text}: {problems:?}");
    }
}

#[test]
fn a_leader_is_elected_only_over_a_journal_that_all_replicas_share_and_with_time_to_write() {
    let with = |text: &str| load_text(&format!("{GOOD}{text}"));
    let shared = "kubernetes: {timeout: 10s}\nstorage: {journal: kubernetes}\n";
    let config = with(&format!("{shared}leader_election: {{enabled: true}}\n")).expect("a config");
    let elected = config.leader_election.expect("elected");
    assert_eq!(elected.times, homeostat_journal::LeaseTimes::default());
    assert_eq!(
        with(&format!("{shared}leader_election: {{enabled: false}}\n")).expect("a config").leader_election,
        None
    );
    for (text, why) in [
        ("kubernetes: {}\nleader_election: {enabled: true}\n".to_owned(), "knows nothing of"),
        ("storage: {journal: kubernetes}\n".to_owned(), "kubernetes: {}"),
        ("storage: {journal: paper}\n".to_owned(), "use sqlite or kubernetes"),
        (format!("{shared}leader_election: {{enabled: true, renew_deadline: 15s}}\n"), "shorter than lease_duration"),
        (format!("{shared}leader_election: {{enabled: true, retry_period: 9s}}\n"), "shorter than renew_deadline"),
        (format!("{shared}leader_election: {{enabled: true, lease_duration: 10500ms}}\n"), "whole seconds"),
        (
            "kubernetes: {timeout: 1m}\nstorage: {journal: kubernetes}\nleader_election: {enabled: true}\n".to_owned(),
            "shorten kubernetes.timeout",
        ),
    ] {
        let problems = with(&text).expect_err(&text);
        assert!(problems.iter().any(|problem| problem.contains(why)), "{text}: {problems:?}");
    }
}
