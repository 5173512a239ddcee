//! An ensemble as bytes, and back: the next score is the same, bit for bit.

use std::sync::Arc;

use homeostat_core::Schema;
use serde::{Deserialize, Serialize};

use super::{Ensemble, Member, MissingDetector, Model};
#[cfg(feature = "onnx")]
use crate::autoencoder::{Autoencoder, AutoencoderSaved};
use crate::dbscan::Dbscan;
use crate::enricher::Enricher;
use crate::forecast::Forecast;
use crate::forest::Forest;
use crate::fusion::Fusion;
#[cfg(feature = "onnx")]
use crate::onnx::OnnxRuntime;
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
    /// The autoencoder's network can't be run.
    #[error("the saved autoencoder can't be loaded: {why}")]
    Network {
        /// What was wrong, and what to do.
        why: String,
    },
}

/// What loading needs beside the bytes. The default runs networks inside the program.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "onnx"), derive(Default))]
pub struct LoadOptions {
    /// What runs the autoencoder's network.
    #[cfg(feature = "onnx")]
    pub onnx: OnnxRuntime,
}

#[cfg(feature = "onnx")]
impl Default for LoadOptions {
    fn default() -> Self {
        Self { onnx: OnnxRuntime::embedded() }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    schema: Schema,
    enricher: Enricher,
    members: Vec<(SavedModel, Tail)>,
    missing: Vec<MissingDetector>,
    fusion: Fusion,
}

/// The variants' order is part of the format: new ones go to the end, and a changed one needs a new format version.
#[derive(Serialize, Deserialize)]
enum SavedModel {
    Residual(Residual),
    Forest(Forest),
    Dbscan(Dbscan),
    Forecast(Forecast),
    /// The network's description, in postcard's format of its own: a program built without networks must still be able to
    /// read the rest, to say what is missing.
    Autoencoder(Vec<u8>),
    #[cfg(test)]
    Scripted(super::Scripted),
}

impl Ensemble {
    /// The ensemble as bytes. The last assessment isn't part of it: it was given already.
    pub fn save(&self) -> Result<SavedEnsemble, RestoreError> {
        let mut onnx = None;
        let members: Result<Vec<_>, RestoreError> = self
            .members
            .iter()
            .map(|member| Ok((saved_model(&member.model, &mut onnx)?, member.tail.clone())))
            .collect();
        let state = State {
            schema: (*self.schema).clone(),
            enricher: self.enricher.clone(),
            members: members?,
            missing: self.missing.clone(),
            fusion: self.fusion.clone(),
        };
        Ok(SavedEnsemble { state: postcard::to_allocvec(&state).map_err(unreadable)?, onnx })
    }

    /// The ensemble these bytes were made of.
    pub fn restore(saved: &SavedEnsemble, options: &LoadOptions) -> Result<Self, RestoreError> {
        let state: State = postcard::from_bytes(&saved.state).map_err(unreadable)?;
        if !state.enricher.is_consistent() || state.enricher.trail().n_features() != state.schema.n_features() {
            return Err(unreadable("its parts are about different numbers of features"));
        }
        let members: Result<Vec<Member>, RestoreError> = state
            .members
            .into_iter()
            .map(|(model, tail)| Ok(Member { model: restored_model(model, saved.onnx.as_deref(), options)?, tail }))
            .collect();
        Ok(Self {
            schema: Arc::new(state.schema),
            enricher: state.enricher,
            members: members?,
            missing: state.missing,
            fusion: state.fusion,
            last: None,
        })
    }
}

fn unreadable(why: impl ToString) -> RestoreError {
    RestoreError::State { why: why.to_string() }
}

/// `onnx` takes the network, if this is the detector that has one.
#[cfg_attr(not(feature = "onnx"), expect(unused_variables, clippy::unnecessary_wraps))]
fn saved_model(model: &Model, onnx: &mut Option<Vec<u8>>) -> Result<SavedModel, RestoreError> {
    Ok(match model {
        Model::Residual(residual) => SavedModel::Residual(residual.clone()),
        Model::Forest(forest) => SavedModel::Forest(forest.clone()),
        Model::Dbscan(dbscan) => SavedModel::Dbscan(dbscan.clone()),
        Model::Forecast(forecast) => SavedModel::Forecast(forecast.clone()),
        #[cfg(feature = "onnx")]
        Model::Autoencoder(autoencoder) => {
            let saved = autoencoder.saved();
            *onnx = Some(saved.onnx);
            SavedModel::Autoencoder(postcard::to_allocvec(&saved.meta).map_err(unreadable)?)
        }
        #[cfg(test)]
        Model::Scripted(scripted) => SavedModel::Scripted(scripted.clone()),
    })
}

fn restored_model(saved: SavedModel, onnx: Option<&[u8]>, options: &LoadOptions) -> Result<Model, RestoreError> {
    Ok(match saved {
        SavedModel::Residual(residual) => Model::Residual(residual),
        SavedModel::Forest(forest) => Model::Forest(forest),
        SavedModel::Dbscan(dbscan) => Model::Dbscan(dbscan),
        SavedModel::Forecast(forecast) => Model::Forecast(forecast),
        SavedModel::Autoencoder(meta) => autoencoder(&meta, onnx, options)?,
        #[cfg(test)]
        SavedModel::Scripted(scripted) => Model::Scripted(scripted),
    })
}

#[cfg(feature = "onnx")]
fn autoencoder(meta: &[u8], onnx: Option<&[u8]>, options: &LoadOptions) -> Result<Model, RestoreError> {
    let Some(onnx) = onnx else {
        return Err(RestoreError::Network { why: "its ONNX file is missing: fetch the bundle again".to_owned() });
    };
    let saved = AutoencoderSaved { onnx: onnx.to_vec(), meta: postcard::from_bytes(meta).map_err(unreadable)? };
    Autoencoder::load(saved, &options.onnx)
        .map(|loaded| Model::Autoencoder(Box::new(loaded)))
        .map_err(|error| RestoreError::Network { why: error.to_string() })
}

#[cfg(not(feature = "onnx"))]
fn autoencoder(_meta: &[u8], _onnx: Option<&[u8]>, _options: &LoadOptions) -> Result<Model, RestoreError> {
    let why = "this program was built without ONNX: use one built with the feature onnx, or train again";
    Err(RestoreError::Network { why: why.to_owned() })
}
