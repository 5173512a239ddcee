//! Why saved models can't be used.

/// Why saved bytes are no ensemble: train again, or fetch the bundle again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The state can't be read.
    #[error("the saved state can't be read ({why}): train again, or fetch the bundle again")]
    State {
        /// What was wrong.
        why: String,
    },
    /// The autoencoder's network can't be run.
    #[error("the saved autoencoder can't be loaded: {why}")]
    Network {
        /// What was wrong, and what to do.
        why: String,
    },
}

impl RestoreError {
    /// Of a state that can't be read or written.
    pub(crate) fn state(why: impl ToString) -> Self {
        Self::State { why: why.to_string() }
    }
}
