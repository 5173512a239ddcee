//! A receiver on HTTP that takes CloudEvents in structured mode.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use crate::event::Event;
use crate::sink::{Delivery, Sink};

/// How much of a refusal's body goes into the log.
const ANSWER_CHARS_MAX: usize = 200;
/// How much of a refusal's body is read at all.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Posts each event to one URL. The URL may hold a secret, so it is in no message.
#[derive(Clone)]
pub struct WebhookSink {
    client: Client,
    url: Url,
}

impl WebhookSink {
    /// A sink for this URL. `timeout` is for one attempt, from connecting to the last byte of the answer.
    pub fn new(url: Url, timeout: Duration) -> Result<Self, String> {
        // The client takes the process's default. If somebody has set one, it's theirs that counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            // A redirected POST may turn into a GET, or go where nobody meant it to go.
            .redirect(Policy::none())
            .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| chain(&error.without_url()))?;
        Ok(Self { client, url })
    }
}

#[async_trait]
impl Sink for WebhookSink {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn deliver(&self, event: &Event) -> Delivery {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/cloudevents+json");
        match request.body(event.body.clone()).send().await {
            Ok(response) => judge(response).await,
            Err(error) => Delivery::Retry { why: chain(&error.without_url()), after: None },
        }
    }
}

/// What an answer means: the rules of Alertmanager's webhook, and 408, 425 and 429 for "not now".
async fn judge(response: Response) -> Delivery {
    let status = response.status();
    if status.is_success() {
        return Delivery::Accepted;
    }
    let after = retry_after(&response);
    let why = format!("{status}: {}", beginning(response).await);
    let not_now = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || not_now.contains(&status) {
        Delivery::Retry { why, after }
    } else if status.is_redirection() {
        Delivery::Refused { why: format!("{why} (redirects aren't followed: configure the final URL)") }
    } else {
        Delivery::Refused { why }
    }
}

/// Seconds only. The other form, a date, would need a clock; without it our own back-off serves as well.
fn retry_after(response: &Response) -> Option<Duration> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
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
