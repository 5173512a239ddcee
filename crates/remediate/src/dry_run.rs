//! What asking beforehand whether a write would be accepted came to.

/// What a dry run of the write came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DryRun {
    /// Nothing speaks against it, or it wasn't asked, or the answer says nothing.
    #[default]
    Passed,
    /// It would be refused.
    Refused {
        /// Why.
        why: String,
    },
    /// It can't be written now, and may be later.
    NotNow {
        /// What has to pass first.
        why: String,
    },
}
