//! What a read that failed means for whoever looks.

use homeostat_core::Subject;
use homeostat_remediate::{InspectError, Known};

use super::api::CallError;
use crate::executor::ApplyError;

/// Sorts a failed read by what to do next.
pub(super) fn inspect_error(error: CallError, subject: &Subject, verb: &str, resource: &str) -> InspectError {
    match error {
        CallError::Answered { code: 403, .. } => InspectError::Forbidden {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            namespace: subject.namespace.clone(),
        },
        CallError::Answered { code: 404, .. } if verb == "get" => InspectError::NotFound { subject: subject.clone() },
        error @ (CallError::Answered { .. } | CallError::NoAnswer { .. }) => {
            InspectError::Unavailable { why: format!("{verb} {resource} in namespace {}: {error}", subject.namespace) }
        }
    }
}

/// A right that is missing is a sure no; whatever else keeps from looking may be over when it is written.
pub(super) fn unless_forbidden<T>(looked: Result<T, InspectError>) -> Result<(), ApplyError> {
    match looked {
        Err(error @ InspectError::Forbidden { .. }) => Err(ApplyError::Rejected { why: error.to_string() }),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What was listed, or that it may not be: rights that a restart doesn't need mustn't stop one, and their absence mustn't look like
/// an empty list.
pub(super) fn visible<T>(
    listed: Result<Vec<T>, CallError>,
    subject: &Subject,
    resource: &str,
) -> Result<Known<Vec<T>>, InspectError> {
    match listed.map_err(|error| inspect_error(error, subject, "list", resource)) {
        Ok(objects) => Ok(Known::Is(objects)),
        Err(error @ InspectError::Forbidden { .. }) => {
            tracing::debug!(%subject, %error, "they can't be read, so they aren't considered");
            Ok(Known::NotVisible { why: error.to_string() })
        }
        Err(error) => Err(error),
    }
}
