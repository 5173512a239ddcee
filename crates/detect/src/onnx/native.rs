//! ONNX Runtime from a library file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use super::check::CheckedModel;
use super::{INPUT_NAME, OUTPUT_NAME, OnnxError, OnnxSession, RunError, check_batch, take_output};

pub(super) const NAME: &str = "native";

/// The library of this process with its one environment; neither can be taken back.
pub(super) struct Library {
    path: PathBuf,
    environment: Environment,
}

static LIBRARY: OnceLock<Library> = OnceLock::new();
/// Two threads loading at once must not both build an environment.
static LOADING: Mutex<()> = Mutex::new(());

impl Library {
    pub(super) fn load(path: &Path) -> Result<&'static Self, OnnxError> {
        let wrong = |why: String| OnnxError::Library { path: path.to_owned(), why };
        // Canonical, so that a relative name means what it means to the shell, and two names of one file are one.
        let found = path.canonicalize().map_err(|error| wrong(error.to_string()))?;
        let _loading = lock(&LOADING);
        if let Some(loaded) = LIBRARY.get() {
            if loaded.path == found {
                return Ok(loaded);
            }
            let why = format!("{} is loaded already, and a process can hold only one", loaded.path.display());
            return Err(wrong(why));
        }
        if !found.is_file() {
            return Err(wrong("it isn't a file".into()));
        }
        // `init_from` before any other call: the implicit way panics where this gives an error.
        let builder = ort::init_from(&found).map_err(|error| wrong(error.to_string()))?;
        let environment = builder
            .with_name("homeostat")
            .with_telemetry(false)
            .build()
            .map_err(|error| wrong(format!("it can't start: {error}")))?;
        Ok(LIBRARY.get_or_init(|| Self { path: found, environment }))
    }
}

/// A session shared between clones. One run at a time: a run takes microseconds, a second copy of the weights doesn't.
pub(super) struct NativeSession {
    session: Arc<Mutex<Session>>,
    n_columns: usize,
}

impl NativeSession {
    pub(super) fn load(library: &'static Library, model: &CheckedModel) -> Result<Self, OnnxError> {
        let session = open(library, model).map_err(|error| OnnxError::Model { why: error.to_string() })?;
        Ok(Self { session: Arc::new(Mutex::new(session)), n_columns: model.n_columns() })
    }
}

/// One thread: the net is far too small for two, and a sidecar has no cores to spare.
fn open(library: &'static Library, model: &CheckedModel) -> Result<Session, ort::Error> {
    Session::builder(&library.environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .commit_from_memory(model.bytes())
}

impl OnnxSession for NativeSession {
    fn run(&mut self, batch: &[f32], n_rows: usize, out: &mut Vec<f32>) -> Result<(), RunError> {
        check_batch(NAME, batch, n_rows, self.n_columns)?;
        let failed = |error: ort::Error| RunError { backend: NAME, why: error.to_string() };
        let input = TensorRef::from_array_view(([n_rows, self.n_columns], batch)).map_err(failed)?;
        let mut session = lock(&self.session);
        let outputs = session.run(ort::inputs![INPUT_NAME => input]).map_err(failed)?;
        let output = outputs
            .get(OUTPUT_NAME)
            .ok_or_else(|| RunError { backend: NAME, why: format!("the model has no output {OUTPUT_NAME:?}") })?;
        let (shape, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        let size = |idx: usize| shape.get(idx).and_then(|size| usize::try_from(*size).ok()).unwrap_or(0);
        out.clear();
        take_output(NAME, (size(0), size(1)), values, (n_rows, self.n_columns), out)
    }

    fn backend(&self) -> &'static str {
        NAME
    }

    fn n_columns(&self) -> usize {
        self.n_columns
    }

    fn another(&self) -> Box<dyn OnnxSession> {
        Box::new(Self { session: Arc::clone(&self.session), n_columns: self.n_columns })
    }
}

/// A panic elsewhere leaves nothing half-done in what these locks hold.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
