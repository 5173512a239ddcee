//! Whose series are taken in however many others there are: those of subjects that have models.
//!
//! It knows names only, nothing of models. An answer with too many series must not blind whoever can be watched.

use std::collections::BTreeSet;

use homeostat_core::Subject;

use crate::matrix::Labels;
use crate::subject_rule::SubjectRule;

/// Most series of an answer with preferred subjects in it. A hundred thousand series of a few samples are some 100 MB, and ten for
/// each of as many workloads as are watched at most.
pub(crate) const PREFERRED_SERIES_MAX: usize = 100_000;

/// The subjects, and how labels name them.
///
/// ```
/// use homeostat_core::Subject;
/// use homeostat_ingest::{Preferred, SubjectRule};
///
/// let preferred = Preferred::new(SubjectRule::default(), [Subject::deployment("shop", "cart")]);
/// let labels = |name: &str| [("namespace", "shop"), ("workload", name)].map(|(k, v)| (k.into(), v.into())).into();
/// assert!(preferred.has(&labels("cart")) && !preferred.has(&labels("web")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferred {
    rule: SubjectRule,
    subjects: BTreeSet<Subject>,
}

impl Preferred {
    /// These subjects, whom labels name by this rule.
    pub fn new(rule: SubjectRule, subjects: impl IntoIterator<Item = Subject>) -> Self {
        Self { rule, subjects: subjects.into_iter().collect() }
    }

    /// Whether these labels name one of them.
    pub fn has(&self, labels: &Labels) -> bool {
        self.rule.subject(labels).is_some_and(|subject| self.subjects.contains(&subject))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }
}
