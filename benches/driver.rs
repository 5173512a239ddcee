//! What the drivers of a comparison share: arguments, matrices from files, and the line protocol.
//!
//! A driver prepares, then does one pass for each line on standard input and prints `nanoseconds checksum`. So another
//! program can let it and its peers take turns, run by run, and noise of the machine hits all alike.

#![allow(clippy::print_stdout, reason = "printing is the protocol")]

use std::error::Error;
use std::io::{BufRead, Write};
use std::str::FromStr;
use std::time::Duration;

use ndarray::Array2;

/// Arguments of the form `--name value`.
#[derive(Debug)]
pub struct Args(Vec<(String, String)>);

impl Args {
    /// Reads the program's arguments; only `names` are allowed.
    pub fn read(names: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut given = std::env::args().skip(1);
        let mut read = Vec::new();
        while let Some(arg) = given.next() {
            let name = arg.strip_prefix("--").filter(|name| names.contains(name));
            let name = name.ok_or_else(|| format!("{arg}: give --{} and a value each", names.join(", --")))?;
            read.push((name.to_owned(), given.next().ok_or_else(|| format!("{arg} needs a value"))?));
        }
        Ok(Self(read))
    }

    /// The value of `--name`, if it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of `--name`, which must be given.
    pub fn wanted(&self, name: &str) -> Result<&str, Box<dyn Error>> {
        self.get(name).ok_or_else(|| format!("--{name} is wanted").into())
    }

    /// The value of `--name` as a number, which must be given.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<T, Box<dyn Error>> {
        let value = self.wanted(name)?;
        value.parse().map_err(|_| format!("--{name} must be a whole number, not {value}").into())
    }
}

/// Reads a matrix of little-endian `f64`, row by row, `(n_rows, n_features)`.
pub fn matrix(path: &str, n_features: usize) -> Result<Array2<f64>, Box<dyn Error>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let (cells, rest) = bytes.as_chunks::<8>();
    if n_features == 0 || cells.len() % n_features != 0 || !rest.is_empty() {
        return Err(format!("{path}: {} bytes are no rows of {n_features} f64", bytes.len()).into());
    }
    let cells = cells.iter().map(|cell| f64::from_le_bytes(*cell)).collect::<Vec<_>>();
    Ok(Array2::from_shape_vec((cells.len() / n_features, n_features), cells)?)
}

/// Does one pass for each line on standard input, and prints how long it took and a checksum of what it computed.
pub fn passes(mut pass: impl FnMut() -> Result<(Duration, f64), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        line?;
        let (took, checksum) = pass()?;
        println!("{} {checksum}", took.as_nanos());
        // The other side waits for this line before it lets a peer run.
        std::io::stdout().flush()?;
    }
    Ok(())
}
