//! The Helm release that a workload is of, read from the Secrets in which Helm keeps its revisions.

use std::io::Read;

use flate2::read::GzDecoder;
use homeostat_core::{Subject, Timestamp, sha256_hex};
use homeostat_remediate::{InspectError, Known, Release, ReleaseRevision};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::api::ApiServer;
use super::inspect_error::inspect_error;
use super::object;

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

/// The kept revisions of the release of this name.
pub(super) async fn revisions(api: &ApiServer, subject: &Subject, name: &str) -> Result<Known<Release>, InspectError> {
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
