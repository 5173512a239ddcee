//! The kinds of channels. A kind is one file and one line here: it reads its own part of the config and says where it leads.

use homeostat_settings::Reader;

use crate::http::Http;
use crate::outlet::Outlet;

/// A kind of channel, as `type` in the config names it.
pub struct ChannelKind {
    /// Its name.
    pub name: &'static str,
    /// The smallest section that configures it, as YAML on one line, for messages and the reference page. Where it names a
    /// receiver, that is `https://receiver.example`.
    pub example: &'static str,
    /// Reads its keys and sets it up; nobody is contacted. `None` when it reported a problem. `type` and `changes` aren't its
    /// business.
    pub open: fn(&mut Reader<'_>, &Http) -> Option<Outlet>,
}

macro_rules! kinds {
    ($($(#[$attribute:meta])* $kind:ident,)*) => {
        $($(#[$attribute])* mod $kind;)*

        /// Every kind there is.
        pub static KINDS: &[&ChannelKind] = &[$($(#[$attribute])* &$kind::KIND,)*];
    };
}

kinds! {
    alertmanager,
    log,
    pagerduty,
    slack,
    webhook,
    #[cfg(test)]
    fake,
}

impl ChannelKind {
    /// The kind with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().copied().find(|kind| kind.name == name)
    }

    /// The names of all kinds, for messages.
    pub fn names() -> String {
        KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
    }
}

/// The outlet of the channel that is always there.
pub(crate) fn log() -> Outlet {
    log::outlet()
}

#[cfg(test)]
mod contract;
