//! A small HTTP client for looking at servers on loopback.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Gives `rustls` its cryptography, once for the process; more calls do nothing.
///
/// Both `kube` and `reqwest` are built without choosing one, so every client made here calls this first.
pub fn use_ring() {
    // An error says that somebody installed one before, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client without proxies: what we look at is on loopback.
///
/// # Errors
/// When the client can't be built.
pub fn client() -> Result<reqwest::Client> {
    use_ring();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .context("building an HTTP client")
}

/// The body at `url`.
///
/// # Errors
/// When there's no answer, or one that isn't 2xx; the body is part of the message.
pub async fn get(url: &str) -> Result<String> {
    let answer = client()?.get(url).send().await.with_context(|| format!("GET {url}"))?;
    let status = answer.status();
    let body = answer.text().await.with_context(|| format!("reading the body of {url}"))?;
    ensure!(status.is_success(), "GET {url}: {status}: {body}");
    Ok(body)
}

/// The JSON at `url`.
///
/// # Errors
/// As [`get`], and when the body isn't JSON.
pub async fn get_json(url: &str) -> Result<Value> {
    serde_json::from_str(&get(url).await?).with_context(|| format!("{url} did not answer with JSON"))
}

/// Posts `body` and returns the status code with the answer's body, whatever the status.
///
/// # Errors
/// When there's no answer.
pub async fn post(url: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Result<(u16, String)> {
    let request = client()?.post(url).header("content-type", content_type).body(body);
    let answer = request.send().await.with_context(|| format!("POST {url}"))?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// `text` as it may stand in a query string or a form.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
