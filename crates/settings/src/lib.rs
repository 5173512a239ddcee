//! YAML settings read with line and column, every problem at once.
//!
//! A config is read by a person who wants to mend it in one go. `serde`'s own errors stop at the first problem, so a
//! document is first read into a tree of located nodes ([`Node`]), and sections are then read from it with a
//! [`Reader`], which gathers [`Findings`] and goes on. A key that nobody asked for is a problem, with the nearest known
//! key as a hint.

mod environment;
mod findings;
mod nearest;
mod node;
mod problem;
mod reader;
mod timezone;

pub use environment::{expand, expand_from, hide_variables};
pub use findings::{Findings, Key, Kind};
pub use nearest::nearest;
pub use node::{Node, Value, parse_documents};
pub use problem::{Place, Problem};
pub use reader::Reader;
pub use timezone::{NotATimezone, Timezone};
