//! Colour on a terminal, none elsewhere.

use std::io::IsTerminal;

/// Whether and how to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint {
    is_on: bool,
}

/// What a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Something is wrong.
    Bad,
    /// It is right again.
    Good,
    /// homeostat does something.
    Doing,
    /// It doesn't, and says why.
    Holding,
    /// A person is called.
    Calling,
    /// Beside the point.
    Aside,
    /// A heading.
    Heading,
}

impl Paint {
    /// As standard output wants it: a terminal, unless `NO_COLOR` is set (<https://no-color.org>) or it can't.
    pub(super) fn of_stdout() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_on: std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb }
    }

    /// Never.
    #[cfg(test)]
    pub(super) fn off() -> Self {
        Self { is_on: false }
    }

    /// The text in this tone.
    pub(super) fn with(self, tone: Tone, text: &str) -> String {
        if !self.is_on {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Bad => "1;31",
            Tone::Good => "32",
            Tone::Doing => "1;36",
            Tone::Holding => "33",
            Tone::Calling => "35",
            Tone::Aside => "2",
            Tone::Heading => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
