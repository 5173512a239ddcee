//! What scoring says about a window's last row: each detector's vote, and all together.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::score::{RawScore, Score, TailProbability};
use crate::timestamp::Timestamp;

/// What a detector says of a window.
///
/// ```
/// use homeostat_core::{NotReady, RawScore, Scoring};
///
/// let told = |scoring| match scoring {
///     Scoring::Scored(raw) => format!("unusual by {}", raw.value()),
///     Scoring::NotReady(why) => format!("it can't say: {why}"),
/// };
/// assert_eq!(told(Scoring::Scored(RawScore::new(3.5)?)), "unusual by 3.5");
/// assert_eq!(told(Scoring::NotReady(NotReady::TooFewSteps)), "it can't say: too few steps in the window");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scoring {
    /// How unusual the last row is.
    Scored(RawScore),
    /// It can't say yet; that's no error.
    NotReady(NotReady),
}

/// Why a detector can't say yet.
///
/// ```
/// use homeostat_core::NotReady;
///
/// assert_eq!(NotReady::TooManyGaps.to_string(), "too many gaps in the window");
/// assert_eq!(serde_json::to_value(NotReady::TooManyGaps)?, "too-many-gaps");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotReady {
    /// The window has fewer rows than the detector looks back.
    TooFewSteps,
    /// Too many of the measurements it needs are gaps.
    #[serde(alias = "too-many-holes")] // its name in journals of earlier versions
    TooManyGaps,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooFewSteps => "too few steps in the window",
            Self::TooManyGaps => "too many gaps in the window",
        })
    }
}

/// One detector's part in an assessment. A broken detector is a missing vote, never a broken service.
///
/// ```
/// use homeostat_core::{RawScore, TailProbability, Vote};
///
/// let scored = Vote::Scored { raw: RawScore::new(3.5)?, tail: TailProbability::from_surprisal(7.0)? };
/// assert_eq!(serde_json::to_value(&scored)?, serde_json::json!({ "vote": "scored", "raw": 3.5, "tail": 7.0 }));
/// let failed = Vote::Failed { why: "the model gave NaN".into() };
/// assert_eq!(serde_json::to_value(&failed)?["why"], "the model gave NaN");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "vote")]
pub enum Vote {
    /// It scored.
    Scored {
        /// On the detector's own scale.
        raw: RawScore,
        /// How rare that is among normal rows; written as its surprisal in nats.
        tail: TailProbability,
    },
    /// It can't say yet.
    NotReady {
        /// Why.
        why: NotReady,
    },
    /// It failed.
    Failed {
        /// The error, whole chain.
        why: String,
    },
}

/// A vote and whose it is.
///
/// ```
/// use homeostat_core::{DetectorVote, NotReady, Vote};
///
/// let read: DetectorVote = serde_json::from_str(r#"{"detector":"forest","vote":"not-ready","why":"too-few-steps"}"#)?;
/// let vote = Vote::NotReady { why: NotReady::TooFewSteps };
/// assert_eq!(read, DetectorVote { detector: "forest".into(), vote });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorVote {
    /// The detector's name. Borrowed while it is scored, owned when it was read from somewhere.
    pub detector: Cow<'static, str>,
    /// What it says.
    #[serde(flatten)]
    pub vote: Vote,
}

/// The votes together.
///
/// ```
/// use homeostat_core::{Fused, Score};
///
/// let usual = Fused::Scored { score: Score::new(0.2)?, lasting_score: Score::ZERO, smoothed_score: Score::ZERO };
/// let unsaid = Fused::TooFewVotes { n_scored: 1, n_needed: 2 };
/// assert_ne!(usual, unsaid, "to say nothing isn't to say that all is well");
/// let written = serde_json::json!({ "fused": "too-few-votes", "n_scored": 1, "n_needed": 2 });
/// assert_eq!(serde_json::to_value(unsaid)?, written);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fused")]
pub enum Fused {
    /// Enough detectors scored.
    Scored {
        /// 1.0 is the alarm threshold; from this row alone, the fast path of the alert.
        score: Score,
        /// 1.0 is the alarm threshold; from what has added up over the rows before, the slow path of the alert.
        #[serde(default)]
        lasting_score: Score,
        /// Summed over several half-lives: for ranking and confidence.
        #[serde(alias = "evidence")]
        smoothed_score: Score,
    },
    /// Too few detectors could say anything. Not the same as "nothing unusual".
    TooFewVotes {
        /// How many scored.
        n_scored: usize,
        /// How many are needed.
        n_needed: usize,
    },
}

/// What the ensemble says of one window's last row.
///
/// ```
/// use homeostat_core::{Assessment, Fused, Score, Timestamp};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fused = Fused::Scored { score: Score::new(1.3)?, lasting_score: Score::ZERO, smoothed_score: Score::ZERO };
/// let mut assessment = Assessment {
///     at: Timestamp::from_secs(60),
///     votes: vec![],
///     fused,
///     deviations: vec![Some(4.2), None], // the second feature was not measured
///     expected: vec![Some(0.08), Some(25.0)],
/// };
/// assert!(assessment.score().is_some_and(Score::is_alarming));
/// assessment.fused = Fused::TooFewVotes { n_scored: 1, n_needed: 2 };
/// assert_eq!(assessment.score(), None, "not the same as a low score");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// The moment of the row.
    pub at: Timestamp,
    /// Every detector's vote, in the ensemble's order.
    pub votes: Vec<DetectorVote>,
    /// All together.
    #[serde(flatten)]
    pub fused: Fused,
    /// How far each feature is from what was expected, in training deviations, signed, in the schema's order;
    /// `None` where the measurement is absent. The part of the explanation that doesn't depend on a detector.
    pub deviations: Vec<Option<f64>>,
    /// What was expected of each feature, in its own unit.
    pub expected: Vec<Option<f64>>,
}

impl Assessment {
    /// The score, if enough detectors scored.
    pub fn score(&self) -> Option<Score> {
        match self.fused {
            Fused::Scored { score, .. } => Some(score),
            Fused::TooFewVotes { .. } => None,
        }
    }

    /// The score of what has added up over the rows before, if enough detectors scored.
    pub fn lasting_score(&self) -> Option<Score> {
        match self.fused {
            Fused::Scored { lasting_score, .. } => Some(lasting_score),
            Fused::TooFewVotes { .. } => None,
        }
    }

    /// The score summed over several time scales, if enough detectors scored.
    pub fn smoothed_score(&self) -> Option<Score> {
        match self.fused {
            Fused::Scored { smoothed_score, .. } => Some(smoothed_score),
            Fused::TooFewVotes { .. } => None,
        }
    }
}
