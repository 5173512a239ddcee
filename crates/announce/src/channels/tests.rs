use homeostat_settings::{Findings, Problem, parse_documents};

use super::*;

fn read(text: &str) -> (Channels, Vec<Problem>) {
    let documents = parse_documents("config.yaml", text).unwrap();
    let mut problems = Findings::new();
    let mut reader = Reader::new("config.yaml", "", &documents[0], &mut problems);
    let channels = Channels::read(&mut reader);
    reader.finish();
    (channels, problems.into_problems())
}

#[test]
fn channels_are_read_and_the_default_one_is_always_there() {
    let text = "channels:\n  pager:\n    type: webhook\n    url: https://hooks.example/x\n    timeout: 500ms\n  feed: {type: log, changes: true}\n";
    let (channels, problems) = read(text);
    assert_eq!(problems, []);
    let names: Vec<_> = channels.iter().map(|(name, channel)| (name, channel.kind, channel.changes)).collect();
    assert_eq!(names, [("feed", "log", true), ("log", "log", false), ("pager", "webhook", false)]);
    let Some((_, Channel { outlet: Outlet::Deliver(pager), .. })) = channels.iter().find(|(name, _)| *name == "pager")
    else {
        panic!("a webhook delivers")
    };
    assert_eq!(pager.timeout().as_millis(), 500);
}

#[test]
fn every_problem_is_shown_with_its_place_and_no_secret() {
    let text = "channels:
  a: {type: webhook, url: 'secret-token', timeout: 2m}
  b: {type: webhok, url: https://hooks.example/}
  c: {type: pagerdutty, routing_key: secret-token}
  d: {url: https://hooks.example/secret-token}
  e: {type: webhook, url: https://hooks.example/, retries: 3, changes: maybe}
  f: {type: webhook}
  'bad name': {type: log}
  g: 5
";
    let (_, problems) = read(text);
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for expected in [
        "config.yaml:2:27: channels.a.url: must begin with http:// or https://",
        "config.yaml:2:52: channels.a.timeout: must lie between 100ms and 1m, not 2m",
        "config.yaml:3:13: channels.b.type: unknown kind of channel \"webhok\"; known are: alertmanager, log, pagerduty, slack, webhook",
        "did you mean webhook?",
        "config.yaml:4:13: channels.c.type: unknown kind of channel \"pagerdutty\"; known are: alertmanager, log, pagerduty, slack, webhook",
        "channels.d.type is missing; for instance `type: webhook`",
        "config.yaml:6:51: unknown key channels.e.retries",
        "channels.e.changes: must be true or false",
        "channels.f.url is missing",
        "channels: a channel's name is 1 to 63 letters",
        "channels.g must be keys with values, not a whole number",
    ] {
        assert!(shown.iter().any(|line| line.contains(expected)), "{expected} in\n{}", shown.join("\n"));
    }
    assert!(!shown.iter().any(|line| line.contains("secret")), "{shown:?}");
}

#[test]
fn a_policy_can_ask_for_a_channel_before_it_needs_it() {
    let (channels, _) = read("channels: {pager: {type: log}}");
    assert_eq!(channels.objection_to_escalations("pager"), None);
    assert_eq!(channels.objection_to_escalations(Channels::DEFAULT), None);
    let (mirror, _) = read("channels: {am: {type: alertmanager, url: 'http://127.0.0.1:9093'}}");
    let objection = mirror.objection_to_escalations("am").unwrap();
    assert!(objection.contains("doesn't deliver single events"), "{objection}");
    let objection = channels.objection_to_escalations("slack").unwrap();
    assert!(objection.contains("\"slack\"") && objection.contains("{type: log}"), "{objection}");
}

#[test]
fn nothing_of_a_channel_is_shown_but_its_kind() {
    let (channels, _) = read("channels: {pager: {type: webhook, url: 'https://hooks.example/s3cret'}}");
    let shown = format!("{channels:?}");
    assert!(shown.contains("webhook") && !shown.contains("s3cret") && !shown.contains("hooks"), "{shown}");
}
