//! The command `helm rollback` of a plan: its arguments, and how its trace is recognised among the release's revisions. Pure.

use homeostat_core::format_duration;
use homeostat_remediate::{Plan, Release, ReleaseRevision, Step};

/// Detection waits for it. It only writes, and doesn't wait for pods.
#[cfg(feature = "kubernetes")]
pub(crate) const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
/// Helm's own limit is shorter, so that it ends by itself and leaves no release pending.
const HELM_LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

/// A rollback as a step says it.
pub(crate) struct Rollback<'a> {
    program: &'a str,
    pub(crate) release: &'a str,
    namespace: &'a str,
    from: u32,
    to: u32,
}

/// What the release's revisions say of a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// The release is at the revision that it was to leave.
    NotDone,
    /// Helm is at it, or was ended in the middle of it.
    Pending,
    /// It was done.
    Done,
    /// Helm did it and says that it failed; some of it may be in place.
    Failed,
    /// The release has gone another way.
    Otherwise,
}

impl<'a> Rollback<'a> {
    pub(crate) fn of(plan: &'a Plan, step: &'a Step) -> Result<Self, String> {
        let text = |name: &str| step.args.text(name).ok_or_else(|| format!("it doesn't say its {name}"));
        let number = |name: &str| step.args.count(name).ok_or_else(|| format!("it doesn't say its {name}"));
        let release = text("release")?;
        // One that begins with a dash would be an option.
        let is_name =
            release.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte));
        if !is_name || release.starts_with('-') || release.is_empty() {
            return Err(format!("{release:?} can't be the name of a Helm release"));
        }
        let (from, to) = (number("from_revision")?, number("to_revision")?);
        let namespace = &plan.target.subject.namespace;
        Ok(Self { program: text("program")?, release, namespace, from, to })
    }

    /// The program and its arguments. Old revisions are kept: taking them away is not this action's business.
    pub(crate) fn argv(&self) -> Vec<String> {
        let (to, limit) = (self.to.to_string(), format_duration(HELM_LIMIT));
        let rollback = [self.program, "rollback", self.release, to.as_str(), "--namespace", self.namespace];
        let options = ["--history-max", "0", "--timeout", limit.as_str()];
        rollback.into_iter().chain(options).map(str::to_owned).collect()
    }

    /// What became of it. Helm names the revision that it went back to; whoever else goes back to the same one from the same one has
    /// done the same.
    pub(crate) fn trace(&self, release: Option<&Release>) -> Trace {
        let Some(newest) = release.and_then(|release| release.revisions.last()) else { return Trace::Otherwise };
        if newest.revision == self.from {
            return Trace::NotDone;
        }
        if newest.revision != self.from + 1 || !self.is_of_rollback(newest) {
            return Trace::Otherwise;
        }
        match newest.status.as_str() {
            "deployed" => Trace::Done,
            "failed" => Trace::Failed,
            _ if newest.is_pending() => Trace::Pending,
            _ => Trace::Otherwise,
        }
    }

    fn is_of_rollback(&self, revision: &ReleaseRevision) -> bool {
        revision.description == format!("Rollback to {}", self.to)
            || (revision.status == "failed" && revision.description.starts_with("Rollback "))
    }
}
