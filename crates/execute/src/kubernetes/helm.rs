//! Helm releases: reading their revisions from the Secrets in which Helm keeps them, and letting Helm roll one back.

use std::io::Read;

use flate2::read::GzDecoder;
use homeostat_core::{Subject, Timestamp, sha256_hex};
use homeostat_remediate::{InspectError, Known, Plan, Progress, Release, ReleaseRevision, Step};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::api::ApiServer;
use super::inspect_error::inspect_error;
use super::{inspect, object};
use crate::child::{Child, Ended, Program};
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::helm::{LIMIT, Rollback, Trace};
use crate::outside;

const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// A Secret holds a megabyte at most, and manifests compress to a tenth; a small one that unpacks to gigabytes is an attack.
const RELEASE_BYTES_MAX: u64 = 32 << 20;

/// The release that a workload says it is of, with its kept revisions.
pub(super) async fn release(
    api: &ApiServer,
    subject: &Subject,
    workload: &Value,
    wanted: bool,
) -> Result<Known<Release>, InspectError> {
    if !wanted {
        return Ok(Known::NotVisible { why: "nobody looked".to_owned() });
    }
    let annotation = |key: &str| workload["metadata"]["annotations"][key].as_str();
    let Some(name) = annotation(RELEASE_NAME).filter(|name| object::is_name(name)) else {
        return Ok(Known::NotApplicable);
    };
    // Rights are for the target's namespace.
    if annotation(RELEASE_NAMESPACE).is_some_and(|namespace| namespace != subject.namespace) {
        return Ok(Known::NotApplicable);
    }
    revisions(api, subject, name).await
}

async fn revisions(api: &ApiServer, subject: &Subject, name: &str) -> Result<Known<Release>, InspectError> {
    let params = ListParams::default().labels(&format!("owner=helm,name={name}"));
    let listed = api.list(|client| Api::<Secret>::namespaced(client, &subject.namespace), params).await;
    let secrets = match listed.map_err(|error| inspect_error(error, subject, "list", "secrets")) {
        Ok(secrets) => secrets,
        Err(error @ InspectError::Forbidden { .. }) => return Ok(Known::NotVisible { why: error.to_string() }),
        Err(error) => return Err(error),
    };
    let mut revisions = Vec::new();
    for secret in &secrets {
        match revision(secret) {
            Ok(revision) => revisions.push(revision),
            Err(why) => {
                let secret = secret.metadata.name.as_deref().unwrap_or_default();
                return Ok(Known::NotVisible { why: format!("the Secret {secret} holds no release: {why}") });
            }
        }
    }
    revisions.sort_by_key(|revision| revision.revision);
    let namespace = subject.namespace.clone();
    Ok(Known::seen((!revisions.is_empty()).then(|| Release { name: name.to_owned(), namespace, revisions })))
}

/// Reads a kept revision: base64 of a gzipped JSON document, or of the bare one, as Helm's first versions wrote it.
fn revision(secret: &Secret) -> Result<ReleaseRevision, String> {
    let text = secret.data.as_ref().and_then(|data| data.get("release")).ok_or("it has no key release")?;
    let text = std::str::from_utf8(&text.0).map_err(|_| "it isn't base64")?;
    // The API's own type reads base64.
    let ByteString(packed) = serde_json::from_value(json!(text)).map_err(|_| "it isn't base64")?;
    let mut bytes = Vec::new();
    if packed.starts_with(&[0x1f, 0x8b, 0x08]) {
        let unpacked = GzDecoder::new(packed.as_slice()).take(RELEASE_BYTES_MAX + 1).read_to_end(&mut bytes);
        let n_bytes = unpacked.map_err(|error| format!("it can't be unpacked: {error}"))?;
        if n_bytes as u64 > RELEASE_BYTES_MAX {
            return Err(format!("it is larger than {RELEASE_BYTES_MAX} bytes"));
        }
    } else {
        bytes = packed;
    }
    let release: Value = serde_json::from_slice(&bytes).map_err(|_| "it isn't JSON")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let info = &release["info"];
    let revision = release["version"].as_u64().and_then(|number| u32::try_from(number).ok());
    let deployed_at = serde_json::from_value::<Time>(info["last_deployed"].clone()).ok();
    let mut events = release["hooks"].as_array().into_iter().flatten().flat_map(|hook| hook["events"].as_array());
    let is_of_rollback = |event: &Value| matches!(event.as_str(), Some("pre-rollback" | "post-rollback"));
    Ok(ReleaseRevision {
        revision: revision.ok_or("it has no number")?,
        status: info["status"].as_str().ok_or("it has no status")?.to_owned(),
        deployed_at: deployed_at.map(|time| Timestamp::from_millis(time.0.as_millisecond())),
        description: text(&info["description"]),
        manifest_digest: sha256_hex(&[text(&release["manifest"]).as_bytes()]),
        has_rollback_hooks: events.any(|events| events.iter().any(is_of_rollback)),
    })
}

