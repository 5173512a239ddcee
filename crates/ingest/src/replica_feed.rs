//! Rolling windows of single replicas: a [`Feed`] whose subjects are pods, and who is whose.

use std::collections::BTreeMap;

use homeostat_core::{GridError, ReplicaWindow, Subject, Timestamp, Window, WorkloadKind};

use crate::feed::{Feed, FeedConfig, FeedError, Pushed};
use crate::matrix::{Labels, Matrix};
use crate::subject_rule::SubjectRule;

/// The last rows of every replica, by one label more than names a workload.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::Timestamp;
/// use homeostat_ingest::{DecodeLimits, FeedConfig, Query, QuerySet, ReplicaFeed, SubjectRule, decode_matrix};
///
/// let latency: Query = serde_json::from_str(r#"{"name":"latency","expr":"pod_latency","signal":"latency"}"#)?;
/// let (rule, step) = (SubjectRule::default(), Duration::from_secs(60));
/// let config = FeedConfig { queries: QuerySet::new(vec![latency])?, rule, step, n_steps: 3, subjects_max: 100 };
/// let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{"namespace":"shop","workload":"cart","pod":"cart-a"},"values":[[60,"0.2"]]},
///     {"metric":{"namespace":"shop","workload":"cart","pod":"cart-b"},"values":[[60,"0.9"]]}]}}"#;
/// let mut feed = ReplicaFeed::new(config, "pod".into())?;
/// let now = Timestamp::from_secs(60);
/// feed.push(&[Some(decode_matrix(answer, &DecodeLimits::default())?)], now, now)?;
/// let pods = feed.windows_at(now)?;
/// assert_eq!((pods[1].replica.as_str(), pods[1].window.last_row()[0]), ("cart-b", 0.9));
/// assert_eq!(pods[1].window.subject().name, "cart", "a window's subject is the workload");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReplicaFeed {
    feed: Feed,
    /// Which workload a series is of.
    rule: SubjectRule,
    /// Of the replicas that have rows, by the subject that stands for them in the feed.
    workloads: BTreeMap<Subject, Subject>,
}

impl ReplicaFeed {
    /// `config.rule` names the workload of a series and `replica_label` the replica; at most `config.subjects_max` replicas
    /// are kept.
    ///
    /// # Errors
    /// [`GridError`] for sizes that make no grid, as in [`Feed::new`].
    pub fn new(config: FeedConfig, replica_label: String) -> Result<Self, GridError> {
        let rule = config.rule.clone();
        // Two workloads of one namespace never have pods of one name.
        let of_replica = SubjectRule { name_label: replica_label, kind: WorkloadKind::External, ..rule.clone() };
        let feed = Feed::new(FeedConfig { rule: of_replica, ..config })?;
        Ok(Self { feed, rule, workloads: BTreeMap::new() })
    }

    /// Takes in rows, as [`Feed::push`] does. A series without a workload or a replica is left out and counted.
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn push(&mut self, matrices: &[Option<Matrix>], start: Timestamp, end: Timestamp) -> Result<Pushed, FeedError> {
        for series in matrices.iter().flatten().flat_map(Matrix::series) {
            if let (Some(replica), Some(workload)) = (self.replica(series.labels()), self.rule.subject(series.labels()))
            {
                self.workloads.insert(replica, workload);
            }
        }
        self.feed.push(matrices, start, end)
    }

    /// One window for each replica with a measurement in it, sorted by replica, each ending exactly at `at`.
    ///
    /// # Errors
    /// As [`Feed::windows_at`].
    pub fn windows_at(&mut self, at: Timestamp) -> Result<Vec<ReplicaWindow>, FeedError> {
        let windows = self.feed.windows_at(at)?;
        // Who has no rows any more is forgotten, so that this grows no larger than the feed.
        self.workloads.retain(|replica, _| windows.binary_search_by(|window| window.subject().cmp(replica)).is_ok());
        let of_workload = |window: Window| {
            let workload = self.workloads.get(window.subject())?.clone();
            let replica = window.subject().name.clone();
            let (grid, schema, values) = (*window.grid(), window.schema().clone(), window.values().to_owned());
            Some(ReplicaWindow { replica, window: Window::new(workload, grid, schema, values).ok()? })
        };
        Ok(windows.into_iter().filter_map(of_workload).collect())
    }

    /// The rows, by replica.
    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The rows, to be written.
    pub(crate) fn feed_mut(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// As [`Feed::clear`].
    pub fn clear(&mut self) {
        self.feed.clear();
        self.workloads.clear();
    }

    /// The newest row's moment; `None` until the first push.
    pub fn end(&self) -> Option<Timestamp> {
        self.feed.end()
    }

    fn replica(&self, labels: &Labels) -> Option<Subject> {
        self.feed.config().rule.subject(labels)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::matrix::{Dropped, Sample, Series};
    use crate::query::tests::query;
    use crate::query::{Aggregation, OnMissing, QuerySet};

    fn feed(subjects_max: usize) -> ReplicaFeed {
        let queries = QuerySet::new(vec![query("latency", Aggregation::Max, OnMissing::Gap)]).expect("queries");
        let (rule, step) = (SubjectRule::default(), Duration::from_secs(60));
        ReplicaFeed::new(FeedConfig { queries, rule, step, n_steps: 3, subjects_max }, "pod".into()).expect("a feed")
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(60 * minute)
    }

    fn answer(minute: i64, series: &[&[(&str, &str)]]) -> Vec<Option<Matrix>> {
        let series = series.iter().map(|labels| {
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Series::new(labels, vec![Sample { at: at(minute), value: 1.0 }]).0
        });
        vec![Some(Matrix::new(series.collect(), Dropped::default()))]
    }

    const CART: [(&str, &str); 3] = [("namespace", "shop"), ("workload", "cart"), ("pod", "cart-a")];

    #[test]
    fn a_series_without_a_replica_or_a_workload_is_left_out() {
        let mut feed = feed(10);
        let pushed = feed.push(&answer(1, &[&CART, &CART[..2], &[CART[0], CART[2]]]), at(1), at(1)).expect("rows");
        assert_eq!(pushed.unplaced[0].series_unmatched, 1, "no pod");
        let windows = feed.windows_at(at(1)).expect("windows");
        let names: Vec<&str> = windows.iter().map(|one| one.replica.as_str()).collect();
        assert_eq!(names, ["cart-a"]);
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let mut feed = feed(10);
        for minute in 1..=20 {
            let pod = format!("cart-{minute}");
            let labels = [CART[0], CART[1], ("pod", pod.as_str())];
            feed.push(&answer(minute, &[&labels]), at(minute), at(minute)).expect("rows");
            feed.windows_at(at(minute)).expect("windows");
        }
        assert_eq!(feed.workloads.len(), 3, "as many as the feed has rows of");
        assert_eq!(feed.end(), Some(at(20)));
    }
}
