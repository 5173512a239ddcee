//! JSON data as YAML. Texts are quoted as JSON quotes them, which YAML reads the same way.

use serde_json::Value;

pub(super) fn of(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (idx, (key, inner)) in map.iter().enumerate() {
                pad(if idx == 0 { 0 } else { indent }, text);
                text.push_str(&name(key));
                text.push(':');
                if is_block(inner) {
                    text.push('\n');
                    pad(indent + 2, text);
                    block(inner, indent + 2, text);
                } else {
                    text.push(' ');
                    block(inner, indent, text);
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (idx, item) in items.iter().enumerate() {
                pad(if idx == 0 { 0 } else { indent }, text);
                text.push_str("- ");
                block(item, indent + 2, text);
            }
        }
        scalar => {
            text.push_str(&scalar.to_string());
            text.push('\n');
        }
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A key, quoted where it could be read as something else.
fn name(key: &str) -> String {
    let is_plain = key.starts_with(|letter: char| letter.is_ascii_lowercase())
        && key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&key);
    if is_plain { key.to_owned() } else { Value::from(key).to_string() }
}

fn pad(indent: usize, text: &mut String) {
    text.push_str(&" ".repeat(indent));
}
