//! Features with a limit, followed to it: an [`Exhaustion`] for each of a subject's.
//!
//! It opens no incident: what is said here is told with one. When a trend is one is [`Exhaustion`]'s business.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::{Direction, LimitAhead, Schema, Signal, Timestamp};
use homeostat_detect::FeatureState;

use crate::exhaustion::{Exhaustion, NotAResource, Outlook};

/// How far back the trend of memory looks: a process that leaks shows it within two hours.
const WINDOW_MEMORY: Duration = Duration::from_secs(2 * 3_600);

/// The same of everything else: disks, queues and tables fill in hours.
const WINDOW: Duration = Duration::from_secs(6 * 3_600);

/// A trend is drawn through at least twenty blocks, so a window has at least three times as many rows.
const WINDOW_ROWS_MIN: u32 = 60;

/// A trend over hours foretells some of its own length and no more: what is further ahead than twelve windows, a day of memory
/// and three of a disk, isn't told.
const HORIZON_WINDOWS: u32 = 12;

/// The features of one subject that have a limit, and how they go towards it.
///
/// ```
/// use std::{collections::BTreeMap, time::Duration};
/// use homeostat_core::{Schema, Timestamp};
/// use homeostat_incidents::LimitWatch;
///
/// let schema: Schema = serde_json::from_str(r#"[{"name":"memory","signal":"memory","direction":"up"}]"#)?;
/// let limits = BTreeMap::from([("memory".to_owned(), 1.0)]);
/// let mut watch = LimitWatch::new(&schema, Duration::from_secs(60), &limits)?;
/// for minute in 0..120 {
///     watch.observe(Timestamp::from_secs(60 * minute), &[Some(0.5 + 0.002 * minute as f64)]);
/// }
/// let ahead = watch.ahead("memory", Timestamp::from_secs(60 * 119)).ok_or("it fills up")?;
/// assert!(ahead.to_string().starts_with("memory reaches its limit in about 2 h"), "{ahead}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LimitWatch {
    /// One for each feature with a limit, in the schema's order.
    resources: Vec<Resource>,
    /// The newest roll-out that it was told of.
    restarted_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Resource {
    feature: String,
    signal: Signal,
    feature_idx: usize,
    horizon: Duration,
    exhaustion: Exhaustion,
}

impl LimitWatch {
    /// For rows of `schema`, one a `step`. `limits` are by feature name, each in its feature's own unit; names that the schema
    /// doesn't have are left alone. A feature whose falling alone matters ([`Direction::Down`]) falls to its limit, all
    /// others rise to theirs.
    ///
    /// # Errors
    /// [`NotAResource`] for a limit that is no finite number.
    pub fn new(schema: &Schema, step: Duration, limits: &BTreeMap<String, f64>) -> Result<Self, NotAResource> {
        let mut resources = Vec::new();
        for (feature_idx, feature) in schema.features().iter().enumerate() {
            let Some(limit) = limits.get(&feature.name) else { continue };
            let window = if feature.signal == Signal::Memory { WINDOW_MEMORY } else { WINDOW };
            let window = window.max(step.saturating_mul(WINDOW_ROWS_MIN));
            let exhaustion = match feature.direction {
                Direction::Down => Exhaustion::falling_to(*limit, window)?,
                Direction::Up | Direction::Both => Exhaustion::rising_to(*limit, window)?,
            };
            resources.push(Resource {
                feature: feature.name.clone(),
                signal: feature.signal,
                feature_idx,
                horizon: window.saturating_mul(HORIZON_WINDOWS),
                exhaustion,
            });
        }
        Ok(Self { resources, restarted_at: None })
    }

    /// Whether no feature has a limit.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// A roll-out began at `at`: other processes fill the same limits from then on. One that it knows changes nothing.
    pub fn rolled_out(&mut self, at: Timestamp) {
        if self.restarted_at.is_none_or(|known| at > known) {
            self.restarted_at = Some(at);
            self.resources.iter_mut().for_each(|resource| resource.exhaustion.restarted());
        }
    }

    /// Takes a row, `(n_features)`; `None` is a gap. Rows come in order.
    pub fn observe(&mut self, at: Timestamp, row: &[Option<f64>]) {
        self.take(at, |idx| row.get(idx).copied().flatten());
    }

    pub(crate) fn take_states(&mut self, at: Timestamp, states: &[FeatureState]) {
        self.take(at, |idx| states.get(idx).and_then(|state| state.value));
    }

    fn take(&mut self, at: Timestamp, value: impl Fn(usize) -> Option<f64>) {
        for resource in &mut self.resources {
            resource.exhaustion.take(at, value(resource.feature_idx).unwrap_or(f64::NAN));
        }
    }

