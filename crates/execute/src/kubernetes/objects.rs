//! Any object as JSON, by the same client and with the same limits as everything else.

use async_trait::async_trait;
use homeostat_journal::{Collection, ObjectRequest, Objects, RequestError, Verb};
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::Value;

use super::api::{ApiServer, CallError, FIELD_MANAGER};

impl From<CallError> for RequestError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Answered { code, reason, message } => Self::Answered { code, reason, message },
            CallError::NoAnswer { why } => Self::NoAnswer { why },
        }
    }
}

fn path(of: &Collection) -> String {
    format!("/apis/{}/namespaces/{}/{}", of.api_version, of.namespace, of.resource)
}

/// Waits where the answer comes through the same runtime: for what runs beside the cycle, not for the journal.
#[async_trait]
impl Objects for ApiServer {
    async fn send(&self, request: ObjectRequest) -> Result<Value, RequestError> {
        let requests = Request::new(path(&request.of));
        let unsendable = |error: kube::core::request::Error| CallError::NoAnswer {
            why: format!("the request can't be built: {error}"),
        };
        let body = |object: &Value| object.to_string().into_bytes();
        let post = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let built = match &request.verb {
            Verb::Get { name } => {
                let built = requests.get(name, &GetParams::default()).map_err(unsendable)?;
                return Ok(self.read_value(&built).await?);
            }
            Verb::List { labels, limit, token } => {
                let mut params = ListParams::default().labels(labels).limit(*limit);
                if let Some(token) = token {
                    params = params.continue_token(token);
                }
                let built = requests.list(&params).map_err(unsendable)?;
                return Ok(self.read_value(&built).await?);
            }
            Verb::Create { object } => requests.create(&post, body(object)),
            Verb::Replace { name, object } => requests.replace(name, &post, body(object)),
            Verb::Apply { name, object } => {
                let params = PatchParams::apply(FIELD_MANAGER).force();
                requests.patch(name, &params, &Patch::Apply(object))
            }
            Verb::Delete { name } => requests.delete(name, &DeleteParams::default()),
        };
        let written = self.write_value(built.map_err(unsendable)?).await;
        match (written, request.verb) {
            (Err(CallError::Answered { code: 404, reason, .. }), Verb::Delete { .. }) if reason == "NotFound" => {
                Ok(Value::Null)
            }
            (written, _) => Ok(written?),
        }
    }
}
