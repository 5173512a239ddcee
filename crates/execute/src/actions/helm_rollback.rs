//! `helm-rollback`: takes a workload's Helm release back to the newest revision that is known to have been good.
//!
//! Not to the one before: after a row of failed upgrades that one is broken, too. What shows that a revision was good is in [`judge`].

use std::time::Duration;

use homeostat_core::{Timestamp, WorkloadKind, format_duration};
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Inspected, Inverse, Known, Objection, PayloadError, Plan, Policy,
    Reader, Recovery, Release, ReleaseRevision, Repeat, Right, Step, WorksWhile,
};
use serde_json::json;

use super::workload_rights;
use crate::effect::{ClusterAction, ClusterWrite};
use crate::helm;
use crate::outside;
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("helm-rollback");

/// What breaks by a release mostly shows within minutes; what shows only after an hour is a leak, which a restart cures.
const GOOD_AFTER_DEFAULT: Duration = Duration::from_secs(3600);
/// Shorter shows nothing at all; what is short but allowed is warned of.
const GOOD_AFTER_MIN: Duration = Duration::from_secs(1);
/// Below this a slow failure, such as one at the first full garbage collection, hasn't shown yet.
const GOOD_AFTER_USUAL_S: u32 = 600;
const GOOD_AFTER_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// An upgrade takes minutes; what is still pending after that was ended in the middle.
const PENDING_MAX: Duration = Duration::from_secs(600);

/// Where Helm's own installation script puts it.
const PROGRAM_DEFAULT: &str = "/usr/local/bin/helm";

/// The release's history, and for Helm, which acts with the same credentials, its book-keeping and the workload. What else is in the
/// chart it may have to change, too: only who deploys it knows what that is.
static RIGHTS: [Right; 10] = workload_rights::and(
    &workload_rights::CHANGE,
    &[
        Right { verb: "list", resource: "secrets", group: "" },
        Right { verb: "get", resource: "secrets", group: "" },
        Right { verb: "create", resource: "secrets", group: "" },
        Right { verb: "update", resource: "secrets", group: "" },
    ],
);

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[],
    // Each rollback is a new revision.
    repeat: Repeat::AtMostOnce,
    recovery: Recovery::RollOut,
    rights: &RIGHTS,
};

pub(super) struct HelmRollback;

