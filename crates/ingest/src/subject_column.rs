//! How rows of a file say which subject they are about.

/// The subject of rows that name none, in its namespace.
pub const UNNAMED: (&str, &str) = ("data", "series");
/// The column that names a row's subject, as `namespace/kind/name`.
pub const SUBJECT_COLUMN: &str = "subject";
