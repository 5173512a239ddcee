//! The program `homeostat`: commands and wiring. What the commands do is in the other crates; this one only connects them.

use std::process::ExitCode;

use clap::Parser;

mod approvals;
mod calibration;
mod cli;
mod clock;
mod closed_loop;
mod commands;
mod config;
mod dataset_input;
mod endings;
mod flags;
mod inbox;
mod inputs;
mod kill_switch;
mod labels;
mod logging;
mod outcome;
mod pretend_executor;
mod progress;
mod reading;
mod serve;
mod shop_executor;
mod signals;
mod source;
mod training;
mod web;
mod whole_file;
mod witness;
mod words;

fn main() -> ExitCode {
    let args = cli::Args::parse();
    cli::run(args).exit_code()
}