impl Action for HelmRollback {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let good_after = with.duration_in("good_after", GOOD_AFTER_MIN..=GOOD_AFTER_MAX).unwrap_or(GOOD_AFTER_DEFAULT);
        let program = with.text("program");
        if program.as_deref().is_some_and(|program| !program.starts_with('/')) {
            with.reject("program", "must be the whole path of the program helm, such as /usr/local/bin/helm");
        }
        let program = program.unwrap_or_else(|| PROGRAM_DEFAULT.to_owned());
        Args::default()
            .with("program", program)
            .with("good_after", format_duration(good_after))
            .with("good_after_s", good_after.as_secs())
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let release = match seen.get::<Release>() {
            Known::Is(release) => release,
            Known::NotApplicable => {
                let text = "the workload is of no Helm release in its namespace: it has no annotation \
                            meta.helm.sh/release-name, or no revision of the release is kept there";
                return Err(Objection::escalate("no-helm-release", text));
            }
            Known::NotVisible { why } => {
                let text = format!("the Helm release can't be seen: {why}");
                return Err(Objection::escalate("helm-release-not-visible", text));
            }
        };
        let (current, earlier) = release.revisions.split_last().ok_or_else(|| {
            Objection::escalate("no-helm-release", "no revision of the workload's Helm release is kept")
        })?;
        if current.is_pending() {
            let text = format!(
                "revision {} of the Helm release {} is {}: Helm is at it, or was ended in the middle of it",
                current.revision, release.name, current.status
            );
            return Err(Objection::expect("helm-pending", PENDING_MAX, text).with("status", current.status.as_str()));
        }
        let good_after = Duration::from_secs(u64::from(ask.args.count("good_after_s").unwrap_or(u32::MAX)));
        let (good, why) = choose(release, current, earlier, good_after, ask.trouble_at)?;
        if good.has_rollback_hooks {
            let text = format!(
                "revision {} of the Helm release {} has hooks that run around a rollback, which may take long and change \
                 what can't be put back: roll it back by hand (helm rollback {} {})",
                good.revision, release.name, release.name, good.revision
            );
            return Err(Objection::escalate("helm-hooks", text).with("revision", good.revision));
        }
        let to = |to: u32, from: u32, why: String| Step {
            action: NAME,
            args: Args::default()
                .with("program", ask.args.text("program").unwrap_or(PROGRAM_DEFAULT))
                .with("release", release.name.as_str())
                .with("from_revision", from)
                .with("to_revision", to)
                .with("why", why),
        };
        // Going back to one that Helm itself couldn't deploy puts nothing back.
        let inverse = if current.status == "deployed" && !current.has_rollback_hooks {
            Inverse::Step(to(current.revision, current.revision + 1, "it is the revision that was left".to_owned()))
        } else {
            Inverse::Irreversible
        };
        Ok((to(good.revision, current.revision, why), inverse))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let rollback = helm::Rollback::of(plan, step).map_err(PayloadError)?;
        let for_what = outside::about(plan);
        Ok(json!({ "argv": rollback.argv(), "why": step.args.text("why"), "for": for_what }).to_string())
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let mut found = vec![
            "a Helm rollback takes everything in the release back, not only the workload with the incident".to_owned(),
        ];
        if policy.auto_execute {
            found.push(
                "a Helm rollback doesn't take back data, CRDs or what hooks did: be sure that releases go back cleanly"
                    .to_owned(),
            );
        }
        let is_short = |args: &Args| args.count("good_after_s").is_some_and(|seconds| seconds < GOOD_AFTER_USUAL_S);
        if policy.actions().any(|wanted| wanted.name == NAME && is_short(&wanted.args)) {
            found.push("good_after is below 10m: a revision can be bad and look good for that long".to_owned());
        }
        found
    }

    fn works_while(&self) -> WorksWhile {
        WorksWhile { rolling_out: true, paused: false }
    }
}

impl ClusterAction for HelmRollback {
    fn sights(&self, _: &Args) -> Vec<Sight> {
        vec![Sight::HelmRelease]
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::HelmRollback
    }
}

/// The newest good revision and what shows it, or why none of them is.
fn choose<'a>(
    release: &Release,
    current: &ReleaseRevision,
    earlier: &'a [ReleaseRevision],
    good_after: Duration,
    trouble_at: &[Timestamp],
) -> Result<(&'a ReleaseRevision, String), Objection> {
    let mut against = Vec::new();
    let mut replaced_at = current.deployed_at;
    for revision in earlier.iter().rev() {
        if revision.manifest_digest == current.manifest_digest {
            against.push(format!("revision {} is the same as the current one", revision.revision));
        } else {
            match judge(revision, replaced_at, good_after, trouble_at) {
                Ok(why) => return Ok((revision, why)),
                Err(why) => against.push(format!("revision {} {why}", revision.revision)),
            }
        }
        replaced_at = revision.deployed_at;
    }
    let against = if against.is_empty() { "there is none".to_owned() } else { against.join("; ") };
    let text = format!("no earlier revision of the Helm release {} is known to be good: {against}", release.name);
    Err(Objection::escalate("no-good-revision", text).with("release", release.name.as_str()))
}

