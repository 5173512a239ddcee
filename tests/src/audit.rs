//! What the API server wrote down about each request: who changed what.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// The policy: every change by anyone, and what anyone but the control plane itself reads.
pub(crate) const POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    verbs: [create, update, patch, delete, deletecollection]
  - level: None
    users: ["system:kube-controller-manager", "system:kube-scheduler", "system:apiserver", "kwok"]
  - level: None
    userGroups: ["system:serviceaccounts:kube-system"]
  - level: Metadata
"#;

/// One finished request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Who asked: `admin`, or `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// The client's user agent.
    pub agent: String,
    /// The plural resource, such as `deployments`; empty for paths like `/readyz`.
    pub resource: String,
    /// `status`, `scale`, `eviction` and the like; empty for the resource itself.
    pub subresource: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The namespace; empty where there is none.
    pub namespace: String,
    /// The object's name; empty for lists, and for a create that leaves the name to the server.
    pub name: String,
    /// The HTTP status the request was answered with.
    pub code: u16,
    /// The path with its query.
    pub uri: String,
}

impl AuditEvent {
    /// Whether the request changed something: a changing verb, not a dry run, accepted, and not one of the
    /// reviews (such as `SelfSubjectAccessReview`) which are questions in the form of a create.
    #[must_use]
    pub fn is_change(&self) -> bool {
        let verb = matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        let question = matches!(self.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io");
        verb && !question && !self.uri.contains("dryRun=All") && (200..300).contains(&self.code)
    }

    fn from_line(line: &str) -> Result<Option<Self>> {
        let event: Value = serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
        // A watch is written at its start too; it counts once, when it ends.
        if !matches!(event["stage"].as_str(), Some("ResponseComplete" | "Panic")) {
            return Ok(None);
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &event["objectRef"];
        Ok(Some(Self {
            verb: text(&event["verb"]),
            user: text(&event["user"]["username"]),
            agent: text(&event["userAgent"]),
            resource: text(&object["resource"]),
            subresource: text(&object["subresource"]),
            group: text(&object["apiGroup"]),
            namespace: text(&object["namespace"]),
            name: text(&object["name"]),
            code: event["responseStatus"]["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(0),
            uri: text(&event["requestURI"]),
        }))
    }
}

/// Reads a log of JSON lines; a last line that is still being written is left out.
pub(crate) fn read(log: &Path) -> Result<Vec<AuditEvent>> {
    let content = match std::fs::read_to_string(log) {
        Ok(content) => content,
        // The API server makes the file with its first event.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", log.display())),
    };
    let whole = content.rfind('\n').map_or("", |end| &content[..end]);
    whole.lines().filter_map(|line| AuditEvent::from_line(line).transpose()).collect()
}