fn rollback<'a>(plan: &'a Plan, step: &'a Step) -> Result<Rollback<'a>, ApplyError> {
    Rollback::of(plan, step).map_err(|why| ApplyError::Rejected { why })
}

/// What became of a step of the plan.
async fn trace(api: &ApiServer, plan: &Plan, step: &Step) -> Result<Trace, InspectError> {
    let rollback = Rollback::of(plan, step).map_err(|why| InspectError::NotConfigured { why })?;
    let subject = &plan.target.subject;
    inspect::check_subject(subject)?;
    match revisions(api, subject, rollback.release).await? {
        Known::Is(release) => Ok(rollback.trace(Some(&release))),
        Known::NotApplicable => Ok(rollback.trace(None)),
        Known::NotVisible { why } => Err(InspectError::NotConfigured { why }),
    }
}

/// What became of the plan's rollback.
pub(super) async fn outcome_of_write(api: &ApiServer, plan: &Plan) -> Result<WriteOutcome, InspectError> {
    match trace(api, plan, &plan.step).await? {
        Trace::NotDone => Ok(WriteOutcome::NotApplied),
        Trace::Done | Trace::Failed => Ok(WriteOutcome::AppliedByUs),
        // Helm may still be running, also when homeostat was ended: its program isn't.
        Trace::Pending => Err(InspectError::Unavailable { why: "the Helm release is pending-rollback".to_owned() }),
        Trace::Otherwise => Ok(WriteOutcome::ChangedByOther),
    }
}

/// Whether the release and the program are there as planned.
pub(super) async fn dry_run(api: &ApiServer, plan: &Plan) -> Result<(), ApplyError> {
    program(api, &rollback(plan, &plan.step)?).check().map_err(|why| ApplyError::Rejected { why })?;
    match before(api, plan, &plan.step).await? {
        Trace::NotDone => Ok(()),
        Trace::Done | Trace::Failed | Trace::Pending | Trace::Otherwise => Err(stale()),
    }
}

/// Rolls back, once.
pub(super) async fn apply(api: &ApiServer, plan: &Plan) -> Result<Applied, ApplyError> {
    run(api, plan, &plan.step).await
}

/// Rolls back to the revision that was left, only while the release is as the plan left it.
pub(super) async fn undo(api: &ApiServer, plan: &Plan, inverse: &Step) -> Result<Applied, ApplyError> {
    run(api, plan, inverse).await
}

async fn run(api: &ApiServer, plan: &Plan, step: &Step) -> Result<Applied, ApplyError> {
    let rollback = rollback(plan, step)?;
    let program = program(api, &rollback);
    is_still_the_target(api, plan).await?;
    match before(api, plan, step).await? {
        Trace::NotDone => {}
        Trace::Done => return Ok(outside::done()),
        Trace::Failed | Trace::Otherwise => return Err(stale()),
        Trace::Pending => return Err(ApplyError::Unknown { why: "the Helm release is pending-rollback".to_owned() }),
    }
    let child = Child::start(&program).map_err(|why| ApplyError::Rejected { why })?;
    let ended = child.end(LIMIT).await;
    match ended {
        Ended { code: Some(0), .. } => Ok(outside::done()),
        Ended { code, output } => {
            let code = code.map_or_else(|| "nothing: it was killed".to_owned(), |code| code.to_string());
            let why = format!("helm rollback ended with {code}: {output}");
            // Its history says whether it had begun.
            match trace(api, plan, step).await {
                Ok(Trace::NotDone) => Err(ApplyError::Rejected { why }),
                Ok(_) | Err(_) => Err(ApplyError::Unknown { why }),
            }
        }
    }
}