/// Whether the revision was good: Helm deployed it, it was in place for long enough, and nothing is known to have been wrong in that time.
fn judge(
    revision: &ReleaseRevision,
    replaced_at: Option<Timestamp>,
    good_after: Duration,
    trouble_at: &[Timestamp],
) -> Result<String, String> {
    if revision.status != "superseded" && revision.status != "deployed" {
        return Err(format!("is {}", revision.status));
    }
    let (Some(from), Some(until)) = (revision.deployed_at, replaced_at) else {
        return Err("doesn't say how long it was in place".to_owned());
    };
    let lasted = until.since(from);
    if lasted < good_after {
        return Err(format!(
            "was in place for {} only (good_after: {})",
            format_duration(Duration::from_secs(lasted.as_secs())),
            format_duration(good_after)
        ));
    }
    if trouble_at.iter().any(|at| (from..until).contains(at)) {
        return Err("had an incident itself".to_owned());
    }
    let lasted = format_duration(Duration::from_secs(lasted.as_secs()));
    Ok(format!("it was {} and in place for {lasted} without an incident that homeostat acted on", revision.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    fn revision(number: u32, status: &str, at_s: i64) -> ReleaseRevision {
        ReleaseRevision {
            revision: number,
            status: status.into(),
            deployed_at: Some(at(at_s)),
            description: String::new(),
            manifest_digest: number.to_string(),
            has_rollback_hooks: false,
        }
    }

    /// Good for ten hours, a bad one for a minute, a failed one, and the current one, failed as well.
    fn history() -> Vec<ReleaseRevision> {
        vec![
            revision(1, "superseded", 0),
            revision(2, "superseded", 10 * HOUR),
            revision(3, "superseded", 20 * HOUR),
            revision(4, "failed", 20 * HOUR + 60),
            revision(5, "deployed", 20 * HOUR + 120),
        ]
    }

    fn step(revisions: Vec<ReleaseRevision>, trouble_at: &[Timestamp]) -> Result<(Step, Inverse), Objection> {
        let release = Release { name: "cart".into(), namespace: "shop".into(), revisions };
        let mut seen = Inspected::at_rest("u", WorkloadKind::Deployment, at(21 * HOUR));
        seen.release = Known::Is(release);
        let args = Args::default().with("program", "/bin/helm").with("good_after_s", 3600);
        HelmRollback.step(&Ask { args: &args, now: at(21 * HOUR), trouble_at }, &seen)
    }

    fn revision_of(step: &Step) -> Option<u32> {
        step.args.count("to_revision")
    }

    #[test]
    fn it_goes_to_the_newest_revision_that_was_good_and_says_why() {
        let (step_to, inverse) = step(history(), &[]).unwrap();
        assert_eq!(revision_of(&step_to), Some(2), "not the one before, and not the one before that");
        assert!(step_to.args.text("why").unwrap().contains("10h"), "{step_to:?}");
        assert_eq!(inverse.step().and_then(revision_of), Some(5));
        let (step_to, _) = step(history(), &[at(15 * HOUR)]).unwrap();
        assert_eq!(revision_of(&step_to), Some(1), "an incident in the second one's time");
    }

    #[test]
    fn a_revision_that_is_the_current_one_again_is_no_way_back() {
        let mut revisions = history();
        revisions[1].manifest_digest = "5".into();
        assert_eq!(revision_of(&step(revisions, &[]).unwrap().0), Some(1));
    }

    #[test]
    fn what_left_a_failed_revision_is_not_taken_back_to_it() {
        let mut revisions = history();
        revisions[4].status = "failed".into();
        assert_eq!(step(revisions, &[]).unwrap().1, Inverse::Irreversible);
    }

    #[test]
    fn without_a_good_revision_every_one_is_named_with_what_speaks_against_it() {
        let refused = step(history(), &[at(5 * HOUR), at(15 * HOUR)]).unwrap_err();
        assert_eq!(refused.code, "no-good-revision");
        for part in ["revision 4 is failed", "revision 3 was in place for 1m only", "revision 1 had an incident"] {
            assert!(refused.text.contains(part), "{part}: {}", refused.text);
        }
        let only = vec![revision(1, "deployed", 0)];
        assert_eq!(step(only, &[]).unwrap_err().code, "no-good-revision");
    }

    #[test]
    fn while_helm_is_at_it_and_around_hooks_nothing_is_done() {
        for status in ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"] {
            let mut revisions = history();
            revisions[4].status = status.into();
            let refused = step(revisions, &[]).unwrap_err();
            assert!(refused.code == "helm-pending" && refused.text.contains(status), "{}", refused.text);
        }
        let mut revisions = history();
        revisions[1].has_rollback_hooks = true;
        assert_eq!(step(revisions, &[]).unwrap_err().code, "helm-hooks");
    }
}
