//! How long `homeostat train` takes on a thousand series of a week at one minute, and how much memory.
//!
//! It writes an export (the same bytes every time), trains on it with the program that lies beside this one, as a user
//! would, and prints the wall time and the largest resident size. Both cores are used; run it on an idle machine.
//!
//! ```text
//! train_bench                100 workloads of 10 series, then 1000 of one series each
//! train_bench --keep DIR     the same, and leaves the exports and bundles in DIR
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is what it is for")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use homeostat_benches::values;

type Any = Box<dyn Error>;

/// Rows of a week at one minute.
const N_ROWS: usize = 7 * 1440;
/// Series of every shape.
const N_SERIES: usize = 1000;
/// Workloads and the figures' name: the usual case, and the one in which nothing but the number of series is the same.
const SHAPES: [(usize, &str); 2] = [(100, "train.1000x7d"), (1000, "train.1000x7d_single")];
/// How often the size is looked at. The kernel keeps the largest itself; only the last tenth of a second could be missed,
/// in which a bundle that is written already is closed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The first moment of the exports.
const START_S: usize = 1_767_571_200;

fn main() -> Result<(), Any> {
    let mut arguments = std::env::args_os().skip(1);
    let (dir, is_kept) = match (arguments.next(), arguments.next()) {
        (None, _) => (std::env::temp_dir().join(format!("homeostat-train-bench-{}", std::process::id())), false),
        (Some(flag), Some(dir)) if flag == "--keep" => (PathBuf::from(dir), true),
        (Some(_), _) => return Err("usage: train_bench [--keep DIR]".into()),
    };
    fs::create_dir_all(&dir)?;
    let measured = SHAPES.iter().try_for_each(|(n_subjects, name)| measure(&dir, *n_subjects, name));
    if !is_kept {
        fs::remove_dir_all(&dir)?;
    }
    measured
}

fn measure(dir: &Path, n_subjects: usize, name: &str) -> Result<(), Any> {
    let export = dir.join(format!("{n_subjects}.csv"));
    if !export.exists() {
        write_export(&export, n_subjects)?;
    }
    let bundle = dir.join(format!("{n_subjects}.bundle"));
    if bundle.exists() {
        fs::remove_dir_all(&bundle)?;
    }
    let program = std::env::current_exe()?.with_file_name("homeostat");
    let began = Instant::now();
    let child = Command::new(&program)
        .args(["train", "--log.level", "warn", "--output"])
        .args([&bundle, &export])
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}; build it in the same profile", program.display()))?;
    let peak_kib = watch(child)?;
    println!("figure {name}_s {:.1} s", began.elapsed().as_secs_f64());
    println!("figure {name}_mib {} MiB", peak_kib / 1024);
    println!("figure {name}_bundle_mib {:.1} MiB", size_bytes(&bundle)? as f64 / f64::from(1 << 20));
    Ok(())
}

/// Waits for the end, and says the largest resident size.
fn watch(mut child: Child) -> Result<u64, Any> {
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        if let Some(ended) = child.try_wait()? {
            return if ended.success() { Ok(peak_kib) } else { Err(format!("the training ended with {ended}").into()) };
        }
        let status = fs::read_to_string(&status_file).unwrap_or_default();
        let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = high.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A table with a row for each moment and workload.
fn write_export(path: &Path, n_subjects: usize) -> Result<(), Any> {
    let n_features = N_SERIES / n_subjects;
    let all = values(n_subjects * N_ROWS, n_features);
    let mut file = BufWriter::new(File::create(path)?);
    write!(file, "timestamp,namespace,workload")?;
    (0..n_features).try_for_each(|idx| write!(file, ",feature-{idx}"))?;
    writeln!(file)?;
    for row in 0..N_ROWS {
        for subject in 0..n_subjects {
            write!(file, "{},shop,service-{subject:04}", START_S + 60 * row)?;
            let cells = all.row(subject * N_ROWS + row);
            cells.iter().try_for_each(|value| write!(file, ",{value:.4}"))?;
            writeln!(file)?;
        }
    }
    file.flush()?;
    Ok(())
}

fn size_bytes(path: &Path) -> Result<u64, Any> {
    if !path.is_dir() {
        return Ok(fs::metadata(path)?.len());
    }
    fs::read_dir(path)?.map(|entry| size_bytes(&entry?.path())).sum()
}
