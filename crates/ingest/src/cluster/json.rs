//! Looking into an object whose every part may be missing or of another type: what isn't there is empty, nothing fails.

use homeostat_core::Timestamp;
use serde_json::Value;

/// Letters kept of a text from outside: a name has at most 253, and a message's cause stands at its beginning or within its first
/// lines. It bounds what one object may take.
const TEXT_MAX: usize = 1_024;

/// Items looked at in a list: containers, ports, conditions. A pod has a few; Kubernetes itself sets no such bound.
const ITEMS_MAX: usize = 128;

/// A place in an object, which may not be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'a>(Option<&'a Value>);

impl<'a> Json<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self(Some(value))
    }

    pub(super) fn at(self, key: &str) -> Self {
        Self(self.0.and_then(|value| value.get(key)))
    }

    pub(super) fn is_there(self) -> bool {
        self.0.is_some_and(|value| !value.is_null())
    }

    /// A text, cut to a length that any honest one has; empty if there is none.
    pub(super) fn text(self, key: &str) -> String {
        self.at(key).as_text().unwrap_or_default()
    }

    pub(super) fn as_text(self) -> Option<String> {
        let text = self.0?.as_str()?;
        Some(text.chars().take(TEXT_MAX).collect())
    }

    pub(super) fn int(self, key: &str) -> Option<i64> {
        self.at(key).as_int()
    }

    pub(super) fn as_int(self) -> Option<i64> {
        self.0?.as_i64()
    }

    /// A number of things; absent and negative ones are `None`.
    pub(super) fn count(self, key: &str) -> Option<u32> {
        self.int(key).and_then(|count| u32::try_from(count).ok())
    }

    pub(super) fn flag(self, key: &str) -> bool {
        self.at(key).0.and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn moment(self, key: &str) -> Option<Timestamp> {
        self.at(key).0?.as_str()?.parse().ok()
    }

    pub(super) fn list(self, key: &str) -> impl Iterator<Item = Json<'a>> + use<'a> {
        let items = self.at(key).0.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().take(ITEMS_MAX).map(Json::new)
    }

    /// A map of texts, as labels are.
    pub(super) fn texts(self, key: &str) -> Vec<(String, String)> {
        let map = self.at(key).0.and_then(Value::as_object);
        let items = map.into_iter().flatten().take(ITEMS_MAX);
        let mut texts: Vec<(String, String)> =
            items.filter_map(|(name, value)| Some((name.clone(), Json::new(value).as_text()?))).collect();
        texts.sort();
        texts
    }
}
