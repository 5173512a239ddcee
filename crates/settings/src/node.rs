//! A YAML document as a tree that knows where each part stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::problem::{Place, Problem};

/// Deepest nesting accepted. Our own formats need 6; a deeper one is a mistake or an attack on the stack.
const DEPTH_MAX: usize = 32;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// A YAML value. Numbers stay as they are read; a section's reader says what it wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing (`key:` or `null`).
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with values, in the order written.
    Map(Vec<(String, Place, Node)>),
}

impl Value {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "keys with values",
        }
    }
}

/// Reads every document of a YAML text. A text that is no YAML at all is one problem, with its place.
pub fn parse_documents(file: &str, text: &str) -> Result<Vec<Node>, Problem> {
    let documents: Vec<Spanned<Raw>> = serde_saphyr::from_multiple(text).map_err(|error| Problem {
        file: file.to_owned(),
        place: error.location().map_or(Place { line: 1, column: 1 }, place),
        message: without_place(&error.without_snippet().to_string()),
    })?;
    let nodes: Vec<Node> = documents.into_iter().map(node).collect();
    match nodes.iter().find_map(|root| too_deep(root, DEPTH_MAX)) {
        Some(place) => {
            Err(Problem { file: file.to_owned(), place, message: format!("nested more than {DEPTH_MAX} levels deep") })
        }
        None => Ok(nodes),
    }
}

/// The parser's message ends with the place, which a [`Problem`] shows in front.
fn without_place(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

fn too_deep(node: &Node, levels_left: usize) -> Option<Place> {
    if levels_left == 0 {
        return Some(node.place);
    }
    match &node.value {
        Value::List(items) => items.iter().find_map(|item| too_deep(item, levels_left - 1)),
        Value::Map(entries) => entries.iter().find_map(|(_, _, value)| too_deep(value, levels_left - 1)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => None,
    }
}

/// The tree as serde fills it.
enum Raw {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn place(location: Location) -> Place {
    Place { line: location.line().max(1), column: location.column().max(1) }
}

fn node(raw: Spanned<Raw>) -> Node {
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Integer(value) => Value::Integer(value),
        Raw::Float(value) => Value::Float(value),
        Raw::Text(value) => Value::Text(value),
        Raw::List(items) => Value::List(items.into_iter().map(node).collect()),
        Raw::Map(entries) => Value::Map(
            entries.into_iter().map(|(key, value)| (key.value, place(key.referenced), node(value))).collect(),
        ),
    };
    Node { place: place(raw.referenced), value }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        // Beyond i64 a whole number is no count or duration of ours any more; as a float it fails the range check.
        Ok(i64::try_from(value).map_or(Raw::Float(value as f64), Raw::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_knows_its_place() {
        let text = "a: 1\nb:\n  - x\n  - {c: true, d: 0.5}\n";
        let documents = parse_documents("f.yaml", text).expect("YAML");
        let Value::Map(entries) = &documents[0].value else { panic!("a map") };
        assert_eq!(entries[0].2, Node { place: Place { line: 1, column: 4 }, value: Value::Integer(1) });
        let Value::List(items) = &entries[1].2.value else { panic!("a list") };
        assert_eq!(items[0].place, Place { line: 3, column: 5 });
        let Value::Map(inner) = &items[1].value else { panic!("a map") };
        assert_eq!((inner[1].0.as_str(), inner[1].1), ("d", Place { line: 4, column: 15 }));
        assert_eq!(inner[1].2.value, Value::Float(0.5));
    }

    #[test]
    fn what_is_no_yaml_has_a_place() {
        let problem = parse_documents("f.yaml", "a: [1, 2\nb: 3\n").expect_err("unclosed");
        assert!(problem.place.line >= 1, "{problem}");
        assert!(parse_documents("f.yaml", "a: 1\na: 2\n").is_err(), "a key twice");
    }

    #[test]
    fn several_documents_are_several_trees() {
        assert_eq!(parse_documents("f.yaml", "a: 1\n---\nb: 2\n").map(|documents| documents.len()), Ok(2));
        assert_eq!(parse_documents("f.yaml", "").map(|documents| documents.len()), Ok(0));
    }

    #[test]
    fn a_very_deep_document_is_refused_not_overflowed() {
        let text = "[".repeat(5000) + &"]".repeat(5000);
        assert!(parse_documents("f.yaml", &text).is_err());
    }
}
