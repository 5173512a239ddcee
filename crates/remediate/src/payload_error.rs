//! Why a plan can't be written down as bytes to send.

/// A plan can't be written down as bytes to send: it was made for another executor, or it is damaged. Never sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan can't be sent: {0}")]
pub struct PayloadError(pub String);
