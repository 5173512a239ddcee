//! `type: webhook`: a receiver on HTTP that takes CloudEvents in structured mode.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use homeostat_settings::{Reader, Value};

use super::ChannelKind;
use crate::cloudevent;
use crate::event::Event;
use crate::http::{Http, Post, SecretUrl};
use crate::outlet::{Attempt, Deliver, Delivery, Outlet, TIMEOUT_DEFAULT, TIMEOUT_MAX};

pub(super) static KIND: ChannelKind =
    ChannelKind { name: "webhook", example: "{type: webhook, url: https://receiver.example/hook}", open };

/// Shorter limits than this fail on a healthy network.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

struct Webhook {
    http: Http,
    url: SecretUrl,
    timeout: Duration,
}

fn open(reader: &mut Reader<'_>, http: &Http) -> Option<Outlet> {
    let url = reader.get("url", |value| match value {
        Value::Text(text) => SecretUrl::parse(text),
        other => Err(format!("must be a URL, not {}", other.kind())),
    });
    let url = reader.require_such_as("url", url, "https://receiver.example/hook");
    let timeout = reader.duration_in("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
    Some(Outlet::Deliver(Arc::new(Webhook { http: http.clone(), url: url?, timeout })))
}

#[async_trait]
impl Deliver for Webhook {
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Delivery {
        let post = Post {
            url: &self.url,
            content_type: cloudevent::MEDIA_TYPE,
            // The same key at each attempt: a receiver that accepted the event and answered too late knows it again.
            headers: &[("idempotency-key", &event.id)],
            body: cloudevent::encode(event),
        };
        self.http.post(post, attempt).await
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}
