//! How far a long task is: a bar on a terminal, else a plain log line now and then.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A bar is drawn anew at most so often: more than an eye follows.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// Log lines are at least this far apart, and a task that is done before the first says nothing.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Characters of the bar itself; the whole line stays below the 80 of a narrow terminal.
const BAR_CHARS: usize = 20;

/// Whether the terminal's last line is a bar, which a log line must wipe away first.
static BAR_IS_DRAWN: AtomicBool = AtomicBool::new(false);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things, called by their plural.
    Count(&'static str),
    /// Bytes, told as MB.
    Bytes,
}

/// A task under way. It may be told from several threads.
#[derive(Debug)]
pub(crate) struct Progress {
    task: &'static str,
    unit: Unit,
    n_total: u64,
    is_terminal: bool,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    n_done: u64,
    /// Done already at the beginning: no part of the rate.
    n_before: u64,
    told_at: Instant,
}

impl Progress {
    /// Begins a task of so many units.
    pub(crate) fn begin(task: &'static str, unit: Unit, n_total: u64) -> Self {
        let began = Instant::now();
        let state = Mutex::new(State { n_done: 0, n_before: 0, told_at: began });
        Self { task, unit, n_total, is_terminal: std::io::stderr().is_terminal(), began, state }
    }

    /// So many were done before it began.
    pub(crate) fn go_on_from(&self, n: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.n_before += n;
        state.n_done += n;
    }

    /// So many more are done.
    pub(crate) fn add(&self, n: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.n_done += n;
        let wait = if self.is_terminal { REDRAW_EVERY } else { LOG_EVERY };
        if state.told_at.elapsed() < wait {
            return;
        }
        state.told_at = Instant::now();
        let told = Told {
            task: self.task,
            unit: self.unit,
            n_done: state.n_done,
            n_before: state.n_before,
            n_total: self.n_total,
        };
        if self.is_terminal {
            let mut stderr = std::io::stderr().lock();
            // Nobody is there to tell if that fails.
            let _ = write!(stderr, "\r{}\x1b[K", told.bar(self.began.elapsed())).and_then(|()| stderr.flush());
            BAR_IS_DRAWN.store(true, Ordering::Relaxed);
        } else {
            tracing::info!("{}", told.line(self.began.elapsed()));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        wipe();
    }
}

/// Takes the bar away, if there is one.
fn wipe() {
    if BAR_IS_DRAWN.swap(false, Ordering::Relaxed) {
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r\x1b[K").and_then(|()| stderr.flush());
    }
}

/// Standard error for log lines: a bar makes room for them, and is drawn again after.
pub(crate) fn log_writer() -> std::io::Stderr {
    wipe();
    std::io::stderr()
}

/// What there is to tell.
struct Told {
    task: &'static str,
    unit: Unit,
    n_done: u64,
    n_before: u64,
    n_total: u64,
}

impl Told {
    fn bar(&self, elapsed: Duration) -> String {
        let filled = (self.share() * BAR_CHARS as f64) as usize;
        let bar = format!("{}{}", "#".repeat(filled), "-".repeat(BAR_CHARS - filled));
        format!("{} [{bar}] {}", self.task, self.counts(elapsed))
    }

    fn line(&self, elapsed: Duration) -> String {
        format!("{}: {}", self.task, self.counts(elapsed))
    }

    fn share(&self) -> f64 {
        (self.n_done as f64 / self.n_total.max(1) as f64).min(1.0)
    }

    /// How many of how many, how many a second, and how long it will take at this rate.
    fn counts(&self, elapsed: Duration) -> String {
        let rate = self.n_done.saturating_sub(self.n_before) as f64 / elapsed.as_secs_f64().max(1e-3);
        let left = self.n_total.saturating_sub(self.n_done) as f64 / rate.max(1e-9);
        let (counts, rate) = match self.unit {
            Unit::Count(plural) => (format!("{} of {} {plural}", self.n_done, self.n_total), format!("{rate:.1}/s")),
            Unit::Bytes => {
                let mb = |bytes: f64| bytes / 1e6;
                let (done, total) = (mb(self.n_done as f64), mb(self.n_total as f64));
                (format!("{done:.0} of {total:.0} MB"), format!("{:.1} MB/s", mb(rate)))
            }
        };
        let percent = (100.0 * self.share()).floor();
        format!("{counts} ({percent:.0} %), {rate}, {} left", seconds_text(left))
    }
}

/// Seconds as people say them.
pub(crate) fn seconds_text(seconds: f64) -> String {
    if seconds < 1.0 {
        return "less than 1s".to_owned();
    }
    // A week and more is "long": the rate of the first moment may be anything.
    let whole = seconds.min(7.0 * 86_400.0).round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_has_count_share_rate_and_the_time_left() {
        let told = Told { task: "training", unit: Unit::Count("subjects"), n_done: 250, n_before: 0, n_total: 1000 };
        let after = Duration::from_secs(10);
        assert_eq!(told.line(after), "training: 250 of 1000 subjects (25 %), 25.0/s, 30s left");
        assert_eq!(told.bar(after), "training [#####---------------] 250 of 1000 subjects (25 %), 25.0/s, 30s left");
        let resumed = Told { n_before: 200, ..told };
        assert_eq!(resumed.line(after), "training: 250 of 1000 subjects (25 %), 5.0/s, 2m30s left");
        let bytes = Told { task: "reading", unit: Unit::Bytes, n_done: 30_000_000, n_before: 0, n_total: 60_000_000 };
        assert_eq!(bytes.line(Duration::from_secs(2)), "reading: 30 of 60 MB (50 %), 15.0 MB/s, 2s left");
    }

    #[test]
    fn a_line_fits_a_narrow_terminal_and_odd_counts_break_nothing() {
        for (n_done, n_total) in [(0, 0), (5, 3), (0, 10_000), (9_999, 10_000)] {
            let told = Told { task: "training", unit: Unit::Count("subjects"), n_done, n_before: 0, n_total };
            for after in [Duration::ZERO, Duration::from_secs(100_000)] {
                assert!(told.bar(after).len() <= 100, "{}", told.bar(after));
            }
        }
        assert_eq!(seconds_text(3_725.0), "1h02m");
        assert_eq!(seconds_text(f64::INFINITY), "168h00m");
    }
}
