//! One field of a Kubernetes manifest in YAML: reading it, and giving it another value while every other byte stays.

use std::fmt;

use homeostat_settings::{Node, Place, Value as Yaml, parse_documents};
use serde_json::Value;

use crate::read_json::json;

/// The path of a field: keys with dots between them, and the name of an item in brackets behind a list, such as
/// `spec.template.spec.containers[cart].image`.
///
/// ```
/// use homeostat_remediate::FieldPath;
///
/// let path: FieldPath = "spec.containers[cart].image".parse()?;
/// let pod = serde_json::json!({ "spec": { "containers": [{ "name": "log" }, { "name": "cart", "image": "cart:2" }] } });
/// assert_eq!(path.of(&pod), Some(&"cart:2".into()));
/// assert_eq!(path.to_string(), "spec.containers[cart].image");
/// assert!("spec..image".parse::<FieldPath>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Key(String),
    Named(String),
}

impl std::str::FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} isn't the path of a field, such as spec.template.spec.containers[cart].image");
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        let mut parts = Vec::new();
        for word in text.split('.') {
            let (key, name) = match word.split_once('[') {
                Some((key, rest)) => (key, Some(rest.strip_suffix(']').ok_or_else(wrong)?)),
                None => (word, None),
            };
            if !is_word(key) || !name.is_none_or(is_word) {
                return Err(wrong());
            }
            parts.push(Part::Key(key.to_owned()));
            parts.extend(name.map(|name| Part::Named(name.to_owned())));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, part) in self.0.iter().enumerate() {
            match part {
                Part::Key(key) if idx == 0 => f.write_str(key)?,
                Part::Key(key) => write!(f, ".{key}")?,
                Part::Named(name) => write!(f, "[{name}]")?,
            }
        }
        Ok(())
    }
}

impl FieldPath {
    /// The field in an object.
    pub fn of<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |value, part| match part {
            Part::Key(key) => value.get(key),
            Part::Named(name) => value.as_array()?.iter().find(|item| item["name"] == name.as_str()),
        })
    }

    fn of_mut<'a>(&self, object: &'a mut Value) -> Option<&'a mut Value> {
        self.0.iter().try_fold(object, |value, part| match part {
            Part::Key(key) => value.get_mut(key),
            Part::Named(name) => value.as_array_mut()?.iter_mut().find(|item| item["name"] == name.as_str()),
        })
    }

    fn of_node<'a>(&self, node: &'a Node) -> Option<&'a Node> {
        self.0.iter().try_fold(node, |node, part| match (part, &node.value) {
            (Part::Key(key), Yaml::Map(_)) => entry(node, key),
            (Part::Named(name), Yaml::List(items)) => {
                items.iter().find(|item| entry(item, "name").is_some_and(|value| is_text(value, name)))
            }
            (Part::Key(_) | Part::Named(_), _) => None,
        })
    }
}

fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Yaml::Map(entries) = &node.value else { return None };
    entries.iter().find(|(found, _, _)| found == key).map(|(_, _, value)| value)
}

fn is_text(node: &Node, text: &str) -> bool {
    matches!(&node.value, Yaml::Text(found) if found == text)
}

/// A manifest with one field changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEdit {
    /// The value before.
    pub before: Value,
    /// The line, from 1.
    pub line: usize,
    /// That line before.
    pub line_before: String,
    /// That line after.
    pub line_after: String,
    /// The whole text after.
    pub text: String,
}

/// Gives the field of the object of this kind and name another value. The changed text is read again: it differs in this field and in
/// nothing else, or the edit is refused with a sentence.
pub fn edit_manifest(
    text: &str,
    kind: &str,
    name: &str,
    field: &FieldPath,
    to: &Value,
) -> Result<ManifestEdit, String> {
    let documents = read(text)?;
    let is_it = |node: &&Node| {
        let named = entry(node, "metadata").and_then(|metadata| entry(metadata, "name"));
        entry(node, "kind").is_some_and(|found| found.value == Yaml::Text(kind.to_owned()))
            && named.is_some_and(|found| is_text(found, name))
    };
    let mut found = documents.iter().enumerate().filter(|(_, node)| is_it(node));
    let (idx, document) = found.next().ok_or_else(|| format!("has no {kind} {name}"))?;
    if found.next().is_some() {
        return Err(format!("has the {kind} {name} twice"));
    }
    let node = field.of_node(document).ok_or_else(|| format!("has no field {field} in the {kind} {name}"))?;
    let before = json(node).filter(|value| !value.is_object() && !value.is_array() && !value.is_null());
    let before = before.ok_or_else(|| format!("has no single value in {field}"))?;
    let mut wanted: Vec<Option<Value>> = documents.iter().map(json).collect();
    let slot = wanted.get_mut(idx).and_then(Option::as_mut).and_then(|object| field.of_mut(object));
    *slot.ok_or_else(|| format!("has a field {field} that can't be changed"))? = to.clone();
    let [quoted, plain] = [Some(to.to_string()), plain(to)];
    // As it was written before, where that is read as the same value.
    let is_quoted = at(text, node.place).is_some_and(|rest| rest.starts_with('"'));
    let written = if is_quoted { [quoted, plain] } else { [plain, quoted] };
    for written in written.into_iter().flatten() {
        let Some(edit) = replaced(text, node.place, &written, before.clone()) else { continue };
        if read(&edit.text).is_ok_and(|after| after.iter().map(json).eq(wanted.iter().cloned())) {
            return Ok(edit);
        }
    }
    Err(format!("writes {field} in a way that can't be changed safely (an anchor, or over several lines)"))
}

