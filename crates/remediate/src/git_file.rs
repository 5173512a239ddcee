//! A file in git from which a GitOps controller keeps the target.

/// A file as it is at the head of the branch that the controller reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitFile {
    /// The head's commit.
    pub commit: String,
    /// The file's mode, such as `100644`.
    pub mode: String,
    /// The id of the file's content.
    pub blob: String,
    /// The content.
    pub text: String,
}
