//! The only file of the workspace that reads the wall clock; everything else is told what time it is.

use std::time::UNIX_EPOCH;

use homeostat_core::Timestamp;

/// The wall clock's time.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
