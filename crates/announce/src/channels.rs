//! The configured channels: names that policies use, and where each leads.

use std::collections::BTreeMap;
use std::fmt;

use homeostat_settings::{Node, Place, Reader, Value, nearest};

use crate::http::Http;
use crate::kinds::{self, ChannelKind, KINDS};
use crate::outlet::Outlet;

/// More channels than an organisation has; each is a connection and a row an event.
const CHANNELS_MAX: usize = 100;

/// Names become labels of metrics and fields of log lines.
const NAME_CHARS_MAX: usize = 63;

/// A channel, ready to be used.
#[derive(Clone)]
pub struct Channel {
    /// The name of its kind.
    pub kind: &'static str,
    /// Whether it also gets every change of every incident, not only escalations.
    pub changes: bool,
    /// Where it leads.
    pub outlet: Outlet,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("kind", &self.kind).field("changes", &self.changes).finish_non_exhaustive()
    }
}

/// The configured channels by name.
#[derive(Clone, Debug)]
pub struct Channels(BTreeMap<String, Channel>);

impl Channels {
    /// Where escalations go unless a policy says otherwise; it exists without being configured. So no call is ever made to nobody.
    pub const DEFAULT: &'static str = "log";

    /// Reads the section `channels`; nobody is contacted.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let http = Http::default();
        let mut channels: BTreeMap<String, Channel> = BTreeMap::new();
        let configured = reader.named("channels");
        if configured.len() > CHANNELS_MAX {
            let message = format!("{} channels are configured; at most {CHANNELS_MAX} are possible", configured.len());
            reader.reject("channels", message);
        }
        for (name, place, node) in configured {
            if let Some(channel) = read_channel(reader, name, *place, node, &http) {
                channels.insert(name.clone(), channel);
            }
        }
        channels.entry(Self::DEFAULT.to_owned()).or_insert_with(|| Channel {
            kind: "log",
            changes: false,
            outlet: kinds::log(),
        });
        Self(channels)
    }

    /// The channels by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Channel)> {
        self.0.iter().map(|(name, channel)| (name.as_str(), channel))
    }

    /// Why escalations can't go to the channel of this name; `None` when they can. Policies are checked with it as they are loaded.
    pub fn objection_to_escalations(&self, name: &str) -> Option<String> {
        match self.0.get(name).map(|channel| &channel.outlet) {
            Some(Outlet::Deliver(_)) => None,
            Some(Outlet::Mirror(_) | Outlet::Stream(_)) => Some(format!(
                "the channel {name:?} doesn't deliver single events, so no escalation can go there; choose another one"
            )),
            None => Some(format!(
                "the channel {name:?} isn't configured; add it under `channels`, for instance `{name}: {{type: log}}`"
            )),
        }
    }
}

impl Default for Channels {
    fn default() -> Self {
        Self(BTreeMap::from([(
            Self::DEFAULT.to_owned(),
            Channel { kind: "log", changes: false, outlet: kinds::log() },
        )]))
    }
}

impl FromIterator<(String, Channel)> for Channels {
    fn from_iter<T: IntoIterator<Item = (String, Channel)>>(channels: T) -> Self {
        let mut all = Self::default();
        all.0.extend(channels);
        all
    }
}

fn read_channel(reader: &mut Reader<'_>, name: &str, place: Place, node: &Node, http: &Http) -> Option<Channel> {
    let is_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(is_name) {
        let message = format!("channels: a channel's name is 1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` or `.`");
        reader.problem(place, message);
        return None;
    }
    let mut entry = Reader::new(reader.file(), &format!("channels.{name}"), node, reader.problems());
    let kind = entry.get("type", |value| match value {
        Value::Text(text) => ChannelKind::named(text).ok_or_else(|| unknown(text)),
        other => Err(format!("must be one of {}, not {}", ChannelKind::names(), other.kind())),
    });
    // Without its kind nobody knows which keys it may have.
    let kind = entry.require_such_as("type", kind, "webhook")?;
    let changes = entry.flag("changes").unwrap_or(false);
    let outlet = (kind.open)(&mut entry, http);
    if name == Channels::DEFAULT && matches!(outlet, Some(Outlet::Mirror(_) | Outlet::Stream(_))) {
        entry.reject("type", "this is the channel of escalations that name no other, so it must deliver single events");
    }
    entry.finish();
    Some(Channel { kind: kind.name, changes, outlet: outlet? })
}

fn unknown(name: &str) -> String {
    let names = KINDS.iter().map(|kind| kind.name);
    let hint = nearest(name, names).map(|known| format!("; did you mean {known}?")).unwrap_or_default();
    format!("unknown kind of channel {name:?}; known are: {}{hint}", ChannelKind::names())
}

#[cfg(test)]
mod tests;
