//! Asked right before each write to the cluster.

use std::sync::Arc;

/// Whether this process may write at this moment; the error says why not.
pub type MayWrite = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
