//! Roll-outs that others made: what a new version broke is only called that if homeostat knows that there is a new version.
//!
//! They come from a query that gives, for each workload, when it was last rolled out.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::{Rollout, Subject, Timestamp};
use homeostat_ingest::{FetchError, Matrix, SubjectRule};

/// Older roll-outs explain no incident: typing looks back half an hour, and fills up what it follows for hours.
const KEPT_FOR: Duration = Duration::from_secs(86_400);
/// A roll-out seen so close to one of ours is ours: the API server's clock stamps it, and kube-state-metrics tells it later.
const OURS_WITHIN: Duration = Duration::from_secs(120);

/// When each workload was last rolled out.
#[derive(Debug)]
pub(crate) struct RolloutWatch {
    expr: String,
    rule: SubjectRule,
    last: BTreeMap<Subject, Timestamp>,
    /// Whether the last answer was missing or empty, so that it's told once.
    is_silent: bool,
}

impl RolloutWatch {
    /// Asks this, and finds workloads in the answer by this rule.
    pub(crate) fn new(expr: String, rule: SubjectRule) -> Self {
        Self { expr, rule, last: BTreeMap::new(), is_silent: false }
    }

    /// What to ask.
    pub(crate) fn expr(&self) -> &str {
        &self.expr
    }

    /// Takes an answer. Without one, what is known stays.
    pub(crate) fn take(&mut self, answer: Result<Matrix, FetchError>, now: Timestamp) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.silent(&format!("no answer: {error}")),
        };
        for series in answer.series() {
            let (Some(subject), Some(sample)) = (self.rule.subject(series.labels()), series.samples().last()) else {
                continue;
            };
            let at = Timestamp::from_millis((sample.value * 1000.0) as i64);
            // What is said to come is a clock that is off, not a roll-out.
            if at <= now + OURS_WITHIN {
                let last = self.last.entry(subject).or_insert(at);
                *last = (*last).max(at);
            }
        }
        self.last.retain(|_, at| now.since(*at) <= KEPT_FOR);
        if answer.series().is_empty() {
            self.silent("the answer is empty");
        } else if std::mem::take(&mut self.is_silent) {
            tracing::info!("roll-outs are known again");
        }
    }

    fn silent(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_silent, true) {
            tracing::warn!(
                why,
                "roll-outs of others aren't known, so no incident can be typed bad-deployment; check the query `rollouts` and kube-state-metrics"
            );
        }
    }

    /// Those of them that aren't `ours`.
    pub(crate) fn of_others(&self, ours: &[Rollout]) -> Vec<Rollout> {
        let is_ours = |subject: &Subject, at: Timestamp| {
            let apart = |ours: &Rollout| ours.at.since(at).max(at.since(ours.at));
            ours.iter().any(|ours| ours.subject == *subject && apart(ours) <= OURS_WITHIN)
        };
        let others = self.last.iter().filter(|(subject, at)| !is_ours(subject, **at));
        others
            .map(|(subject, at)| Rollout { subject: subject.clone(), at: *at, revision: at.to_string(), by_us: false })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use homeostat_ingest::{DecodeLimits, decode_matrix};

    use super::*;

    fn answer(series: &[(&str, i64)]) -> Result<Matrix, FetchError> {
        let series: Vec<String> = series
            .iter()
            .map(|(name, at)| {
                format!(r#"{{"metric":{{"namespace":"shop","workload":"{name}"}},"values":[[100000,"{at}"]]}}"#)
            })
            .collect();
        let text =
            format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#, series.join(","));
        Ok(decode_matrix(text.as_bytes(), &DecodeLimits::default()).expect("an answer"))
    }

    fn watch() -> RolloutWatch {
        RolloutWatch::new("expr".into(), SubjectRule::default())
    }

    const NOW: Timestamp = Timestamp::from_secs(100_000);

    #[test]
    fn the_newest_roll_out_of_each_workload_is_known_and_an_outage_forgets_none() {
        let mut watch = watch();
        watch.take(answer(&[("cart", 99_000), ("web", 5_000)]), NOW);
        watch.take(Err(FetchError::Unreachable { server: "p".into(), why: "down".into() }), NOW);
        let others = watch.of_others(&[]);
        assert_eq!(others.len(), 1, "a day and more is too long ago: {others:?}");
        assert_eq!((others[0].subject.name.as_str(), others[0].at.as_millis()), ("cart", 99_000_000));
        assert!(!others[0].by_us);
        watch.take(answer(&[("cart", 99_500)]), NOW);
        assert_eq!(watch.of_others(&[])[0].at, Timestamp::from_secs(99_500));
    }

    #[test]
    fn what_we_did_ourselves_blames_nobody() {
        let mut watch = watch();
        watch.take(answer(&[("cart", 99_030), ("web", 99_030)]), NOW);
        let cart = Subject::deployment("shop", "cart");
        let ours = [Rollout { subject: cart, at: Timestamp::from_secs(99_000), revision: "plan".into(), by_us: true }];
        let others = watch.of_others(&ours);
        assert_eq!(others.iter().map(|other| other.subject.name.as_str()).collect::<Vec<_>>(), ["web"]);
    }

    #[test]
    fn a_roll_out_of_the_future_is_none() {
        let mut watch = watch();
        watch.take(answer(&[("cart", 200_000)]), NOW);
        assert!(watch.of_others(&[]).is_empty());
    }
}
