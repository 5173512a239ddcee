//! `git-change`: proposes a change where a GitOps controller reads it, as a branch with one commit and, if the policy says so, a pull
//! request. What a controller keeps from git would be put back if it were changed in the cluster.

use std::path::Path;
use std::time::Duration;

use homeostat_core::{WorkloadKind, format_duration};
use homeostat_http::SecretUrl;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, FieldPath, GitFile, Inspected, Inverse, Known, Objection,
    PayloadError, Plan, Policy, PreviousRevision, Reader, Recovery, Repeat, Right, Step, WorksWhile, edit_manifest,
    read_json,
};
use serde_json::{Value, json};

use super::workload_rights;
use crate::effect::{ClusterAction, ClusterWrite};
use crate::forge::Forge;
use crate::git;
use crate::git_proposal::Proposal;
use crate::merge_patch;
use crate::outside;
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("git-change");

/// Looking has ten seconds in all.
const TIMEOUT_MAX: Duration = Duration::from_secs(9);
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

static RIGHTS: [Right; 5] = workload_rights::and(
    &workload_rights::LOOK,
    &[
        Right { verb: "list", resource: "replicasets", group: "apps" },
        Right { verb: "list", resource: "controllerrevisions", group: "apps" },
    ],
);

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[],
    // The branch has the plan's name: one that is there already isn't pushed again.
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &RIGHTS,
};

pub(super) struct GitChange;

impl Action for GitChange {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let remote = with.parsed_by("remote", remote);
        with.require_such_as("remote", remote.as_ref(), "https://git.example/shop.git");
        let branch = with.parsed_by("branch", branch).unwrap_or_else(|| "main".to_owned());
        let file = with.parsed_by("file", file);
        with.require_such_as("file", file.as_ref(), "apps/cart/deployment.yaml");
        let field = with.parsed_by("field", |text| text.parse::<FieldPath>());
        with.require_such_as("field", field.as_ref(), "spec.template.spec.containers[cart].image");
        let value = read_json(with, "value");
        if value.as_ref().is_some_and(|value| value.is_object() || value.is_array() || value.is_null()) {
            with.reject("value", "must be one value: a text, a number, true or false");
        }
        let is_in_template = field.as_ref().is_some_and(|field| field.to_string().starts_with("spec.template."));
        if value.is_none() && field.is_some() && !is_in_template && !with.has("value") {
            with.require_such_as("value", None::<()>, "5");
        }
        let timeout = with.duration_in("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(git::TIMEOUT_DEFAULT);
        let program = with.text("program").unwrap_or_else(|| "/usr/bin/git".to_owned());
        if !program.starts_with('/') {
            with.reject("program", "must be the whole path of the program git, such as /usr/bin/git");
        }
        let mut args =
            Args::default().with("branch", branch).with("program", program).with("timeout", format_duration(timeout));
        for key in ["credentials_file", "ssh_key_file", "known_hosts_file"] {
            let Some(path) = outside::path(with, key) else { continue };
            if !git::is_plain_path(&path) {
                with.reject(key, "must be a whole path of letters, digits, /, ., _ and -");
            }
            args = args.with(key, path.display().to_string());
        }
        let request = with.section("pull_request", pull_request);
        args = request.flatten().into_iter().fold(args, |args, request| args.with("pull_request", request));
        let field = field.map(|field| field.to_string());
        for (name, text) in [("remote", remote), ("file", file), ("field", field)] {
            args = text.into_iter().fold(args, |args, text| args.with(name, text));
        }
        value.into_iter().fold(args, |args, value| args.with("value", value))
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let no_args = || Objection::escalate("no-arguments", "the policy doesn't say what to change in git");
        let file = match seen.get::<GitFile>() {
            Known::Is(file) => file,
            Known::NotApplicable => return Err(no_args()),
            Known::NotVisible { why } => {
                let text = format!("the file in git can't be read: {why}");
                return Err(Objection::escalate("git-not-readable", text));
            }
        };
        let Some(owner) = &seen.owner else {
            let text = "nobody keeps the target from git, as far as it shows: a change in git wouldn't arrive; change it in place";
            return Err(Objection::escalate("not-gitops-managed", text));
        };
        let field: FieldPath = ask.args.text("field").and_then(|text| text.parse().ok()).ok_or_else(no_args)?;
        let to = wanted(ask.args, &field, seen)?;
        let (kind, name) = (kind_name(seen.kind), seen.manifest["metadata"]["name"].as_str().unwrap_or_default());
        let path = ask.args.text("file").unwrap_or_default();
        let edit = edit_manifest(&file.text, kind, name, &field, &to)
            .map_err(|why| Objection::escalate("git-file-unsuitable", format!("{path} {why}")).with("file", path))?;
        if edit.before == to {
            let text = format!("{path} has {field}: {to} already: {} hasn't applied it yet", owner.name);
            return Err(Objection::escalate("already-in-git", text));
        }
        let args = ask.args.clone().with("from", edit.before).with("to", to).with("kind", kind).with("name", name);
        let args = args.with("commit", file.commit.as_str()).with("blob", file.blob.as_str());
        let args = args.with("line", edit.line).with("owner", owner.name.as_str());
        let args = args.with("line_before", edit.line_before).with("line_after", edit.line_after);
        // A proposal changes nothing by itself: whoever merges it, or doesn't, decides.
        Ok((Step { action: NAME, args }, Inverse::Nothing))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        Proposal::of(plan, step).map(|proposal| proposal.payload().to_string()).map_err(PayloadError)
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let mut found = Vec::new();
        for wanted in policy.actions().filter(|wanted| wanted.name == NAME) {
            if wanted.args.get("pull_request").is_none() {
                found.push(
                    "git-change has no pull_request: it pushes a branch, and nobody is asked to merge it".to_owned(),
                );
            }
        }
        found
    }

