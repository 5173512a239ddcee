//! Posting to a receiver on HTTP, and what its answers mean. Every kind of channel that speaks HTTP uses this.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use homeostat_core::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use crate::outlet::{Attempt, Delivery};

/// How much of an answer's body goes into the log.
const ANSWER_CHARS_MAX: usize = 200;
/// How much of an answer's body is read at all.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Parts of a URL's path that are shorter are words, not tokens; masking those would make messages unreadable.
const TOKEN_CHARS_MIN: usize = 6;

/// One client for all channels; made when the first of them posts.
#[derive(Clone, Default)]
pub struct Http {
    client: Arc<OnceLock<Result<Client, String>>>,
}

/// A URL that may hold a secret, as those of chat services do: it is shown nowhere, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

/// What to post.
pub(crate) struct Post<'a> {
    pub(crate) url: &'a SecretUrl,
    pub(crate) content_type: &'static str,
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: String,
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(<secret>)")
    }
}

impl SecretUrl {
    /// The URL to post to, or what is wrong with it. The messages never repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !(text.starts_with("http://") || text.starts_with("https://")) {
            return Err("must begin with http:// or https://".to_owned());
        }
        match Url::parse(text) {
            Ok(url) if url.has_host() => Ok(Self(url)),
            Ok(_) => Err("has no host; write it as https://host/path".to_owned()),
            Err(error) => Err(format!("isn't a valid URL ({error}); write it as https://host/path")),
        }
    }

    /// The text without any part of the URL that may be secret: receivers like to repeat what they were asked for.
    fn redact(&self, text: &str) -> String {
        let url = &self.0;
        let mut secrets = vec![url.as_str().to_owned(), url.path().to_owned(), url.username().to_owned()];
        secrets.extend(url.query().map(str::to_owned));
        secrets.extend(url.password().map(str::to_owned));
        secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        secrets.extend(url.path_segments().into_iter().flatten().map(str::to_owned));
        secrets.retain(|secret| secret.chars().count() >= TOKEN_CHARS_MIN);
        // The longest first: a part of what was masked already must not be left standing.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "<secret>"))
    }
}

impl Http {
    /// Posts once, and says what the answer means.
    pub(crate) async fn post(&self, post: Post<'_>, attempt: Attempt) -> Delivery {
        let client = match self.client.get_or_init(client) {
            Ok(client) => client,
            Err(why) => return Delivery::Retry { why: format!("no HTTP client: {why}"), after: None },
        };
        let mut request = client.post(post.url.0.clone()).header(CONTENT_TYPE, post.content_type);
        for (name, value) in post.headers {
            request = request.header(*name, *value);
        }
        match request.timeout(attempt.limit).body(post.body).send().await {
            Ok(response) => judge(response, post.url, attempt.now).await,
            Err(error) => Delivery::Retry { why: post.url.redact(&chain(&error.without_url())), after: None },
        }
    }
}

fn client() -> Result<Client, String> {
    // The client takes the process's default. If somebody has set one, it's theirs that counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        // A redirected POST may turn into a GET, or go where nobody meant it to go.
        .redirect(Policy::none())
        .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| chain(&error.without_url()))
}

/// What an answer means. Only answers about the message itself refuse it: 400, 406, 409, 411 to 417, 422 and 431. All others
/// are about the receiver: a hook that is being deployed is 404 for a minute, an expired token 401 until somebody renews it.
async fn judge(response: Response, url: &SecretUrl, now: Timestamp) -> Delivery {
    let status = response.status();
    if status.is_success() {
        return Delivery::Accepted;
    }
    let after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
    let mut why = url.redact(&format!("{status}: {}", beginning(response).await));
    if status.is_redirection() {
        why.push_str(" (redirects aren't followed: configure the final URL)");
    }
    if is_about_the_message(status) { Delivery::Refused { why } } else { Delivery::Retry { why, after } }
}

fn is_about_the_message(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 406 | 409 | 411..=417 | 422 | 431)
}

/// Both forms: seconds, and a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(secs) = text.parse() {
        return Some(Duration::from_secs(secs));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()).since(now))
}

async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).chars().filter(|char| !char.is_control()).take(ANSWER_CHARS_MAX).collect()
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
