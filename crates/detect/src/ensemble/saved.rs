//! An ensemble as bytes, and back: the next score is the same, bit for bit.

use std::sync::Arc;

use homeostat_core::Schema;
use serde::{Deserialize, Serialize};

use super::{Ensemble, Member, MissingDetector, Model};
use crate::enricher::Enricher;
use crate::fusion::Fusion;
use crate::residual::Residual;
use crate::tail::Tail;

/// An ensemble as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedEnsemble {
    /// Everything but the network, in postcard's format.
    pub state: Vec<u8>,
    /// The autoencoder's network, if there is one.
    pub onnx: Option<Vec<u8>>,
}

/// Why saved bytes are no ensemble: train again, or fetch the bundle again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The state can't be read.
    #[error("the saved state can't be read ({why}): train again, or fetch the bundle again")]
    State {
        /// What was wrong.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct State {
    schema: Schema,
    enricher: Enricher,
    members: Vec<(SavedModel, Tail)>,
    missing: Vec<MissingDetector>,
    fusion: Fusion,
}

#[derive(Serialize, Deserialize)]
enum SavedModel {
    Residual(Residual),
    #[cfg(test)]
    Scripted(super::Scripted),
}

impl Ensemble {
    /// The ensemble as bytes. The last assessment isn't part of it: it was given already.
    pub fn save(&self) -> Result<SavedEnsemble, RestoreError> {
        let members = self.members.iter().map(|member| (saved_model(&member.model), member.tail.clone()));
        let state = State {
            schema: (*self.schema).clone(),
            enricher: self.enricher.clone(),
            members: members.collect(),
            missing: self.missing.clone(),
            fusion: self.fusion.clone(),
        };
        let state = postcard::to_allocvec(&state).map_err(|error| RestoreError::State { why: error.to_string() })?;
        Ok(SavedEnsemble { state, onnx: None })
    }

    /// The ensemble these bytes were made of.
    pub fn restore(saved: &SavedEnsemble) -> Result<Self, RestoreError> {
        let unreadable = |why: String| RestoreError::State { why };
        let state: State = postcard::from_bytes(&saved.state).map_err(|error| unreadable(error.to_string()))?;
        if !state.enricher.is_consistent() || state.enricher.trail().n_features() != state.schema.n_features() {
            return Err(unreadable("its parts are about different numbers of features".to_owned()));
        }
        let members = state.members.into_iter().map(|(model, tail)| Member { model: restored_model(model), tail });
        Ok(Self {
            schema: Arc::new(state.schema),
            enricher: state.enricher,
            members: members.collect(),
            missing: state.missing,
            fusion: state.fusion,
            last: None,
        })
    }
}

fn saved_model(model: &Model) -> SavedModel {
    match model {
        Model::Residual(residual) => SavedModel::Residual(residual.clone()),
        #[cfg(test)]
        Model::Scripted(scripted) => SavedModel::Scripted(scripted.clone()),
    }
}

fn restored_model(saved: SavedModel) -> Model {
    match saved {
        SavedModel::Residual(residual) => Model::Residual(residual),
        #[cfg(test)]
        SavedModel::Scripted(scripted) => Model::Scripted(scripted),
    }
}