/// Helm asks for no UID: whether the workload is the one that was decided on is looked at just before.
async fn is_still_the_target(api: &ApiServer, plan: &Plan) -> Result<(), ApplyError> {
    let stale = |why: &str| ApplyError::Stale { why: why.to_owned() };
    match inspect::workload_of(api, &plan.target.subject).await {
        Ok(workload) if workload.metadata.uid.as_deref() == Some(plan.target.uid.as_str()) => Ok(()),
        Ok(_) => Err(stale("another object has its name")),
        Err(InspectError::NotFound { .. }) => Err(stale("it is gone")),
        Err(error) => Err(ApplyError::NotNow { why: error.to_string() }),
    }
}

/// The trace of a step before it is done; that it can't be seen means that nothing was sent.
async fn before(api: &ApiServer, plan: &Plan, step: &Step) -> Result<Trace, ApplyError> {
    trace(api, plan, step).await.map_err(|error| ApplyError::NotNow { why: error.to_string() })
}

fn stale() -> ApplyError {
    ApplyError::Stale { why: "the Helm release isn't at the revision that was decided on any more".to_owned() }
}

/// Helm with the same cluster and credentials as homeostat, and nothing else of its environment.
fn program(api: &ApiServer, rollback: &Rollback<'_>) -> Program {
    let mut environment =
        vec![("HELM_DRIVER".to_owned(), "secret".to_owned()), ("HELM_NO_PLUGINS".to_owned(), "1".to_owned())];
    environment.extend(api.environment());
    Program { argv: rollback.argv(), environment, limit: LIMIT }
}

/// How far the rollout has come that the rollback began.
pub(super) async fn progress(api: &ApiServer, plan: &Plan) -> Result<Progress, InspectError> {
    let subject = &plan.target.subject;
    let workload = match inspect::workload_of(api, subject).await {
        Ok(workload) => workload,
        Err(InspectError::NotFound { .. }) => return Ok(Progress::Gone),
        Err(error) => return Err(error),
    };
    let (is_in_effect, failed) = match trace(api, plan, &plan.step).await? {
        Trace::Done | Trace::Pending => (true, false),
        Trace::Failed => (true, true),
        Trace::NotDone | Trace::Otherwise => (false, false),
    };
    Ok(match inspect::progress(&workload, plan, is_in_effect) {
        Progress::Rolling { .. } | Progress::Complete { .. } if failed => {
            Progress::Failed { why: "Helm says that the rollback failed".to_owned() }
        }
        progress => progress,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn secret(release: &[u8]) -> Secret {
        let twice = serde_json::to_value(ByteString(release.to_vec())).unwrap();
        let data = json!({ "release": ByteString(twice.as_str().unwrap().as_bytes().to_vec()) });
        serde_json::from_value(json!({ "metadata": { "name": "sh.helm.release.v1.cart.v3" }, "data": data })).unwrap()
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_revision_is_read_as_helm_writes_it_and_its_secrets_stay_out() {
        let release = json!({ "name": "cart", "version": 3, "manifest": "kind: Secret\npassword: hunter2\n",
            "info": { "status": "superseded", "description": "Upgrade complete",
                "last_deployed": "2026-01-31T14:00:00.123456789+02:00" },
            "hooks": [{ "name": "x", "events": ["post-install", "pre-rollback"] }], "config": { "password": "hunter2" } })
        .to_string();
        let revision = revision(&secret(&gzipped(release.as_bytes()))).unwrap();
        assert_eq!(revision.deployed_at.unwrap().to_string(), "2026-01-31T12:00:00.123Z");
        assert!(revision.revision == 3 && revision.status == "superseded" && revision.has_rollback_hooks);
        assert!(!format!("{revision:?}").contains("hunter2"));
        assert_eq!(super::revision(&secret(release.as_bytes())).unwrap(), revision, "not packed");
    }

    #[test]
    fn what_is_no_release_is_an_error_and_one_that_never_ends_is_not_read() {
        for bytes in [&b"{"[..], b"{}", &gzipped(b"no json"), &[0x1f, 0x8b, 0x08, 0, 1]] {
            assert!(revision(&secret(bytes)).is_err(), "{bytes:?}");
        }
        let bomb = gzipped(&vec![b' '; 40 << 20]);
        assert!(bomb.len() < 1 << 20, "it fits into a Secret");
        assert!(revision(&secret(&bomb)).unwrap_err().contains("larger"));
    }
}
