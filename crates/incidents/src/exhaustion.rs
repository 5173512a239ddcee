//! When a resource that fills up (memory, disk) will be exhausted: a robust trend, and the time it leaves.
//!
//! It knows no seasons and no detectors: moments and measurements against a limit in, a time with an interval out. The trend
//! is Theil's and Sen's over a bounded number of block means; what comes down by itself (garbage collection, log
//! rotation) and what rises in one step is told from what fills up.

mod teeth;
mod trend;

use std::time::Duration;

use homeostat_core::{RawScore, Timestamp};
use serde::{Deserialize, Serialize};

use teeth::Teeth;
use trend::{Trend, trend};

/// Blocks kept: of a two-hour window each is two minutes long, of a six-hour window six. All pairs of 60 are 1 770 slopes,
/// some tens of microseconds once a block.
const BLOCKS_MAX: usize = 60;

/// Fewest blocks a trend is drawn through: a third of the window.
const BLOCKS_MIN: usize = 20;

/// How a resource is exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Direction {
    /// It rises to the limit: memory used.
    Rising,
    /// It falls to the limit: bytes available on a disk, to 0.
    Falling,
}

/// Why two numbers make no [`Exhaustion`].
///
/// ```
/// use std::time::Duration;
/// use homeostat_incidents::{Exhaustion, NotAResource};
///
/// let two_hours = Duration::from_secs(7_200);
/// assert!(matches!(Exhaustion::rising_to(f64::NAN, two_hours), Err(NotAResource::Limit(_))));
/// assert!(matches!(Exhaustion::rising_to(1.0, Duration::ZERO), Err(NotAResource::Window(_))));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotAResource {
    /// A limit that isn't a number, or none at all.
    #[error("the limit must be a finite number, not {0}: leave resources without a limit out")]
    Limit(f64),
    /// The window is out of range.
    #[error("the window must be 10m to 30d, not {}s", .0.as_secs_f64())]
    Window(Duration),
}

/// What the trend says.
///
/// ```
/// use homeostat_incidents::{Outlook, Remaining};
///
/// let left = Remaining { seconds: 2_400.0, seconds_min: 1_200.0, seconds_max: 7_200.0 };
/// let written = serde_json::to_value(Outlook::Filling(left))?;
/// assert_eq!(written["filling"]["seconds_min"], 1_200.0);
/// assert_ne!(Outlook::NotReady, Outlook::Steady, "to say nothing isn't to say that it is at rest");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outlook {
    /// A third of the window must have been seen, the last measurement included.
    NotReady,
    /// No trend towards the limit that could be told from chance, from a step, or from what comes down by itself.
    Steady,
    /// It fills up.
    Filling(Remaining),
    /// The limit is reached.
    Exhausted,
}

/// The time left until the limit, in seconds from the newest measurement, if the trend goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remaining {
    /// By the median slope.
    pub seconds: f64,
    /// By the steepest slope in the 95 % interval.
    pub seconds_min: f64,
    /// By the flattest slope in the 95 % interval; above 0, as else there would be no trend.
    pub seconds_max: f64,
}

/// Follows one resource of one subject.
///
/// Constant time a measurement; once a block (a sixtieth of the window) the trend is drawn anew over all pairs of blocks.
/// At most `BLOCKS_MAX` blocks and a few teeth are kept: under 2 KiB, whatever the step.
///
/// As evidence: `Filling` with `seconds_max` below the time a human needs types a feature of the signal memory as
/// `memory-leak` and of a disk as `disk-filling`, and `seconds` belongs into the incident's text. [`score`](Self::score) is a
/// score of its own, to be held against its own history like any detector's.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::Timestamp;
/// use homeostat_incidents::{Exhaustion, Outlook};
///
/// // Memory, as a share of its limit, rises by a thousandth a minute.
/// let mut memory = Exhaustion::rising_to(1.0, Duration::from_secs(7_200))?;
/// let mut outlook = Outlook::NotReady;
/// for minute in 0..120_i64 {
///     outlook = memory.observe(Timestamp::from_secs(60 * minute), 0.5 + 0.001 * minute as f64);
/// }
/// let Outlook::Filling(remaining) = outlook else { return Err("it fills up".into()) };
/// assert!((remaining.seconds / 60.0 - 381.0).abs() < 10.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SavedExhaustion")]
pub struct Exhaustion {
    limit: f64,
    direction: Direction,
    block_ms: i64,
    /// Moment (middle) and mean of whole blocks, oldest first; heights are turned so that they rise to the limit.
    blocks: Vec<Block>,
    open: Option<OpenBlock>,
    teeth: Teeth,
    outlook: Outlook,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Block {
    at_ms: i64,
    height: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct OpenBlock {
    /// `at_ms / block_ms` of all its measurements.
    number: i64,
    /// The newest measurement.
    last_ms: i64,
    last: f64,
    mean: f64,
    n: u32,
}

/// What became of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was a gap, or not new.
    Nothing,
    /// It joined the block under way.
    SameBlock,
    /// It began a block.
    NewBlock,
}

impl Exhaustion {
    /// For a measurement that rises to `limit`, such as memory used. `window` is how far back the trend looks: two hours
    /// suit memory. Ten minutes to 30 days.
    pub fn rising_to(limit: f64, window: Duration) -> Result<Self, NotAResource> {
        Self::new(limit, Direction::Rising, window)
    }

