//! Times of a history that models don't learn.

use serde::{Deserialize, Serialize};

use crate::name_pattern::NamePattern;
use crate::subject::Subject;
use crate::timestamp::Timestamp;

/// A time that models don't learn: to training its rows are gaps. They are neither fitted nor counted, and no threshold goes by them.
///
/// ```
/// use homeostat_core::{Exclusion, Subject, Timestamp};
///
/// let outage = Exclusion {
///     from: Timestamp::from_secs(100),
///     to: Timestamp::from_secs(200),
///     reason: "outage of the database".into(),
///     namespaces: vec!["shop*".parse()?],
///     workloads: vec![],
///     subject: None,
/// };
/// assert!(outage.is_about(&Subject::deployment("shop", "cart")) && !outage.is_about(&Subject::deployment("bank", "cart")));
/// assert!(outage.holds(Timestamp::from_secs(100)) && !outage.holds(Timestamp::from_secs(200)), "the end is exclusive");
/// # Ok::<(), homeostat_core::NotAPattern>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// Its first moment.
    pub from: Timestamp,
    /// When it ends; exclusive.
    pub to: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Namespaces it is about; empty means every namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<NamePattern>,
    /// Workload names it is about; empty means every workload of those namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<NamePattern>,
    /// The one workload it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
}

impl Exclusion {
    /// Whether it is about this subject, at whatever time.
    pub fn is_about(&self, subject: &Subject) -> bool {
        let in_scope =
            |list: &[NamePattern], name: &str| list.is_empty() || list.iter().any(|pattern| pattern.matches(name));
        in_scope(&self.namespaces, &subject.namespace)
            && in_scope(&self.workloads, &subject.name)
            && self.subject.as_ref().is_none_or(|only| only == subject)
    }

    /// Whether it holds this moment.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// Whose time it is, for people.
    pub fn scope(&self) -> String {
        let names = |list: &[NamePattern]| list.iter().map(NamePattern::as_str).collect::<Vec<_>>().join(", ");
        match (&self.subject, self.namespaces.is_empty(), self.workloads.is_empty()) {
            (Some(subject), true | false, true | false) => subject.to_string(),
            (None, true, true) => "every workload".to_owned(),
            (None, false, true) => format!("every workload of {}", names(&self.namespaces)),
            (None, true, false) => format!("{} of every namespace", names(&self.workloads)),
            (None, false, false) => format!("{} of {}", names(&self.workloads), names(&self.namespaces)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_it_is_about_is_said_as_it_is_checked() {
        let (cart, web) = (Subject::deployment("shop", "cart"), Subject::deployment("bank", "web"));
        let (from, to) = (Timestamp::from_secs(0), Timestamp::from_secs(1));
        let all = Exclusion { from, to, reason: String::new(), namespaces: vec![], workloads: vec![], subject: None };
        let shop = Exclusion { namespaces: vec![NamePattern::exactly("shop")], ..all.clone() };
        let carts = Exclusion { workloads: vec![NamePattern::exactly("cart")], ..all.clone() };
        let one = Exclusion { subject: Some(cart.clone()), ..all.clone() };
        for (exclusion, is_about_web, scope) in [
            (all, true, "every workload"),
            (shop, false, "every workload of shop"),
            (carts, false, "cart of every namespace"),
            (one, false, "shop/deployment/cart"),
        ] {
            assert_eq!((exclusion.is_about(&cart), exclusion.is_about(&web)), (true, is_about_web), "{scope}");
            assert_eq!(exclusion.scope(), scope);
        }
    }
}
