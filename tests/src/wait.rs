//! Waiting for a condition, with a deadline: the harness's only way to synchronise with another process.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at. Short, because a test suite waits hundreds of times.
const INTERVAL: Duration = Duration::from_millis(50);

/// Calls `look` until it gives a value, and returns that value.
///
/// `Ok(None)` means "not yet". So does an error: a server that isn't up yet refuses connections, and that's no
/// reason to give up. When `within` has passed, the last error is told, or that there was none.
///
/// # Errors
/// When `within` has passed without a value.
pub async fn until<T, F, Fut>(what: &str, within: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + within;
    loop {
        // A frozen server accepts a connection and never answers, so the look itself is bounded too.
        let remaining = deadline.saturating_duration_since(Instant::now()).max(INTERVAL);
        let last = match tokio::time::timeout(remaining, look()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => "the condition does not hold".to_owned(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() >= deadline {
            bail!("{what}: not within {within:?}; last seen: {last}");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// As [`until`], for a condition that is only true or false.
///
/// # Errors
/// When `within` has passed and it was never true.
pub async fn until_true<F, Fut>(what: &str, within: Duration, mut look: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    until(what, within, || {
        let holds = look();
        async move { Ok(holds.await?.then_some(())) }
    })
    .await
}