    /// For a measurement that falls to `limit`, such as bytes available, to 0. Six hours suit a disk.
    pub fn falling_to(limit: f64, window: Duration) -> Result<Self, NotAResource> {
        Self::new(limit, Direction::Falling, window)
    }

    fn new(limit: f64, direction: Direction, window: Duration) -> Result<Self, NotAResource> {
        if !(limit.is_finite() && limit.abs() <= HEIGHT_MAX) {
            return Err(NotAResource::Limit(limit));
        }
        if !(Duration::from_secs(600)..=Duration::from_secs(30 * 86_400)).contains(&window) {
            return Err(NotAResource::Window(window));
        }
        let block_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX) / BLOCKS_MAX as i64;
        let blocks = Vec::with_capacity(BLOCKS_MAX);
        let teeth = Teeth::default();
        Ok(Self { limit, direction, block_ms, blocks, open: None, teeth, outlook: Outlook::NotReady })
    }

    /// Takes a measurement and says what the trend is, drawn anew once a block. NaN is a gap; what isn't newer than the last
    /// measurement changes nothing. After a gap of half a window everything before it is forgotten.
    pub fn observe(&mut self, at: Timestamp, value: f64) -> Outlook {
        match self.take(at, value) {
            Taken::Nothing => {}
            Taken::NewBlock => self.outlook = self.look(),
            Taken::SameBlock if self.is_exhausted() || self.outlook == Outlook::Exhausted => self.outlook = self.look(),
            Taken::SameBlock => {}
        }
        self.outlook
    }

    /// Takes a measurement as [`observe`](Self::observe) does, without drawing the trend: some nanoseconds instead of some tens
    /// of microseconds a block, for resources that are rarely asked about.
    pub(crate) fn take(&mut self, at: Timestamp, value: f64) -> Taken {
        let at_ms = at.as_millis();
        if !value.is_finite() || self.open.is_some_and(|open| at_ms <= open.last_ms) {
            return Taken::Nothing;
        }
        if self.open.is_some_and(|open| at_ms.saturating_sub(open.last_ms) > self.block_ms * (BLOCKS_MAX as i64 / 2)) {
            self.restarted();
        }
        let height = self.height(value.clamp(-HEIGHT_MAX, HEIGHT_MAX));
        let number = at_ms.div_euclid(self.block_ms);
        match &mut self.open {
            Some(open) if open.number == number => {
                open.n = open.n.saturating_add(1);
                open.mean += (height - open.mean) / f64::from(open.n);
                (open.last_ms, open.last) = (at_ms, height);
                Taken::SameBlock
            }
            Some(_) | None => {
                self.close_block();
                self.open = Some(OpenBlock { number, last_ms: at_ms, last: height, mean: height, n: 1 });
                Taken::NewBlock
            }
        }
    }

    /// What the trend says at the newest measurement, drawn now.
    pub(crate) fn look(&self) -> Outlook {
        match self.open {
            _ if self.is_exhausted() => Outlook::Exhausted,
            Some(open) => self.drawn(open.last_ms),
            None => Outlook::NotReady,
        }
    }

    /// Whether the newest measurement is at the limit.
    fn is_exhausted(&self) -> bool {
        self.open.is_some_and(|open| open.last >= self.limit_height())
    }

    /// Forgets what it has seen: after a roll-out or a restart another process fills the same limit.
    pub fn restarted(&mut self) {
        self.blocks.clear();
        self.open = None;
        self.teeth = Teeth::default();
        self.outlook = Outlook::NotReady;
    }

    /// What the trend said at the newest measurement.
    pub fn outlook(&self) -> Outlook {
        self.outlook
    }

    /// `horizon` over the time left: 1 where the limit is a horizon away, 0 without a trend, at most 1 000. A detector's score:
    /// the faster it fills up, the higher.
    pub fn score(&self, horizon: Duration) -> RawScore {
        let score = match self.outlook {
            Outlook::NotReady | Outlook::Steady => 0.0,
            Outlook::Filling(remaining) => (horizon.as_secs_f64() / remaining.seconds).min(SCORE_MAX),
            Outlook::Exhausted => SCORE_MAX,
        };
        RawScore::new(score).unwrap_or(RawScore::ZERO)
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.blocks.capacity() * size_of::<Block>() + self.teeth.heap_bytes()
    }

