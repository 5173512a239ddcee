//! A part of a policy that is passed on as JSON, such as a patch.

use homeostat_settings::{Node, Reader, Value as Yaml};
use serde_json::{Map, Number, Value};

/// What stands behind the key, as JSON; nothing where the key is absent.
pub fn read_json(reader: &mut Reader<'_>, key: &'static str) -> Option<Value> {
    let node = reader.node(key)?;
    let json = json(node);
    if json.is_none() {
        reader.reject(key, "has a number in it that JSON doesn't have");
    }
    json
}

/// A node as JSON; nothing where a number in it isn't one of JSON.
pub(crate) fn json(node: &Node) -> Option<Value> {
    Some(match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::Integer(value) => Value::Number((*value).into()),
        Yaml::Float(value) => Value::Number(Number::from_f64(*value)?),
        Yaml::Text(text) => Value::String(text.clone()),
        Yaml::List(items) => Value::Array(items.iter().map(json).collect::<Option<_>>()?),
        Yaml::Map(entries) => {
            let entries = entries.iter().map(|(key, _, node)| Some((key.clone(), json(node)?)));
            Value::Object(entries.collect::<Option<Map<_, _>>>()?)
        }
    })
}
