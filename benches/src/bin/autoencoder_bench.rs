//! The autoencoder's speed as figures: one window of a 600–64–16–64–600 model, in batches of 64, scaling in the graph,
//! one thread.
//!
//! ```text
//! autoencoder_bench                       prints the figure lines; the native one needs ORT_DYLIB_PATH
//! autoencoder_bench export FILE           writes the very model, for a peer to load
//! autoencoder_bench serve embedded|native answers each line on stdin with the nanoseconds of one run of 64 windows,
//!                                         so that a driver can alternate with a peer
//! ```

#![allow(clippy::print_stdout, reason = "printing figures is what it is for")]

use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use homeostat_benches::{SEED, setup};
use homeostat_detect::{Autoencoder, AutoencoderSpec, OnnxRuntime, OnnxSession};

/// 75 features of 8 rows are the 600 inputs of published comparisons.
const N_FEATURES: usize = 75;

/// Columns of the model.
const N_COLUMNS: usize = 600;

/// Windows of a run.
const BATCH_WINDOWS: usize = 64;

/// Runs timed as one: some 0.3 ms, long enough for the clock and short enough to lie between two switches to other
/// programs; with 3 ms a busy machine's switches were in nearly every one of the slower backend's.
const RUNS: u32 = 2;

/// Alternations between the contenders; the median of so many is steady on a machine with other work.
const ROUNDS: usize = 501;

/// Runs before the first that counts: caches, the processor's clock, buffers.
const WARM_UP_RUNS: usize = 200;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        // Cargo passes `--bench` or `--test` to what it takes for a bench.
        [] | ["--bench"] => figures(),
        ["export", file] => Ok(std::fs::write(file, trained()?.saved().onnx)?),
        ["serve", backend] => serve(backend),
        other => Err(format!("{other:?}: wanted nothing, export FILE or serve embedded|native").into()),
    }
}

/// A trained model of the published shape. Speed doesn't depend on what it learned: one epoch.
fn trained() -> Outcome<Autoencoder> {
    let setup = setup(300, N_FEATURES).ok_or("no history")?;
    Ok(Autoencoder::train(&AutoencoderSpec::new(1, 120, 1e-3)?, &setup.extracted, SEED)?)
}

fn native() -> Outcome<Option<OnnxRuntime>> {
    let Some(path) = std::env::var_os("ORT_DYLIB_PATH") else { return Ok(None) };
    Ok(Some(OnnxRuntime::native(Path::new(&path))?))
}

/// What training windows look like: noise of about one deviation.
fn batch() -> Vec<f32> {
    homeostat_benches::values(BATCH_WINDOWS, N_COLUMNS).iter().map(|value| (value - 10.0) as f32).collect()
}

/// A session with its batch, warm.
struct Contender {
    session: Box<dyn OnnxSession>,
    batch: Vec<f32>,
    out: Vec<f32>,
}

impl Contender {
    fn new(runtime: &OnnxRuntime, onnx: &[u8]) -> Outcome<Self> {
        let session = runtime.session(onnx, N_COLUMNS)?;
        let mut contender = Self { session, batch: batch(), out: Vec::new() };
        for _ in 0..WARM_UP_RUNS {
            contender.run()?;
        }
        Ok(contender)
    }

    fn run(&mut self) -> Outcome<()> {
        Ok(self.session.run(black_box(&self.batch), BATCH_WINDOWS, &mut self.out)?)
    }

    /// Microseconds a window.
    fn window_us(&mut self) -> Outcome<f64> {
        // The other contender's weights are in the caches; a service runs one backend only.
        self.run()?;
        let began = Instant::now();
        for _ in 0..RUNS {
            self.run()?;
        }
        Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS) / BATCH_WINDOWS as f64)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn minimum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Backends alternate, so that both see the machine's other work alike.
fn figures() -> Outcome<()> {
    let trained = trained()?;
    let onnx = trained.saved().onnx;
    let runtimes: Vec<OnnxRuntime> = [OnnxRuntime::embedded()].into_iter().chain(native()?).collect();
    let mut contenders = runtimes.iter().map(|runtime| Contender::new(runtime, &onnx)).collect::<Outcome<Vec<_>>>()?;
    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times.push(contender.window_us()?);
        }
    }
    let mut out = std::io::stdout().lock();
    for (runtime, times) in runtimes.iter().zip(times) {
        let name = format!("autoencoder.window_us.{}", runtime.backend());
        writeln!(out, "figure {name}.min {:.3} us", minimum(&times))?;
        writeln!(out, "figure {name} {:.3} us", median(times))?;
    }
    Ok(())
}

/// One answer for each line, until there are no more.
fn serve(backend: &str) -> Outcome<()> {
    let runtime = match backend {
        "embedded" => OnnxRuntime::embedded(),
        "native" => native()?.ok_or("set ORT_DYLIB_PATH to ONNX Runtime's library")?,
        other => return Err(format!("{other:?} is no backend: embedded or native").into()),
    };
    let mut contender = Contender::new(&runtime, &trained()?.saved().onnx)?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        line?;
        let began = Instant::now();
        contender.run()?;
        writeln!(out, "{}", began.elapsed().as_nanos())?;
        out.flush()?;
    }
    Ok(())
}