    fn height(&self, value: f64) -> f64 {
        match self.direction {
            Direction::Rising => value,
            Direction::Falling => -value,
        }
    }

    fn limit_height(&self) -> f64 {
        self.height(self.limit)
    }

    fn close_block(&mut self) {
        let Some(open) = self.open.take() else { return };
        if self.blocks.len() == BLOCKS_MAX {
            self.blocks.remove(0);
        }
        let at_ms = open.number.saturating_mul(self.block_ms).saturating_add(self.block_ms / 2);
        let oldest_ms = at_ms.saturating_sub(self.block_ms.saturating_mul(BLOCKS_MAX as i64));
        self.blocks.retain(|block| block.at_ms > oldest_ms);
        self.blocks.push(Block { at_ms, height: open.mean });
        self.teeth.take(at_ms, open.mean, self.limit_height());
    }

    /// What the whole blocks say at `now_ms`.
    fn drawn(&self, now_ms: i64) -> Outlook {
        if self.blocks.len() < BLOCKS_MIN {
            return Outlook::NotReady;
        }
        let mut points = [(0.0, 0.0); BLOCKS_MAX];
        let points = &mut points[..self.blocks.len().min(BLOCKS_MAX)];
        for (point, block) in points.iter_mut().zip(&self.blocks) {
            *point = (block.at_ms.saturating_sub(now_ms) as f64 / 1e3, block.height);
        }
        let level = points.last().map_or(0.0, |(_, height)| *height);
        let found = match self.teeth.verdict(level, now_ms) {
            teeth::Verdict::NoTeeth => lasting(points),
            teeth::Verdict::ComesDown => None,
            teeth::Verdict::PeaksRise(peaks) => Some(peaks),
        };
        match found {
            Some(trend) => self.remaining(&trend),
            None => Outlook::Steady,
        }
    }

    fn remaining(&self, trend: &Trend) -> Outlook {
        let left = self.limit_height() - trend.at_now;
        let seconds = |slope: f64| (left / slope).clamp(0.0, SECONDS_MAX);
        if trend.slope_min.is_nan() || trend.slope_min <= 0.0 || seconds(trend.slope) >= SECONDS_MAX {
            return Outlook::Steady;
        }
        Outlook::Filling(Remaining {
            seconds: seconds(trend.slope).max(1.0),
            seconds_min: seconds(trend.slope_max),
            seconds_max: seconds(trend.slope_min).max(1.0),
        })
    }
}

/// Heights are cut here, so that differences and products stay finite.
const HEIGHT_MAX: f64 = 1e200;

/// A year: beyond it a trend over hours says nothing.
const SECONDS_MAX: f64 = 365.0 * 86_400.0;

/// A score beyond this says nothing more.
const SCORE_MAX: f64 = 1_000.0;

/// Each half must rise at least at this share of the whole's slope: what rose in one step, or has stopped rising, doesn't.
const HALF_SHARE_MIN: f64 = 0.25;

/// The trend, if it goes on over the whole window.
fn lasting(points: &[(f64, f64)]) -> Option<Trend> {
    let whole = trend(points)?;
    let (first, second) = points.split_at(points.len() / 2);
    let rises = |half: &[(f64, f64)]| trend(half).is_some_and(|half| half.slope >= HALF_SHARE_MIN * whole.slope);
    (whole.slope_min > 0.0 && rises(first) && rises(second)).then_some(whole)
}

/// An [`Exhaustion`] as it was read, not checked yet.
#[derive(Deserialize)]
struct SavedExhaustion {
    limit: f64,
    direction: Direction,
    block_ms: i64,
    blocks: Vec<Block>,
    open: Option<OpenBlock>,
    teeth: Teeth,
    outlook: Outlook,
}

impl TryFrom<SavedExhaustion> for Exhaustion {
    type Error = &'static str;

    fn try_from(saved: SavedExhaustion) -> Result<Self, Self::Error> {
        let SavedExhaustion { limit, direction, block_ms, blocks, open, teeth, outlook } = saved;
        let in_order = blocks.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms);
        let finite = blocks.iter().all(|block| block.height.abs() <= HEIGHT_MAX)
            && open.is_none_or(|open| open.mean.abs() <= HEIGHT_MAX && open.last.abs() <= HEIGHT_MAX && open.n > 0);
        let fits = limit.abs() <= HEIGHT_MAX && block_ms >= 10_000 && blocks.len() <= BLOCKS_MAX;
        if fits && in_order && finite && teeth.is_consistent() {
            Ok(Self { limit, direction, block_ms, blocks, open, teeth, outlook })
        } else {
            Err("the saved trend's parts don't fit each other")
        }
    }
}

#[cfg(test)]
mod tests;
