//! tract: the runtime inside the program.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, Tensor, TractResult, TypedSimpleState, tvec,
};

use super::check::CheckedModel;
use super::{OnnxError, OnnxSession, RunError, check_batch, take_output};

pub(super) const NAME: &str = "embedded";

/// This session's own state, reused from run to run; the plan and weights inside are shared with its clones.
pub(super) struct EmbeddedSession {
    state: TypedSimpleState,
    n_columns: usize,
}

impl EmbeddedSession {
    pub(super) fn load(model: &CheckedModel) -> Result<Self, OnnxError> {
        // tract isn't written against hostile models: what our check lets through and it still trips over must be an
        // error, not the end of the service. Nothing outlives the closure, so a half-made plan can't be seen.
        let planned = catch_unwind(AssertUnwindSafe(|| -> TractResult<_> {
            let plan = tract_onnx::onnx().model_for_proto_model(model.proto())?.into_optimized()?.into_runnable()?;
            plan.spawn()
        }));
        let state = match planned {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => return Err(OnnxError::Model { why: format!("{error:#}") }),
            Err(_) => return Err(OnnxError::Model { why: "the embedded runtime gave up on it".into() }),
        };
        Ok(Self { state, n_columns: model.n_columns() })
    }
}

impl OnnxSession for EmbeddedSession {
    fn run(&mut self, batch: &[f32], n_rows: usize, out: &mut Vec<f32>) -> Result<(), RunError> {
        check_batch(NAME, batch, n_rows, self.n_columns)?;
        let ran = Tensor::from_shape(&[n_rows, self.n_columns], batch)
            .and_then(|input| self.state.run(tvec!(input.into_tvalue())))
            .and_then(|outputs| {
                let shape = match outputs[0].shape() {
                    [rows, columns] => (*rows, *columns),
                    _ => (0, 0),
                };
                let values = outputs[0].try_as_plain_ram()?;
                // The slice, not the dynamic view: its iterator halves the speed.
                Ok(take_output(NAME, shape, values.as_slice::<f32>()?, (n_rows, self.n_columns), out))
            });
        match ran {
            Ok(taken) => taken,
            Err(error) => Err(RunError { backend: NAME, why: format!("{error:#}") }),
        }
    }

    fn backend(&self) -> &'static str {
        NAME
    }

    fn n_columns(&self) -> usize {
        self.n_columns
    }

    fn another(&self) -> Box<dyn OnnxSession> {
        Box::new(Self { state: self.state.clone(), n_columns: self.n_columns })
    }
}
