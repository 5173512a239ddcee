//! Several Kubernetes objects in one document, as `kubectl get -o yaml` prints them.

use homeostat_settings::{Place, Reader};

use super::{PolicyFormat, format_of};
use crate::action::Actions;
use crate::policy::Policy;

/// Documents of kind `List`.
pub(super) struct ObjectList;

impl PolicyFormat for ObjectList {
    fn keys(&self) -> &'static [&'static str] {
        &["items"]
    }

    fn read(&self, document: &mut Reader<'_>, actions: &Actions) -> Vec<(Place, Policy)> {
        for key in ["apiVersion", "kind", "metadata"] {
            document.node(key);
        }
        // An item that is a list in turn isn't one that kubectl prints; reading it so would never end on a hostile text.
        let read = document.sections("items", |item| {
            if item.has("items") {
                for key in ["apiVersion", "kind", "metadata"] {
                    item.node(key);
                }
                item.reject("items", "a list within a list isn't read");
                return Vec::new();
            }
            format_of(item).read(item, actions)
        });
        read.into_iter().flatten().collect()
    }

    #[cfg(test)]
    fn example(&self) -> &'static str {
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: homeostat.io/v1alpha1\n  kind: RemediationPolicy\n  \
         metadata: {name: leaks}\n  spec: {match: {incidentType: memory-leak}, confidence: {threshold: 0.9}}"
    }
}
