//! `type: slack`: an incoming webhook of Slack, or of what speaks like it (Mattermost, Rocket.Chat).

use std::sync::Arc;

use async_trait::async_trait;
use homeostat_settings::Reader;
use serde_json::{Value, json};

use super::ChannelKind;
use crate::endpoint::Endpoint;
use crate::event::{Event, Payload};
use crate::http::{Http, Post, post};
use crate::outlet::{Attempt, Deliver, Delivery, Outlet};
use crate::wording;

pub(super) static KIND: ChannelKind =
    ChannelKind { name: "slack", example: "{type: slack, url: https://receiver.example/hook}", open };

/// Slack refuses a text of more than 3 000 characters, and escaping makes five of one.
const TEXT_CHARS_MAX: usize = 600;

struct Slack {
    http: Http,
    url: Endpoint,
}

fn open(reader: &mut Reader<'_>, http: &Http) -> Option<Outlet> {
    let url = Endpoint::read(reader)?;
    Some(Outlet::Deliver(Arc::new(Slack { http: http.clone(), url })))
}

/// The message. The same event always gives the same bytes. `text` is what notifications show, and receivers that know no blocks.
fn message(event: &Event) -> String {
    let title = wording::title(event);
    let mut blocks = vec![section(&format!("{} *{}*", sign(event), escape(&title)))];
    // At most some twenty; Slack takes 50 blocks.
    blocks.extend(wording::details(event).iter().map(|(label, text)| {
        let text = escape(&wording::cut(text, TEXT_CHARS_MAX));
        section(&format!("*{label}:* {text}"))
    }));
    let told = format!("{} · {} · {}", event.source, event.id, event.at);
    blocks.push(json!({ "type": "context", "elements": [{ "type": "plain_text", "text": wording::one_line(told) }] }));
    json!({ "text": escape(&title), "blocks": blocks }).to_string()
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// What can be told apart while scrolling.
fn sign(event: &Event) -> &'static str {
    match (&event.payload, event.closes()) {
        (Payload::Escalation(_), _) => ":rotating_light:",
        (Payload::Change(_), true) => ":white_check_mark:",
        (Payload::Change(_), false) => ":warning:",
    }
}

/// As Slack asks for it: without this a label could mention a whole channel, or hide where a link leads.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[async_trait]
impl Deliver for Slack {
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Delivery {
        let url = match self.url.url() {
            Ok(url) => url,
            Err(why) => return Delivery::Retry { why, after: None },
        };
        let request = Post { url: &url, content_type: "application/json", headers: &[], body: message(event) };
        post(&self.http, request, attempt).await
    }
}

#[cfg(test)]
mod tests {
    use homeostat_core::Subject;

    use super::*;
    use crate::testing::{change, escalation, incident};

    fn sent(event: &Event) -> Value {
        serde_json::from_str(&message(event)).unwrap()
    }

    #[test]
    fn a_call_is_told_from_a_change_and_from_an_end() {
        let known = incident("payment-api");
        let call = sent(&Event::of_escalation(&escalation("made-worse"), Some(&known), "/a", 1));
        assert_eq!(call["text"], "shop/deployment/payment-api: 2 restarts didn't help (made-worse)");
        let first = |message: &Value| message["blocks"][0]["text"]["text"].as_str().unwrap().to_owned();
        assert!(first(&call).starts_with(":rotating_light: *shop/deployment/payment-api"), "{call}");
        let of = |name| first(&sent(&Event::of_change(&change(name), "/a", 1)));
        assert!(of("opened").starts_with(":warning:"));
        assert!(of("resolved").starts_with(":white_check_mark:"));
        assert!(call.to_string().contains("12:06 not recovered"));
    }

    #[test]
    fn a_label_mentions_nobody_and_makes_no_link_and_the_message_is_never_too_large() {
        let mut told = escalation("storm");
        told.message = "<!channel> <https://evil.example|click here>".repeat(200);
        told.history = vec!["&".repeat(5_000); 500];
        told.subject = Subject::deployment("shop", "<!here>");
        let message = sent(&Event::of_escalation(&told, None, "/a", 1));
        let blocks = message["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50, "{}", blocks.len());
        for block in blocks.iter().filter(|block| block["type"] == "section") {
            let text = block["text"]["text"].as_str().unwrap();
            assert!(text.chars().count() <= 3_000 && !text.contains(['<', '>']), "{text}");
        }
        assert!(!message["text"].as_str().unwrap().contains('<'));
    }
}