fn read(text: &str) -> Result<Vec<Node>, String> {
    parse_documents("the file", text).map_err(|problem| format!("isn't plain YAML: {}", problem.message))
}

fn plain(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/:@-".contains(&byte);
    (text.bytes().all(is_plain) && text.bytes().next()?.is_ascii_alphanumeric()).then(|| text.to_owned())
}

/// What the line has from this place on.
fn at(text: &str, place: Place) -> Option<&str> {
    let line = text.lines().nth(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
    let (begin, _) = line.char_indices().nth(usize::try_from(place.column).ok()?.checked_sub(1)?)?;
    line.get(begin..)
}

/// The text with what stands at this place replaced, up to the end of the value.
fn replaced(text: &str, place: Place, written: &str, before: Value) -> Option<ManifestEdit> {
    let (line, column) = (usize::try_from(place.line).ok()?, usize::try_from(place.column).ok()?);
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let whole = *lines.get(line.checked_sub(1)?)?;
    let old = whole.trim_end_matches(['\r', '\n']);
    let begin = old.char_indices().map(|(at, _)| at).nth(column.checked_sub(1)?)?;
    let (head, rest) = old.split_at_checked(begin)?;
    let end = match rest.chars().next()? {
        quote @ ('"' | '\'') => rest.get(1..)?.find(quote)? + 2,
        _ => [" #", ",", "}", "]"].iter().filter_map(|stop| rest.find(stop)).min().unwrap_or(rest.len()),
    };
    let value = rest.get(..end)?.trim_end();
    let new = format!("{head}{written}{}", rest.get(value.len()..)?);
    let with_end = format!("{new}{}", whole.get(old.len()..)?);
    let line_before = old.to_owned();
    *lines.get_mut(line - 1)? = &with_end;
    Some(ManifestEdit { before, line, line_before, line_after: new, text: lines.concat() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "# who reads this?\napiVersion: v1\nkind: Service\nmetadata: {name: cart}\nspec: {}\n---\nkind: Deployment\nmetadata:\n  name: cart\nspec:\n  replicas: 3   # three zones\n  template:\n    spec:\n      containers:\n        - {name: log, image: \"log:1\"}\n        - name: cart\n          image: 'registry.example/cart:2'\n          args: [a, b]\n";

    fn edit(field: &str, to: Value) -> Result<ManifestEdit, String> {
        edit_manifest(FILE, "Deployment", "cart", &field.parse().unwrap(), &to)
    }

    #[test]
    fn one_value_changes_and_every_other_byte_stays() {
        let cases = [
            ("spec.replicas", json!(5), "replicas: 3   # three", "replicas: 5   # three"),
            (
                "spec.template.spec.containers[cart].image",
                json!("registry.example/cart:1"),
                "'registry.example/cart:2'",
                "registry.example/cart:1",
            ),
            ("spec.template.spec.containers[log].image", json!("log:2"), "\"log:1\"}", "\"log:2\"}"),
            // Unquoted it would be a number.
            ("spec.template.spec.containers[log].image", json!("12"), "\"log:1\"}", "\"12\"}"),
            ("spec.template.spec.containers[log].image", json!("a: b # c"), "\"log:1\"}", "\"a: b # c\"}"),
        ];
        for (field, to, before, after) in cases {
            let edit = edit(field, to).unwrap();
            assert_eq!(edit.text, FILE.replace(before, after), "{field}");
            assert!(edit.line_before.contains(before) && edit.line_after.contains(after), "{edit:?}");
        }
        let windows = FILE.replace('\n', "\r\n");
        let edit = edit_manifest(&windows, "Deployment", "cart", &"spec.replicas".parse().unwrap(), &json!(4)).unwrap();
        assert_eq!(edit.text, windows.replace("replicas: 3 ", "replicas: 4 "));
    }

    #[test]
    fn what_cannot_be_changed_alone_is_refused() {
        for (field, to) in [
            ("spec.template.spec.containers[web].image", json!("x")),
            ("spec.template", json!("x")),
            ("spec.paused", json!(true)),
        ] {
            assert!(edit(field, to).is_err(), "{field}");
        }
        let replicas = "spec.replicas".parse().unwrap();
        let of = |text: &str| edit_manifest(text, "Deployment", "cart", &replicas, &json!(5));
        let head = "kind: Deployment\nmetadata: {name: cart}\n";
        assert!(of(&format!("{head}spec:\n  replicas: {{{{ .Values.n }}}}\n")).is_err(), "a template of Helm");
        assert!(of(&format!("{head}spec:\n  replicas: &n 3\nn: *n\n")).is_err(), "an anchor: it would change two");
        assert!(of(&format!("{head}spec: {{replicas: 3}}\n---\n{head}spec: {{replicas: 3}}\n")).is_err(), "twice");
        assert!(of("kind: Deployment\nmetadata: {name: other}\nspec: {replicas: 3}\n").is_err());
    }
}