    fn example(&self) -> &'static str {
        "{remote: 'https://git.example/shop.git', file: apps/cart/deployment.yaml, field: spec.replicas, value: 5}"
    }

    fn disruption(&self, _: &Step, _: &Inspected) -> Disruption {
        Disruption::default()
    }

    fn works_while(&self) -> WorksWhile {
        WorksWhile { rolling_out: true, paused: true }
    }

    fn changes_in_place(&self) -> bool {
        false
    }
}

impl ClusterAction for GitChange {
    fn sights(&self, args: &Args) -> Vec<Sight> {
        vec![Sight::GitFile(args.clone())]
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::GitChange
    }
}

/// The value to write: the policy's, or that of the revision before.
fn wanted(args: &Args, field: &FieldPath, seen: &Inspected) -> Result<Value, Objection> {
    if let Some(value) = args.get("value") {
        return Ok(value.clone());
    }
    let none = |why: String| Objection::escalate("no-previous-revision", why);
    let previous = match seen.get::<PreviousRevision>() {
        Known::Is(previous) => previous,
        Known::NotApplicable => {
            return Err(none("there is no previous revision whose value it could get back".to_owned()));
        }
        Known::NotVisible { why } => return Err(none(format!("earlier revisions can't be seen: {why}"))),
    };
    let change = previous.change.as_ref();
    let change = change.ok_or_else(|| none(format!("revision {} can't be seen", previous.revision)))?;
    let template = merge_patch::merge(seen.manifest["spec"]["template"].clone(), &change.to);
    let before = json!({ "spec": { "template": template } });
    let value = field.of(&before).filter(|value| !value.is_object() && !value.is_array());
    value.cloned().ok_or_else(|| none(format!("the previous revision has no {field}")))
}

fn kind_name(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "Deployment",
        WorkloadKind::StatefulSet => "StatefulSet",
        WorkloadKind::DaemonSet => "DaemonSet",
        WorkloadKind::External => "nothing",
    }
}

/// A remote by https or ssh, or a repository on this machine. Git also knows remotes that are commands.
fn remote(text: &str) -> Result<String, String> {
    let rest = ["https://", "ssh://", "file:///"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let rest = rest.or_else(|| text.strip_prefix('/')).filter(|rest| !rest.starts_with('-') && !rest.is_empty());
    let rest = rest.ok_or("must begin with https://, ssh://, file:/// or /")?;
    let user = rest.split('/').next().and_then(|host| host.rsplit_once('@')).map(|(user, _)| user);
    if user.is_some_and(|user| user.contains(':')) || (user.is_some() && text.starts_with("https://")) {
        return Err("must not have credentials: name a file with them as credentials_file".to_owned());
    }
    if text.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
        return Err("must not have spaces in it".to_owned());
    }
    Ok(text.to_owned())
}

fn branch(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_plain) || text.starts_with(['-', '.', '/']) || text.contains("..") {
        return Err("must be the name of a branch, such as main".to_owned());
    }
    Ok(text.to_owned())
}

fn file(text: &str) -> Result<String, String> {
    let is_inside = Path::new(text).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    if text.is_empty() || !is_inside || !is_plain || text.starts_with('-') {
        return Err("must be the path of a file within the repository, such as apps/cart/deployment.yaml".to_owned());
    }
    Ok(text.to_owned())
}

fn pull_request(request: &mut Reader<'_>) -> Option<Value> {
    let urls = Forge::ALL.map(|(name, _)| {
        (name, request.parsed_by(name, |text| SecretUrl::parse(text).map(|_| text.trim_end_matches('/').to_owned())))
    });
    let token_file = outside::path(request, "token_file").map(|path| path.display().to_string());
    request.require_such_as("token_file", token_file.as_ref(), "/etc/homeostat/forge-token");
    let mut named = urls.into_iter().filter_map(|(name, url)| Some((name, url?)));
    match (named.next(), named.next()) {
        (Some((name, url)), None) => Some(json!({ name: url, "token_file": token_file? })),
        (Some(_), Some(_)) => {
            request.problem(request.place(), "github and gitlab exclude each other: name one");
            None
        }
        (None, _) => {
            if !Forge::ALL.iter().any(|(name, _)| request.has(name)) {
                request.require_such_as("github", None::<()>, "https://api.github.com/repos/shop/manifests");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests;
