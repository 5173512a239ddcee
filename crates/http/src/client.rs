//! Sending one request, and what is known when no answer comes.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};

use crate::secret_url::SecretUrl;

/// How much of an answer's body is read at all.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// How much of it is quoted in messages.
const QUOTE_CHARS_MAX: usize = 200;

/// One client for all; made when the first request is sent.
#[derive(Clone, Default)]
pub struct Http {
    client: Arc<OnceLock<Result<Client, String>>>,
}

/// What to send.
#[derive(Debug)]
pub struct Request<'a> {
    /// Such as `POST` or `PURGE`.
    pub method: &'a str,
    /// Where to.
    pub url: &'a SecretUrl,
    /// Names and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// What.
    pub body: String,
    /// How long it may take, from connecting to the last byte of the answer.
    pub limit: Duration,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, such as 204.
    pub status: u16,
    /// What `Retry-After` says.
    pub retry_after: Option<String>,
    /// The beginning of the body, as far as it came.
    pub body: String,
    /// The status and the beginning of the body in one line, without secrets.
    pub quote: String,
}

/// Why there is no answer; no part of the URL is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Nothing was sent: it may be tried again.
    #[error("nothing was sent: {why}")]
    NotSent {
        /// The whole chain of causes.
        why: String,
    },
    /// The request may have arrived.
    #[error("no answer, the request may have arrived: {why}")]
    Unknown {
        /// The whole chain of causes.
        why: String,
    },
}

impl NoAnswer {
    /// The causes alone.
    pub fn why(&self) -> &str {
        match self {
            Self::NotSent { why } | Self::Unknown { why } => why,
        }
    }
}

impl Answer {
    /// Whether it says that it was done.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Whether it leads elsewhere. Nobody follows: a redirected request may turn into another one, or go where nobody meant it to
    /// go.
    pub const fn is_redirect(&self) -> bool {
        self.status >= 300 && self.status < 400
    }
}

impl Http {
    /// Sends once.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, NoAnswer> {
        let not_sent = |why: String| NoAnswer::NotSent { why };
        let client =
            self.client.get_or_init(client).as_ref().map_err(|why| not_sent(format!("no HTTP client: {why}")))?;
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| not_sent(error.to_string()))?;
        let mut sending = client.request(method, request.url.url()).timeout(request.limit).body(request.body);
        for (name, value) in request.headers {
            sending = sending.header(*name, *value);
        }
        match sending.send().await {
            Ok(response) => Ok(answer(response, request.url).await),
            Err(error) => {
                let error = error.without_url();
                let why = request.url.redact(&chain(&error));
                // Connecting failed, or there was nothing that could be sent.
                let surely_not = error.is_connect() || error.is_builder();
                Err(if surely_not { NoAnswer::NotSent { why } } else { NoAnswer::Unknown { why } })
            }
        }
    }
}

fn client() -> Result<Client, String> {
    // The client takes the process's default. If somebody has set one, it's theirs that counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(Policy::none())
        .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| chain(&error.without_url()))
}

/// The status is what counts: it stays what it is when the body breaks off.
async fn answer(mut response: Response, url: &SecretUrl) -> Answer {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(ANSWER_BYTES_MAX);
    let body = String::from_utf8_lossy(&bytes).into_owned();
    let beginning: String = body.chars().filter(|char| !char.is_control()).take(QUOTE_CHARS_MAX).collect();
    let quote = url.redact(&format!("{status}: {beginning}"));
    Answer { status: status.as_u16(), retry_after, body, quote }
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
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(1500);

    /// A listener that reads what comes and then writes this, if anything, and holds the connection for `held`.
    async fn listener(writes: Option<&'static str>, held: bool) -> SecretUrl {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = SecretUrl::parse(&format!("http://{}/hook/s3cret77", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                if let Some(text) = writes {
                    let _ = stream.write_all(text.as_bytes()).await;
                }
                if held {
                    std::future::pending::<()>().await;
                }
            }
        });
        url
    }

    async fn send(url: &SecretUrl) -> Result<Answer, NoAnswer> {
        let request = Request { method: "PURGE", url, headers: &[("x-test", "1")], body: String::new(), limit: LIMIT };
        Http::default().send(request).await
    }

    #[tokio::test]
    async fn an_answer_counts_by_its_status_also_when_its_body_breaks_off() {
        let half = listener(Some("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"), false).await;
        let answer = send(&half).await.unwrap();
        assert!(answer.is_success() && answer.body == "half", "{answer:?}");
        let elsewhere =
            listener(Some("HTTP/1.1 302 F\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"), false).await;
        assert!(send(&elsewhere).await.unwrap().is_redirect(), "not followed");
        let repeats = listener(Some("HTTP/1.1 404 N\r\ncontent-length: 20\r\n\r\nno /hook/s3cret77 !!"), false).await;
        assert!(!send(&repeats).await.unwrap().quote.contains("s3cret77"));
    }

    #[tokio::test]
    async fn whether_a_request_may_have_arrived_is_known() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            SecretUrl::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap()
        };
        assert!(matches!(send(&closed).await, Err(NoAnswer::NotSent { .. })));
        let no_tls = listener(Some("this is no TLS\r\n\r\n"), false).await;
        let https = SecretUrl::parse(&no_tls.url().as_str().replace("http:", "https:")).unwrap();
        assert!(matches!(send(&https).await, Err(NoAnswer::NotSent { .. })), "the handshake comes first");
        for (writes, held) in [(None, true), (None, false), (Some("HTTP/1.1 20"), false)] {
            let url = listener(writes, held).await;
            let refused = send(&url).await.unwrap_err();
            assert!(matches!(refused, NoAnswer::Unknown { .. }), "{writes:?}: {refused:?}");
            assert!(!refused.to_string().contains("s3cret77"), "{refused}");
        }
    }
}
