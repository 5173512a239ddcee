//! A kind that only tests have: it posts a line of text. It shows what adding a kind takes, and passes the contract of all kinds.

use std::sync::Arc;

use async_trait::async_trait;
use homeostat_settings::{Reader, Value};

use super::ChannelKind;
use crate::event::Event;
use crate::http::{Http, Post, SecretUrl, post};
use crate::outlet::{Attempt, Deliver, Delivery, Outlet};

pub(super) static KIND: ChannelKind =
    ChannelKind { name: "fake", example: "{type: fake, address: https://receiver.example/hook}", open };

struct Fake {
    http: Http,
    address: SecretUrl,
}

fn open(reader: &mut Reader<'_>, http: &Http) -> Option<Outlet> {
    let address = reader.get("address", |value| match value {
        Value::Text(text) => SecretUrl::parse(text),
        other => Err(format!("must be a URL, not {}", other.kind())),
    });
    let address = reader.require("address", address)?;
    Some(Outlet::Deliver(Arc::new(Fake { http: http.clone(), address })))
}

#[async_trait]
impl Deliver for Fake {
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Delivery {
        let body = format!("{} {:?}", event.kind().name(), event.subject().to_string());
        let headers = [("idempotency-key", event.id.as_str())];
        post(&self.http, Post { url: &self.address, content_type: "text/plain", headers: &headers, body }, attempt)
            .await
    }
}
