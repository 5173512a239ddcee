//! `type: webhook`: a receiver on HTTP that takes CloudEvents in structured mode.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use homeostat_settings::Reader;

use super::ChannelKind;
use crate::cloudevent;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::http::{Http, Post, post};
use crate::outlet::{Attempt, Deliver, Delivery, Outlet, TIMEOUT_DEFAULT, TIMEOUT_MAX};

pub(super) static KIND: ChannelKind =
    ChannelKind { name: "webhook", example: "{type: webhook, url: https://receiver.example/hook}", open };

/// Shorter limits than this fail on a healthy network.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

struct Webhook {
    http: Http,
    url: Endpoint,
    timeout: Duration,
}

fn open(reader: &mut Reader<'_>, http: &Http) -> Option<Outlet> {
    let timeout = reader.duration_in("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
    let url = Endpoint::read(reader)?;
    Some(Outlet::Deliver(Arc::new(Webhook { http: http.clone(), url, timeout })))
}

#[async_trait]
impl Deliver for Webhook {
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Delivery {
        let url = match self.url.url() {
            Ok(url) => url,
            Err(why) => return Delivery::Retry { why, after: None },
        };
        let request = Post {
            url: &url,
            content_type: cloudevent::MEDIA_TYPE,
            // The same key at each attempt: a receiver that accepted the event and answered too late knows it again.
            headers: &[("idempotency-key", &event.id)],
            body: cloudevent::encode(event),
        };
        post(&self.http, request, attempt).await
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

#[cfg(test)]
mod tests {
    use homeostat_settings::{Findings, Problem, parse_documents};

    use super::*;
    use crate::testing::{Receiver, Reply, TIMEOUT, change, noon};

    fn read_section(text: &str, file: &str) -> (Option<Outlet>, Vec<Problem>) {
        let documents = parse_documents(file, text).unwrap();
        let mut problems = Findings::new();
        let mut reader = Reader::new(file, "channels.it", &documents[0], &mut problems);
        let outlet = open(&mut reader, &Http::default());
        reader.finish();
        (outlet, problems.into_problems())
    }

    #[tokio::test]
    async fn a_url_that_is_renewed_in_its_file_counts_without_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.yaml").display().to_string();
        let (old, new) = (Receiver::start(&[Reply::Status(401)]).await, Receiver::start(&[Reply::Status(200)]).await);
        std::fs::write(directory.path().join("hook"), old.url() + "\n").unwrap();
        let (outlet, problems) = read_section("{url_file: hook}", &config);
        assert_eq!(problems, []);
        let Some(Outlet::Deliver(channel)) = outlet else { panic!("a webhook delivers") };
        let (event, attempt) = (Event::of_change(&change("opened"), "/a", 1), Attempt { limit: TIMEOUT, now: noon() });
        assert!(matches!(channel.deliver(&event, attempt).await, Delivery::Retry { .. }));
        std::fs::write(directory.path().join("hook"), new.url()).unwrap();
        assert_eq!(channel.deliver(&event, attempt).await, Delivery::Accepted);
        std::fs::write(directory.path().join("hook"), "s3cret").unwrap();
        let Delivery::Retry { why, .. } = channel.deliver(&event, attempt).await else { panic!("not retried") };
        assert!(why.contains("must begin with http") && !why.contains("s3cret"), "{why}");
    }

    #[test]
    fn a_url_is_written_in_one_place() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.yaml").display().to_string();
        std::fs::write(directory.path().join("hook"), "s3cret").unwrap();
        for (text, expected) in [
            ("{url_file: hook}", "url_file: the URL in"),
            ("{url_file: gone}", "can't be read"),
            ("{url_file: hook, url: 'https://hooks.example/'}", "either url or url_file"),
        ] {
            let (outlet, problems) = read_section(text, &config);
            assert!(outlet.is_none() && problems.len() == 1, "{text}: {problems:?}");
            let shown = problems[0].to_string();
            assert!(shown.contains(expected) && !shown.contains("s3cret"), "{shown}");
        }
    }
}