    /// When this feature reaches its limit, as of the row at `as_of`, if it has a limit and a trend that gets there within
    /// twelve times the window the trend is drawn through. The trend is drawn here, when somebody asks: some tens of
    /// microseconds.
    pub fn ahead(&self, feature: &str, as_of: Timestamp) -> Option<LimitAhead> {
        let resource = self.resources.iter().find(|resource| resource.feature == feature)?;
        let (expected, earliest, latest) = match resource.exhaustion.look() {
            Outlook::NotReady | Outlook::Steady => return None,
            Outlook::Filling(left) => (left.seconds, left.seconds_min, left.seconds_max),
            Outlook::Exhausted => (0.0, 0.0, 0.0),
        };
        if expected > resource.horizon.as_secs_f64() {
            return None;
        }
        // Whole seconds: what is told isn't surer than that. Exhaustion bounds them by a year.
        let at = |seconds: f64| as_of + Duration::from_secs(seconds.max(0.0) as u64);
        Some(LimitAhead {
            feature: resource.feature.clone(),
            signal: resource.signal,
            as_of,
            expected_at: at(expected),
            earliest_at: at(earliest),
            latest_at: at(latest),
        })
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        let resource = |resource: &Resource| {
            size_of::<Resource>() + resource.feature.capacity() + resource.exhaustion.memory_bytes()
        };
        size_of::<Self>() + self.resources.iter().map(resource).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(60);

    fn schema() -> Schema {
        serde_json::from_str(
            r#"[{"name":"cpu","signal":"cpu"},{"name":"memory","signal":"memory","direction":"up"},
                {"name":"disk-free","signal":"other","direction":"down"}]"#,
        )
        .expect("a schema")
    }

    fn watch(limits: &[(&str, f64)]) -> LimitWatch {
        let limits = limits.iter().map(|(name, limit)| ((*name).to_owned(), *limit)).collect();
        LimitWatch::new(&schema(), STEP, &limits).expect("limits")
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(60 * minute)
    }

    /// Memory rises by `slope` a minute for two and a half hours, free disk falls by as much.
    fn filled(limits: &[(&str, f64)], slope: f64) -> LimitWatch {
        let mut watch = watch(limits);
        for minute in 0..=150 {
            let gone = slope * minute as f64;
            watch.observe(at(minute), &[Some(gone), Some(0.5 + gone), Some(0.5 - gone)]);
        }
        watch
    }

    #[test]
    fn memory_rises_to_its_limit_and_free_disk_falls_to_its_own() {
        let watch = filled(&[("memory", 1.0), ("disk-free", 0.0)], 0.002);
        for feature in ["memory", "disk-free"] {
            let ahead = watch.ahead(feature, at(150)).expect(feature);
            let minutes = ahead.expected_at.since(at(150)).as_secs() / 60;
            assert!((95..=105).contains(&minutes), "{ahead}");
            assert!(ahead.earliest_at <= ahead.expected_at && ahead.expected_at <= ahead.latest_at, "{ahead:?}");
        }
        assert_eq!(watch.ahead("cpu", at(150)), None, "it has no limit");
    }

    #[test]
    fn what_is_further_ahead_than_a_trend_can_tell_is_not_told() {
        assert!(filled(&[("memory", 1.0)], 0.000_4).ahead("memory", at(150)).is_some(), "within a day");
        assert_eq!(filled(&[("memory", 1.0)], 0.000_2).ahead("memory", at(150)), None, "in a day and a half");
    }

    #[test]
    fn a_roll_out_starts_anew_and_an_old_one_does_not() {
        let mut watch = filled(&[("memory", 1.0)], 0.002);
        watch.rolled_out(at(60));
        assert_eq!(watch.ahead("memory", at(150)), None);
        for minute in 151..=270 {
            watch.rolled_out(at(60));
            watch.observe(at(minute), &[None, Some(0.002 * minute as f64), None]);
        }
        assert!(watch.ahead("memory", at(270)).is_some());
    }

    #[test]
    fn at_its_limit_it_is_said_to_have_reached_it() {
        let mut watch = watch(&[("memory", 1.0)]);
        watch.observe(at(0), &[None, Some(1.0), None]);
        let ahead = watch.ahead("memory", at(0)).expect("it is full");
        assert_eq!(ahead.to_string(), "memory has reached its limit");
    }

    #[test]
    fn a_limit_that_is_no_number_is_refused() {
        let limits = BTreeMap::from([("memory".to_owned(), f64::NAN)]);
        assert!(matches!(LimitWatch::new(&schema(), STEP, &limits), Err(NotAResource::Limit(_))));
    }
}
