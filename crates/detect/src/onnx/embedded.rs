//! tract: the runtime inside the program.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, Tensor, TractResult, TypedSimpleState, tvec,
};

use super::check::CheckedModel;
use super::peel::{Peeled, apply, peel};
use super::{OnnxError, OnnxSession, RunError, check_batch, take_output};

pub(super) const NAME: &str = "embedded";

/// This session's own state, reused from run to run; the plan and weights inside are shared with its clones.
pub(super) struct EmbeddedSession {
    state: TypedSimpleState,
    /// The scaling, which isn't in the plan.
    peeled: Arc<Peeled>,
    /// Scaled rows, on their way in.
    scaled: Vec<f32>,
    n_columns: usize,
}

impl EmbeddedSession {
    pub(super) fn load(model: &CheckedModel) -> Result<Self, OnnxError> {
        let mut proto = model.proto().clone();
        let peeled = Arc::new(peel(&mut proto, model.n_columns()));
        // tract isn't written against hostile models: what our check lets through and it still trips over must be an
        // error, not the end of the service. Nothing outlives the closure, so a half-made plan can't be seen.
        let planned = catch_unwind(AssertUnwindSafe(|| -> TractResult<_> {
            let plan = tract_onnx::onnx().model_for_proto_model(&proto)?.into_optimized()?.into_runnable()?;
            plan.spawn()
        }));
        let state = match planned {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => return Err(OnnxError::Model { why: format!("{error:#}") }),
            Err(_) => return Err(OnnxError::Model { why: "the embedded runtime gave up on it".into() }),
        };
        Ok(Self { state, peeled, scaled: Vec::new(), n_columns: model.n_columns() })
    }
}

/// Largest value between two layers, in bytes, beyond one row. tract takes fresh memory for each; above 128 KiB in
/// all, the system's allocator gives it back to the kernel after every run, and faulting the pages in again costs more
/// than the model: 64 rows of 600 at once took three times as long.
const VALUE_BYTES_MAX: usize = 60 << 10;

/// Rows that are run at once: whole blocks of its matrix kernels, where they fit.
fn rows_at_once(n_columns: usize) -> usize {
    const BLOCK: usize = 8;
    let n_rows = VALUE_BYTES_MAX / (n_columns * size_of::<f32>()).max(1);
    if n_rows > BLOCK { n_rows - n_rows % BLOCK } else { n_rows.max(1) }
}

impl EmbeddedSession {
    /// Runs whole rows, and appends what they give.
    fn run_rows(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<(), RunError> {
        let shape = (rows.len() / self.n_columns, self.n_columns);
        self.scaled.clear();
        self.scaled.extend_from_slice(rows);
        apply(&self.peeled.before, &mut self.scaled);
        let first = out.len();
        let ran = Tensor::from_shape(&[shape.0, shape.1], &self.scaled)
            .and_then(|input| self.state.run(tvec!(input.into_tvalue())))
            .and_then(|outputs| {
                let found = match outputs[0].shape() {
                    [rows, columns] => (*rows, *columns),
                    _ => (0, 0),
                };
                let values = outputs[0].try_as_plain_ram()?;
                // The slice, not the dynamic view: its iterator halves the speed.
                Ok(take_output(NAME, found, values.as_slice::<f32>()?, shape, out))
            });
        match ran {
            Ok(taken) => {
                apply(&self.peeled.after, &mut out[first..]);
                taken
            }
            Err(error) => Err(RunError { backend: NAME, why: format!("{error:#}") }),
        }
    }
}

impl OnnxSession for EmbeddedSession {
    fn run(&mut self, batch: &[f32], n_rows: usize, out: &mut Vec<f32>) -> Result<(), RunError> {
        check_batch(NAME, batch, n_rows, self.n_columns)?;
        out.clear();
        let n_values_at_once = rows_at_once(self.n_columns) * self.n_columns;
        batch.chunks(n_values_at_once).try_for_each(|rows| self.run_rows(rows, out))
    }

    fn backend(&self) -> &'static str {
        NAME
    }

    fn n_columns(&self) -> usize {
        self.n_columns
    }

    fn another(&self) -> Box<dyn OnnxSession> {
        Box::new(Self {
            state: self.state.clone(),
            peeled: Arc::clone(&self.peeled),
            scaled: Vec::new(),
            n_columns: self.n_columns,
        })
    }
}
