//! Posting to a receiver on HTTP, and what its answers mean. Every kind of channel that speaks HTTP uses this.

use std::time::Duration;

use homeostat_core::Timestamp;
use homeostat_http::{Answer, Request};

use crate::outlet::{Attempt, Delivery};

pub use homeostat_http::{Http, SecretUrl};

/// What to post.
pub(crate) struct Post<'a> {
    pub(crate) url: &'a SecretUrl,
    pub(crate) content_type: &'static str,
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: String,
}

/// Posts once, and says what the answer means.
pub(crate) async fn post(http: &Http, post: Post<'_>, attempt: Attempt) -> Delivery {
    let mut headers = vec![("content-type", post.content_type)];
    headers.extend(post.headers);
    let request = Request { method: "POST", url: post.url, headers: &headers, body: post.body, limit: attempt.limit };
    match http.send(request).await {
        Ok(answer) => judge(&answer, attempt.now),
        // Sent again in any case: whoever has it already knows its key.
        Err(error) => Delivery::Retry { why: error.why().to_owned(), after: None },
    }
}

/// What an answer means. Only answers about the message itself refuse it: 400, 406, 409, 411 to 417, 422 and 431. All others
/// are about the receiver: a hook that is being deployed is 404 for a minute, an expired token 401 until somebody renews it.
fn judge(answer: &Answer, now: Timestamp) -> Delivery {
    if answer.is_success() {
        return Delivery::Accepted;
    }
    let after = answer.retry_after.as_deref().and_then(|text| retry_after(text, now));
    let mut why = answer.quote.clone();
    if answer.is_redirect() {
        why.push_str(" (redirects aren't followed: configure the final URL)");
    }
    if is_about_the_message(answer.status) { Delivery::Refused { why } } else { Delivery::Retry { why, after } }
}

fn is_about_the_message(status: u16) -> bool {
    matches!(status, 400 | 406 | 409 | 411..=417 | 422 | 431)
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

#[cfg(test)]
mod tests;
