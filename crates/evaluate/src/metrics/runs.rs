//! Runs of consecutive rows: labelled events and episodes of alerts.

/// Consecutive rows, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first row.
    pub first: usize,
    /// The last row.
    pub last: usize,
}

impl Run {
    /// The runs of rows that are `true`, in order.
    pub fn all(flags: &[bool]) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for (row, _) in flags.iter().enumerate().filter(|(_, flag)| **flag) {
            match runs.last_mut() {
                Some(run) if run.last + 1 == row => run.last = row,
                Some(_) | None => runs.push(Self { first: row, last: row }),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run() {
        let flags = [true, true, false, true, false, false, true];
        let found: Vec<(usize, usize)> = Run::all(&flags).iter().map(|run| (run.first, run.last)).collect();
        assert_eq!(found, [(0, 1), (3, 3), (6, 6)]);
        assert!(Run::all(&[]).is_empty() && Run::all(&[false]).is_empty());
    }
}
