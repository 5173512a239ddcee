//! Patterns for names of namespaces and workloads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name of a Kubernetes object, or a glob over names: `*` stands for any run of characters, `?` for any one.
///
/// What can match no name is refused, because a planned event that matches nothing protects nothing.
///
/// ```
/// use homeostat_core::NamePattern;
///
/// let shops: NamePattern = "shop-*".parse()?;
/// assert!(shops.matches("shop-eu") && !shops.matches("shop"));
/// assert!("shop-.*".parse::<NamePattern>().is_err(), "a regular expression");
/// assert!("Shop".parse::<NamePattern>().is_err(), "no name has capitals");
/// # Ok::<(), homeostat_core::NotAPattern>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePattern(String);

/// A text that can match no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} matches no name: {why}; write a name, or a glob such as \"shop-*\"")]
pub struct NotAPattern {
    pattern: String,
    why: &'static str,
}

/// Names of Deployments and the like are DNS subdomains (RFC 1123); none is longer.
const NAME_BYTES_MAX: usize = 253;

impl NamePattern {
    /// Exactly this name, which is one of an object that is there.
    pub fn exactly(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Whether this name matches.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut pattern_idx, mut name_idx) = (0, 0);
        // Where the latest `*` stands, and from where in the name it is tried next: one star to go back to is enough.
        let mut star: Option<(usize, usize)> = None;
        while name_idx < name.len() {
            match pattern.get(pattern_idx) {
                Some(b'*') => {
                    star = Some((pattern_idx, name_idx));
                    pattern_idx += 1;
                }
                Some(byte) if *byte == b'?' || *byte == name[name_idx] => {
                    pattern_idx += 1;
                    name_idx += 1;
                }
                Some(_) | None => match star {
                    Some((star_idx, from)) => {
                        star = Some((star_idx, from + 1));
                        pattern_idx = star_idx + 1;
                        name_idx = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[pattern_idx..].iter().all(|byte| *byte == b'*')
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a single name.
    pub fn is_name(&self) -> bool {
        !self.0.contains(['*', '?'])
    }
}

impl FromStr for NamePattern {
    type Err = NotAPattern;
    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let refused = |why: &'static str| Err(NotAPattern { pattern: text.to_owned(), why });
        let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'*' | b'?');
        if text.is_empty() {
            return refused("it is empty");
        }
        if text.len() > NAME_BYTES_MAX {
            return refused("it is longer than any name");
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return refused("names have no capital letters");
        }
        // `.*` would be a glob, but whoever writes it means a regular expression.
        if text.contains(".*") || text.contains(['^', '$', '(', ')', '[', ']', '|', '+', '\\', '{', '}']) {
            return refused("it is a regular expression");
        }
        if !text.bytes().all(|byte| is_edge(byte) || matches!(byte, b'-' | b'.')) {
            return refused("names have only lower-case letters, digits, '-' and '.'");
        }
        if !text.bytes().next().is_some_and(is_edge) || !text.bytes().last().is_some_and(is_edge) {
            return refused("names begin and end with a letter or digit");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for NamePattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_whole_names() {
        let cases = [
            ("shop", "shop", true),
            ("shop", "shop-eu", false),
            ("shop-*", "shop-eu", true),
            ("shop-*", "shop-", true),
            ("shop-*", "workshop-eu", false),
            ("*", "anything", true),
            ("*-eu", "shop-eu", true),
            ("*-eu-*", "shop-eu-eu-1", true),
            ("sh?p", "shop", true),
            ("sh?p", "shp", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("**", "x", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(pattern.parse::<NamePattern>().unwrap().matches(name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn what_can_match_no_name_is_refused_with_the_reason() {
        let cases = [
            ("", "empty"),
            ("Shop-p2", "capital"),
            ("shop-.*", "regular expression"),
            ("shop-.+", "regular expression"),
            ("^shop", "regular expression"),
            ("(a|b)", "regular expression"),
            ("shop-[ab]", "regular expression"),
            ("shop eu", "only lower-case"),
            ("shop_eu", "only lower-case"),
            ("-shop", "begin and end"),
            ("shop-", "begin and end"),
            ("shöp", "only lower-case"),
        ];
        for (text, why) in cases {
            let error = text.parse::<NamePattern>().unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
