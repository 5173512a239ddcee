//! What stands in for the rules where homeostat was built without Rego: there can be none, and whoever names a file is told.

use homeostat_settings::Problem;
use serde_json::Value;

use super::{RegoFile, START};

/// Never there.
pub(super) enum Compiled {}

impl Compiled {
    pub(super) fn of(files: &[RegoFile]) -> Result<Self, Problem> {
        let file = files.first().map(|file| file.name.clone()).unwrap_or_default();
        let message = "this homeostat was built without Rego: build it with the feature `rego`".to_owned();
        Err(Problem { file, place: START, message })
    }

    pub(super) fn denials(&self, _: Value) -> Result<Vec<String>, String> {
        match *self {}
    }
}
