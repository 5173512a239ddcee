use homeostat_core::Timestamp;
use homeostat_remediate::{Owner, TemplateChange, load_policies};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const MANIFEST: &str = "kind: Deployment\nmetadata: {name: cart}\nspec:\n  replicas: 3\n  template:\n    spec:\n      containers:\n        - name: cart\n          image: cart:2 # released on Friday\n";

fn seen() -> Inspected {
    let containers = |tag: &str| json!([{ "name": "cart", "image": format!("cart:{tag}") }]);
    let change = |tag: &str| json!({ "spec": { "containers": containers(tag) } });
    let mut seen = Inspected::at_rest("u", WorkloadKind::Deployment, NOW);
    seen.manifest = json!({ "metadata": { "name": "cart" }, "spec": { "replicas": 3, "template": change("2") } });
    let change = TemplateChange { to: change("1"), back: change("2") };
    seen.revision_previous = Known::Is(PreviousRevision { revision: "1".into(), change: Some(change) });
    seen.owner = Some(Owner { name: "Flux".into(), seen_by: "a label".into() });
    let (commit, mode, blob) = ("c0".to_owned(), "100644".to_owned(), "b0".to_owned());
    seen.git_file = Known::Is(GitFile { commit, mode, blob, text: MANIFEST.to_owned() });
    seen
}

fn args(more: &str) -> Result<Args, String> {
    let with = format!("{{remote: 'https://git.example/shop.git', file: apps/cart.yaml, {more}}}");
    let text = format!(
        "remediation_policy: {{incident_type: latency, auto_execute: true, confidence_threshold: 0.9, action: git-change, \
         with: {with}, scope: {{namespaces: [shop]}}}}"
    );
    match load_policies(&text, "/p.yaml", &crate::actions()) {
        Ok(policies) => Ok(policies[0].action.clone().unwrap().args),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

fn step(more: &str, seen: &Inspected) -> Result<Step, String> {
    let args = args(more).unwrap();
    let step = GitChange.step(&Ask { args: &args, now: NOW, trouble_at: &[] }, seen);
    step.map(|(step, _)| step).map_err(|objection| objection.code.into_owned())
}

const IMAGE: &str = "field: 'spec.template.spec.containers[cart].image'";

#[test]
fn an_image_goes_back_to_the_previous_revisions_and_the_line_is_shown() {
    let step = step(IMAGE, &seen()).unwrap();
    assert_eq!((step.args.text("from"), step.args.text("to")), (Some("cart:2"), Some("cart:1")));
    assert_eq!(step.args.text("line_after"), Some("          image: cart:1 # released on Friday"));
    assert_eq!(step.args.count("line"), Some(9));
}

#[test]
fn where_a_change_in_git_would_not_arrive_or_is_there_already_none_is_proposed() {
    let unowned = Inspected { owner: None, ..seen() };
    assert_eq!(step(IMAGE, &unowned).unwrap_err(), "not-gitops-managed");
    let unread = Inspected { git_file: Known::NotVisible { why: "no route".into() }, ..seen() };
    assert_eq!(step(IMAGE, &unread).unwrap_err(), "git-not-readable");
    assert_eq!(step("field: spec.replicas, value: 3", &seen()).unwrap_err(), "already-in-git");
    assert_eq!(step("field: spec.paused, value: true", &seen()).unwrap_err(), "git-file-unsuitable");
    let first = Inspected { revision_previous: Known::NotApplicable, ..seen() };
    assert_eq!(step(IMAGE, &first).unwrap_err(), "no-previous-revision");
    assert_eq!(step("field: spec.replicas, value: 5", &first).unwrap().args.get("to"), Some(&json!(5)));
}

#[test]
fn what_git_or_a_shell_would_read_as_something_else_is_refused_in_a_policy() {
    for (more, part) in [
        ("field: spec.replicas", "value"),
        ("field: spec..replicas, value: 1", "field"),
        ("field: spec.replicas, value: [1]", "one value"),
        ("field: spec.replicas, value: 1, branch: --mirror", "branch"),
        ("field: spec.replicas, value: 1, program: git", "whole path"),
        ("field: spec.replicas, value: 1, credentials_file: '/a$(b)'", "credentials_file"),
        ("field: spec.replicas, value: 1, pull_request: {github: 'https://x/repos/a/b'}", "token_file"),
        ("field: spec.replicas, value: 1, pull_request: {token_file: /t}", "github"),
    ] {
        let problems = args(more).unwrap_err();
        assert!(problems.contains(part), "{more}: {problems}");
    }
    for url in ["ext::sh -c x", "http://git/x", "https://user:pw@git/x", "-u", "git@host:x", "https://a b"] {
        assert!(remote(url).is_err(), "{url}");
    }
    for url in ["https://git.example/a.git", "ssh://git@git.example/a.git", "/srv/git/a.git"] {
        assert_eq!(remote(url).as_deref(), Ok(url));
    }
    assert!(["../x", "/etc/x", ".git/../../x", "-x", ""].into_iter().all(|path| file(path).is_err()));
}
