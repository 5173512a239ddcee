//! The `Journal` object: the chain's head, its last row, and who may write. One object, so that one compare-and-swap by its
//! `resourceVersion` decides everything at once.

use serde_json::{Map, Value, json};

use super::rows;
use crate::lease::Term;
use crate::row::{Epoch, Head, Row};

/// The `Journal` object, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HeadObject {
    /// Empty before it is made.
    resource_version: String,
    pub(super) uid: String,
    /// The highest epoch that was claimed.
    pub(super) epoch: Epoch,
    /// The lease's term that goes with the epoch, where there is leader election.
    pub(super) term: Option<Term>,
    /// The last archived row.
    pub(super) base: Option<Head>,
    /// Rows up to `base` that stay.
    pub(super) carried: Vec<i64>,
    /// The last row: it is durable here first, and becomes an object of its own before the next one is written.
    pub(super) last: Option<Row>,
}

impl HeadObject {
    /// Of a journal that nobody has written to.
    pub(super) fn new() -> Self {
        Self {
            resource_version: String::new(),
            uid: String::new(),
            epoch: Epoch(0),
            term: None,
            base: None,
            carried: Vec::new(),
            last: None,
        }
    }

    /// Whether the object is in the cluster.
    pub(super) fn exists(&self) -> bool {
        !self.resource_version.is_empty()
    }

    /// The end of the chain.
    pub(super) fn head(&self) -> Head {
        self.last.as_ref().map(Row::head).or_else(|| self.base.clone()).unwrap_or_else(Head::empty)
    }

    /// Whether a row with this number belongs to the journal: it isn't archived, or it stays all the same.
    pub(super) fn keeps(&self, seq: i64) -> bool {
        let is_archived = self.base.as_ref().is_some_and(|base| seq <= base.seq);
        seq <= self.head().seq && (!is_archived || self.carried.binary_search(&seq).is_ok())
    }

    /// Reads it; the error says what is wrong with it.
    pub(super) fn read(object: &Value) -> Result<Self, String> {
        let text = |value: &Value, name: &str| {
            value.as_str().map(str::to_owned).ok_or_else(|| format!("the Journal object has no {name}"))
        };
        let spec = &object["spec"];
        let base = match &spec["base"] {
            Value::Null => None,
            base => Some(serde_json::from_value(base.clone()).map_err(|error| format!("spec.base: {error}"))?),
        };
        let term = match &spec["lease"] {
            Value::Null => None,
            lease => Some(Term {
                lease_uid: text(&lease["uid"], "spec.lease.uid")?,
                transitions: lease["transitions"].as_i64().ok_or("the Journal object has no spec.lease.transitions")?,
                holder: text(&lease["holder"], "spec.lease.holder")?,
            }),
        };
        let mut carried: Vec<i64> = match &spec["carried"] {
            Value::Null => Vec::new(),
            carried => serde_json::from_value(carried.clone()).map_err(|error| format!("spec.carried: {error}"))?,
        };
        carried.sort_unstable();
        Ok(Self {
            resource_version: text(&object["metadata"]["resourceVersion"], "resourceVersion")?,
            uid: text(&object["metadata"]["uid"], "UID")?,
            epoch: Epoch(spec["epoch"].as_i64().ok_or("the Journal object has no spec.epoch")?),
            term,
            base,
            carried,
            last: match &spec["last"] {
                Value::Null => None,
                last => Some(rows::of_spec(last)?),
            },
        })
    }

    /// As the cluster keeps it.
    pub(super) fn object(&self, name: &str, namespace: &str) -> Value {
        let head = self.head();
        let mut spec = Map::new();
        spec.insert("epoch".to_owned(), json!(self.epoch.0));
        spec.insert("rows".to_owned(), json!(head.seq));
        spec.insert("head".to_owned(), json!(head.hash));
        if let Some(Term { lease_uid, transitions, holder }) = &self.term {
            let lease = json!({"uid": lease_uid, "transitions": transitions, "holder": holder});
            spec.insert("lease".to_owned(), lease);
        }
        if let Some(base) = &self.base {
            spec.insert("base".to_owned(), json!({"seq": base.seq, "hash": base.hash}));
            spec.insert("carried".to_owned(), json!(self.carried));
        }
        if let Some(last) = &self.last {
            spec.insert("last".to_owned(), rows::spec(last));
        }
        let mut metadata = json!({"name": name, "namespace": namespace});
        if self.exists() {
            metadata["resourceVersion"] = json!(self.resource_version);
            metadata["uid"] = json!(self.uid);
        }
        json!({"apiVersion": rows::API_VERSION, "kind": "Journal", "metadata": metadata, "spec": spec})
    }
}
