//! The two questions that are asked of an API server, so that tests can answer them.

use async_trait::async_trait;
use homeostat_execute::{Cluster, ClusterReadError, ObjectChange, ObjectChanges};
use serde_json::Value;

/// What a list or a watch is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) fields: Option<&'static str>,
}

/// An API server.
#[async_trait]
pub(crate) trait ClusterApi: Send + Sync {
    async fn page(&self, place: &Place, page: Option<&str>) -> Result<Value, ClusterReadError>;
    async fn changes(&self, place: &Place, version: &str) -> Result<Box<dyn Changes>, ClusterReadError>;
}

/// Changes as they come; `None` at the end.
#[async_trait]
pub(crate) trait Changes: Send {
    async fn next(&mut self) -> Option<Result<ObjectChange, ClusterReadError>>;
}

#[async_trait]
impl ClusterApi for Cluster {
    async fn page(&self, place: &Place, page: Option<&str>) -> Result<Value, ClusterReadError> {
        self.list_page(&place.path, place.fields, page).await
    }

    async fn changes(&self, place: &Place, version: &str) -> Result<Box<dyn Changes>, ClusterReadError> {
        Ok(Box::new(self.watch(&place.path, place.fields, version).await?))
    }
}

#[async_trait]
impl Changes for ObjectChanges {
    async fn next(&mut self) -> Option<Result<ObjectChange, ClusterReadError>> {
        ObjectChanges::next(self).await
    }
}
