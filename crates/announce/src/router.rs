//! Which channels there are, and what goes to which.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use homeostat_core::parse_duration;
use reqwest::Url;
use serde::{Deserialize, Deserializer};

/// A channel: a name that policies use, and behind it one of these.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "type", deny_unknown_fields)]
pub enum ChannelSpec {
    /// The program's own log.
    Log {
        /// Whether it also gets every change of every incident, not only escalations.
        #[serde(default = "yes")]
        changes: bool,
    },
    /// A receiver on HTTP that takes CloudEvents.
    Webhook {
        /// Where to post.
        url: SecretUrl,
        /// Whether it also gets every change of every incident, not only escalations.
        #[serde(default)]
        changes: bool,
        /// How long one attempt may take, as `10s`.
        #[serde(default = "timeout_default", deserialize_with = "duration")]
        timeout: Duration,
    },
}

/// A URL that may hold a secret, as the ones of chat services do: it is shown nowhere, not even by `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl From<&str> for SecretUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(…)")
    }
}

impl SecretUrl {
    /// The URL to post to, or what is wrong with it. The messages never repeat it.
    pub(crate) fn parse(&self) -> Result<Url, String> {
        let url = Url::parse(&self.0).map_err(|error| format!("can't be read ({error})"))?;
        if matches!(url.scheme(), "http" | "https") && url.has_host() {
            Ok(url)
        } else {
            Err("isn't one of http or https".to_owned())
        }
    }
}

/// Alertmanager's webhooks get 10 s where nothing else is said, so receivers are used to it.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// An attempt that takes longer holds up everything else on the channel.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// More channels than an organisation has; each is a connection and a row an event.
const CHANNELS_MAX: usize = 100;

const fn yes() -> bool {
    true
}

const fn timeout_default() -> Duration {
    TIMEOUT_DEFAULT
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// What is wrong with a set of channels; all problems are reported together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteProblem {
    /// The URL can't be posted to.
    #[error("channel {channel:?}: its url {why}; write it as https://host/path")]
    Url {
        /// The channel.
        channel: String,
        /// What is wrong, without the URL itself.
        why: String,
    },
    /// The time limit is out of range.
    #[error("channel {channel:?}: timeout must be more than 0s and at most {}s", TIMEOUT_MAX.as_secs())]
    Timeout {
        /// The channel.
        channel: String,
    },
    /// There are too many.
    #[error("{n_channels} channels are configured; at most {CHANNELS_MAX} are possible")]
    TooMany {
        /// How many there are.
        n_channels: usize,
    },
    /// The source isn't one.
    #[error("the events' source must not be empty: write something that names this installation, as /homeostat/prod")]
    Source,
}

/// The configured channels, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    source: String,
    channels: BTreeMap<String, ChannelSpec>,
}

impl Router {
    /// Checks the channels. `source` is the CloudEvents `source` of everything that goes out: it names this installation.
    pub fn new(source: impl Into<String>, channels: BTreeMap<String, ChannelSpec>) -> Result<Self, Vec<RouteProblem>> {
        let source = source.into();
        let mut problems: Vec<RouteProblem> =
            channels.iter().flat_map(|(channel, spec)| problems_of(channel, spec)).collect();
        if channels.len() > CHANNELS_MAX {
            problems.push(RouteProblem::TooMany { n_channels: channels.len() });
        }
        if source.is_empty() {
            problems.push(RouteProblem::Source);
        }
        if problems.is_empty() { Ok(Self { source, channels }) } else { Err(problems) }
    }

    /// The CloudEvents `source`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The channels by name.
    pub fn channels(&self) -> &BTreeMap<String, ChannelSpec> {
        &self.channels
    }

    /// Whether there is a channel of this name: what a policy's `escalation_channel` must be asked when it is loaded.
    pub fn has(&self, channel: &str) -> bool {
        self.channels.contains_key(channel)
    }

    /// The channels that get every change.
    pub fn for_changes(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().filter(|(_, spec)| wants_changes(spec)).map(|(channel, _)| channel.as_str())
    }
}

const fn wants_changes(spec: &ChannelSpec) -> bool {
    match spec {
        ChannelSpec::Log { changes } | ChannelSpec::Webhook { changes, .. } => *changes,
    }
}

fn problems_of(channel: &str, spec: &ChannelSpec) -> Vec<RouteProblem> {
    let mut problems = Vec::new();
    match spec {
        ChannelSpec::Log { .. } => {}
        ChannelSpec::Webhook { url, timeout, .. } => {
            if let Err(why) = url.parse() {
                problems.push(RouteProblem::Url { channel: channel.to_owned(), why });
            }
            if timeout.is_zero() || *timeout > TIMEOUT_MAX {
                problems.push(RouteProblem::Timeout { channel: channel.to_owned() });
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<ChannelSpec, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn channels_are_read_with_their_defaults() {
        assert_eq!(parsed(r#"{"type":"log"}"#), Ok(ChannelSpec::Log { changes: true }));
        let expected = ChannelSpec::Webhook {
            url: "https://hooks.example/x".into(),
            changes: false,
            timeout: Duration::from_secs(10),
        };
        assert_eq!(parsed(r#"{"type":"webhook","url":"https://hooks.example/x"}"#), Ok(expected));
        let quick = parsed(r#"{"type":"webhook","url":"https://hooks.example/x","timeout":"500ms","changes":true}"#);
        assert!(matches!(quick, Ok(ChannelSpec::Webhook { changes: true, timeout, .. }) if timeout.as_millis() == 500));
    }

    #[test]
    fn a_channel_that_doesnt_exist_yet_is_refused_by_name() {
        let error = parsed(r#"{"type":"pagerduty","routing_key":"x"}"#).unwrap_err();
        assert!(error.contains("pagerduty") && error.contains("webhook"), "{error}");
        assert!(parsed(r#"{"type":"webhook","url":"https://x/","retries":3}"#).is_err());
        assert!(parsed(r#"{"type":"webhook","url":"https://x/","timeout":"soon"}"#).is_err());
    }

    #[test]
    fn all_problems_are_reported_at_once_and_no_url_is_shown() {
        let webhook = |url: &str, timeout_s: u64| ChannelSpec::Webhook {
            url: url.into(),
            changes: false,
            timeout: Duration::from_secs(timeout_s),
        };
        let channels = BTreeMap::from([
            ("a".to_owned(), webhook("ftp://secret.example/token", 10)),
            ("b".to_owned(), webhook("secret token", 10)),
            ("c".to_owned(), webhook("https://fine.example/", 0)),
            ("d".to_owned(), webhook("https://fine.example/", 61)),
            ("e".to_owned(), webhook("https://fine.example/", 60)),
        ]);
        let problems = Router::new("", channels).unwrap_err();
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(!format!("{:?}", webhook("https://hooks.example/secret", 1)).contains("secret"));
        assert!(!problems.iter().any(|problem| problem.to_string().contains("secret")), "{problems:?}");
    }

    #[test]
    fn a_policy_can_ask_for_a_channel_before_it_needs_it() {
        let channels = BTreeMap::from([("pagerduty-p1".to_owned(), ChannelSpec::Log { changes: false })]);
        let router = Router::new("/homeostat", channels).unwrap();
        assert!(router.has("pagerduty-p1") && !router.has("slack"));
        assert_eq!(router.for_changes().count(), 0);
    }
}
