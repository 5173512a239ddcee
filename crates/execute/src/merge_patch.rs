//! JSON merge patches (RFC 7396): the one between two values, and whether one is in force. Pure.
//!
//! In such a patch `null` means "take it away", so a value that holds `null` can't be written by one. The Kubernetes API
//! means the same by `null` and by absence, and is read here accordingly.

use serde_json::{Map, Value};

/// The patch that makes `to` of `from`; an empty object when they are the same.
pub(crate) fn between(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return without_nulls(to) };
    let mut patch = Map::new();
    for (key, value) in to.iter().filter(|(_, value)| !value.is_null()) {
        match from.get(key).filter(|before| !before.is_null()) {
            None => drop(patch.insert(key.clone(), without_nulls(value))),
            Some(before) if without_nulls(before) == without_nulls(value) => {}
            Some(before) => drop(patch.insert(key.clone(), between(before, value))),
        }
    }
    for (key, _) in from.iter().filter(|(key, value)| !value.is_null() && to.get(*key).is_none_or(Value::is_null)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

/// Whether applying the patch would change nothing.
pub(crate) fn holds(value: &Value, patch: &Value) -> bool {
    match (value, patch) {
        (Value::Object(value), Value::Object(patch)) => patch.iter().all(|(key, patch)| match value.get(key) {
            Some(value) if !value.is_null() => holds(value, patch),
            Some(_) | None => patch.is_null(),
        }),
        (_, Value::Object(_)) => false,
        (value, patch) => without_nulls(value) == without_nulls(patch),
    }
}

/// The value with the patch applied: RFC 7396, section 2, word by word.
pub(crate) fn merge(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = if let Value::Object(map) = target { map } else { Map::new() };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            let before = target.remove(key).unwrap_or(Value::Null);
            target.insert(key.clone(), merge(before, value));
        }
    }
    Value::Object(target)
}

/// The value without what is `null` in its objects, at any depth.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_in_the_patch_and_what_is_gone_is_null() {
        let from = json!({ "a": { "x": 1, "y": 2 }, "b": [1, 2], "c": "same", "d": null });
        let to = json!({ "a": { "x": 1, "z": 3 }, "b": [1], "c": "same", "e": { "f": {} } });
        let patch = json!({ "a": { "y": null, "z": 3 }, "b": [1], "e": { "f": {} } });
        assert_eq!(between(&from, &to), patch);
        assert_eq!(between(&from, &from), json!({}));
        assert!(holds(&to, &patch) && !holds(&from, &patch));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(1)), Just(json!("a")), Just(json!([])), Just(json!({})), Just(Value::Null)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                proptest::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn objects() -> impl Strategy<Value = Value> {
        proptest::collection::btree_map("[a-d]", values(), 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn the_patch_between_two_objects_makes_the_second_of_the_first_and_then_holds(from in objects(), to in objects()) {
            let patch = between(&from, &to);
            let made = merge(without_nulls(&from), &patch);
            prop_assert_eq!(&made, &without_nulls(&to), "{}", patch);
            prop_assert!(holds(&to, &patch));
            prop_assert_eq!(holds(&from, &patch), without_nulls(&from) == without_nulls(&to));
        }
    }
}
