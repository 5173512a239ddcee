//! What is known of a fact. Absent in two ways, so that nobody takes what can't be seen for what isn't there.

/// A fact, as far as it is known.
///
/// ```
/// use homeostat_remediate::Known;
///
/// let budget: Known<u32> = Known::NotVisible { why: "not allowed to list poddisruptionbudgets".into() };
/// assert_eq!(budget.value(), None, "there may be one all the same");
/// assert_ne!(budget, Known::NotApplicable);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// Somebody looked, and this is it.
    Is(T),
    /// Somebody looked, and there is none.
    NotApplicable,
    /// Nobody can look.
    NotVisible {
        /// Why not, with the right that is missing.
        why: String,
    },
}

impl<T> Known<T> {
    /// The fact itself, where it is known.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::NotApplicable | Self::NotVisible { .. } => None,
        }
    }

    /// The same of what a value comes to.
    pub fn map<U>(&self, map: impl FnOnce(&T) -> U) -> Known<U> {
        match self {
            Self::Is(value) => Known::Is(map(value)),
            Self::NotApplicable => Known::NotApplicable,
            Self::NotVisible { why } => Known::NotVisible { why: why.clone() },
        }
    }

    /// The same, where what is known leads to something or to nothing.
    pub fn and_then<U>(&self, find: impl FnOnce(&T) -> Option<U>) -> Known<U> {
        match self {
            Self::Is(value) => Known::seen(find(value)),
            Self::NotApplicable => Known::NotApplicable,
            Self::NotVisible { why } => Known::NotVisible { why: why.clone() },
        }
    }

    /// Somebody looked: this, or nothing.
    pub fn seen(value: Option<T>) -> Self {
        value.map_or(Self::NotApplicable, Self::Is)
    }
}
