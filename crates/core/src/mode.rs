//! How far homeostat may go.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far homeostat may go. Ordered: each mode may do all that the one before it may.
///
/// ```
/// use homeostat_core::Mode;
///
/// assert!(Mode::Observe < Mode::Recommend && Mode::Recommend < Mode::Execute);
/// assert_eq!("observe".parse(), Ok(Mode::default()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Detect and record; nothing leaves, nothing changes.
    #[default]
    Observe,
    /// Also propose what to do, to people.
    Recommend,
    /// Also do it, where a policy says so.
    Execute,
}

/// A text that names no mode.
///
/// ```
/// use homeostat_core::Mode;
///
/// let refused = "full".parse::<Mode>().map_err(|error| error.to_string());
/// assert_eq!(refused, Err(r#"unknown mode "full": choose observe, recommend or execute"#.to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode {0:?}: choose observe, recommend or execute")]
pub struct UnknownMode(String);

impl Mode {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Recommend => "recommend",
            Self::Execute => "execute",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;
    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "observe" => Ok(Self::Observe),
            "recommend" => Ok(Self::Recommend),
            "execute" => Ok(Self::Execute),
            _ => Err(UnknownMode(text.to_owned())),
        }
    }
}
