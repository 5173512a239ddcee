//! Says in the log when queries stop being answered and when they are answered again: a line for each change, not one for
//! each query and cycle.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::format_duration;
use homeostat_ingest::FetchError;

/// An outage that lasts is told again this often, so that a log that was rotated still has it.
const TELL_AGAIN: Duration = Duration::from_secs(3_600);

/// Which queries aren't answered.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// By query: the reason's stable name.
    failed: BTreeMap<String, &'static str>,
    /// When it began and when it was last told, by the clock that never steps.
    since: Option<(Duration, Duration)>,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Other queries fail than before, or for another reason, or it goes on for another hour.
    Failing {
        /// How many.
        n_failed: usize,
        /// Their names.
        queries: String,
        /// The first one's error.
        error: String,
    },
    /// All are answered again.
    Over {
        /// How long it took.
        after: Duration,
    },
}

impl Outage {
    /// Takes what failed in a cycle that ended at `elapsed`, and gives what is worth telling.
    pub(crate) fn cycle(&mut self, elapsed: Duration, failed: &[(String, FetchError)]) -> Option<Told> {
        let now: BTreeMap<String, &'static str> =
            failed.iter().map(|(query, error)| (query.clone(), error.reason())).collect();
        let Some((_, error)) = failed.first() else {
            self.failed.clear();
            let (began, _) = self.since.take()?;
            return Some(Told::Over { after: elapsed.saturating_sub(began) });
        };
        let (began, told) = self.since.unwrap_or((elapsed, elapsed));
        let is_new = self.since.is_none() || now != self.failed;
        self.failed = now;
        if !is_new && elapsed.saturating_sub(told) < TELL_AGAIN {
            return None;
        }
        self.since = Some((began, elapsed));
        let queries: Vec<&str> = self.failed.keys().map(String::as_str).collect();
        Some(Told::Failing { n_failed: failed.len(), queries: queries.join(", "), error: error.to_string() })
    }
}

impl Outage {
    /// What is wrong now, in a few words.
    pub(crate) fn trouble(&self) -> Option<String> {
        let (query, reason) = self.failed.first_key_value()?;
        let others = self.failed.len() - 1;
        let more = if others > 0 { format!(" and {others} more") } else { String::new() };
        Some(format!("no answer to the query {query}{more} ({reason}); check Prometheus"))
    }
}

impl Told {
    /// Writes it into the log. `what` says which queries these are.
    pub(crate) fn log(&self, what: &str, n_queries: usize) {
        match self {
            Self::Failing { n_failed, queries, error } => tracing::warn!(
                queries,
                failed = n_failed,
                of = n_queries,
                error,
                "no answer to {what}; their features have gaps until Prometheus answers again"
            ),
            Self::Over { after } => {
                let after = format_duration(Duration::from_secs(after.as_secs()));
                tracing::info!(after, "all {what} are answered again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(queries: &[&str]) -> Vec<(String, FetchError)> {
        let error = || FetchError::Unreachable { server: "p".into(), why: "refused".into() };
        queries.iter().map(|query| ((*query).to_owned(), error())).collect()
    }

    #[test]
    fn an_outage_is_told_when_it_begins_changes_and_ends() {
        let mut outage = Outage::default();
        let second = Duration::from_secs;
        assert_eq!(outage.cycle(second(0), &[]), None);
        let begun = outage.cycle(second(60), &failed(&["cpu", "memory"]));
        assert!(matches!(begun, Some(Told::Failing { n_failed: 2, ref queries, .. }) if queries == "cpu, memory"));
        for minute in 2..60 {
            assert_eq!(outage.cycle(second(minute * 60), &failed(&["cpu", "memory"])), None, "minute {minute}");
        }
        assert!(outage.cycle(second(61 * 60), &failed(&["cpu", "memory"])).is_some(), "it is told again each hour");
        assert!(outage.cycle(second(62 * 60), &failed(&["cpu"])).is_some(), "one of them is answered");
        assert_eq!(outage.cycle(second(63 * 60), &[]), Some(Told::Over { after: second(62 * 60) }));
        assert_eq!(outage.cycle(second(64 * 60), &[]), None);
    }
}
