//! What the datasource knows of an object, by which the API server's object can be told from one of the same name elsewhere.

use async_trait::async_trait;
use homeostat_core::Subject;
use homeostat_remediate::{Inspected, SameCluster};

/// Compares what is measured with what was inspected.
#[async_trait]
pub trait Witness: Send + Sync {
    /// When the objects of this name that the datasource sees were created, Unix time in seconds: none when it doesn't know,
    /// several when it sees several clusters. The error says why it can't be asked.
    async fn created_s(&self, subject: &Subject) -> Result<Vec<i64>, String>;

    /// How an operator lets it be proven, for the objection.
    fn how_to_prove(&self) -> String;
}

/// Whether the object that was inspected is the one that the datasource sees.
///
/// Two clusters built from the same manifests have the same names, but hardly ever objects made in the same second.
pub(crate) fn same_cluster(
    witness: &dyn Witness,
    seen: &Inspected,
    created_s: &Result<Vec<i64>, String>,
) -> SameCluster {
    let unproven = |what: String| SameCluster::Unproven { why: format!("{what}. {}", witness.how_to_prove()) };
    let Some(inspected_s) = seen.created_at.map(|at| at.as_millis().div_euclid(1000)) else {
        return unproven("the API server doesn't say when the object was created".to_owned());
    };
    let mut created_s = match created_s {
        Ok(created_s) => created_s.clone(),
        Err(why) => return unproven(format!("the datasource can't be asked when the object was created: {why}")),
    };
    created_s.sort_unstable();
    created_s.dedup();
    match created_s.as_slice() {
        [] => unproven("the datasource doesn't know when the object was created".to_owned()),
        [only] if *only == inspected_s => SameCluster::Proven,
        [_] => {
            unproven("the datasource's object of this name was created at another time: it is another one".to_owned())
        }
        several => unproven(format!("the datasource sees {} objects of this name, so several clusters", several.len())),
    }
}
