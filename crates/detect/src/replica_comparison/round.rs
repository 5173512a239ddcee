//! What one comparison of replicas comes to.

use ndarray::ArrayView2;

use crate::dbscan::{clustered, distances_to_kth};
use crate::detector::TrainError;

/// Chance of a healthy replica to lie beyond ε of another, if differences were normal: with three replicas, a tenth of a
/// false look a day at one a minute; the nearest of several is nearer still.
const FALSE_LOOK: f64 = 1e-4;

/// A group of at least one in this many replicas is a group; fewer are outliers.
const GROUP_SHARE: usize = 4;

/// Most features named for a replica.
const FEATURES_NAMED_MAX: usize = 5;

/// A feature is named from this many spreads on.
const NAMED_MIN: f64 = 3.0;

/// What comparing the replicas came to.
///
/// ```
/// use homeostat_detect::{Outlier, ReplicaRound, ReplicasNotReady};
///
/// let sick = |round: ReplicaRound| match round {
///     ReplicaRound::Together { outliers } | ReplicaRound::Split { outliers, .. } => {
///         outliers.into_iter().map(|one| one.replica).collect()
///     }
///     ReplicaRound::NotReady(_) => vec![],
/// };
/// let outliers = vec![Outlier { replica: "cart-c".into(), degree: 2.5, features: vec![(0, 9.0)] }];
/// assert_eq!(sick(ReplicaRound::Together { outliers }), ["cart-c"]);
/// assert!(sick(ReplicaRound::NotReady(ReplicasNotReady::TooFewReplicas { found: 2 })).is_empty());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum ReplicaRound {
    /// Nothing can be said. That is no error, and not the same as health.
    NotReady(ReplicasNotReady),
    /// The replicas form one group; those that don't belong to it are listed, farthest first. None is the usual case.
    Together {
        /// Replicas unlike the others.
        outliers: Vec<Outlier>,
    },
    /// The replicas form several groups, each of at least a quarter of them: a canary, a roll-out under way, two kinds of
    /// nodes. No group is called sick: which of them is, comparing can't tell.
    Split {
        /// The groups, the largest first.
        groups: Vec<Group>,
        /// Replicas in no group, farthest first.
        outliers: Vec<Outlier>,
    },
}

/// Why replicas can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicasNotReady {
    /// Of two that differ nobody can say which is sick.
    TooFewReplicas {
        /// Replicas that could be compared.
        found: usize,
    },
    /// Enough replicas, but most are new and still warming up.
    WarmingUp {
        /// How many are new.
        n_warming: usize,
    },
    /// Enough replicas, but most of what they should report is missing.
    TooManyGaps,
    /// How far apart replicas usually are isn't known yet.
    Learning {
        /// Steps until it is.
        steps_left: u64,
    },
    /// No two replicas are alike: there is no group to belong to.
    Scattered,
}

/// A replica unlike the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlier {
    /// Which.
    pub replica: String,
    /// Distance to the nearest core replica, in ε: above 1.
    pub degree: f64,
    /// The features that set it apart, at most five: index and difference from the others in usual spreads, the largest
    /// first.
    pub features: Vec<(usize, f64)>,
}

/// Replicas that are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Which, by name.
    pub replicas: Vec<String>,
    /// The features that set it apart from all replicas' median, on average over the group, as in [`Outlier`].
    pub features: Vec<(usize, f64)>,
}

/// Why a step can't be taken; what is remembered stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaComparisonError {
    /// The array's shape isn't `(n_replicas, n_features)`: fix the queries, or start anew after changing them.
    #[error("values have shape {found:?}, the replicas and schema say {wanted:?}: start over after changing queries")]
    Shape {
        /// Shape of the array.
        found: (usize, usize),
        /// `(n_replicas, n_features)`.
        wanted: (usize, usize),
    },
    /// Two rows are of the same replica: fix the query's labels.
    #[error("replica {replica:?} has two rows: its query must give one series for each replica")]
    Duplicate {
        /// The replica.
        replica: String,
    },
    /// More replicas than can be compared: watch a part of them.
    #[error("{found} replicas are more than can be compared (1000): compare a part of them")]
    TooManyReplicas {
        /// How many there are.
        found: usize,
    },
    /// The library underneath failed; the next step may work.
    #[error("the replicas couldn't be clustered")]
    Clustering(#[from] TrainError),
}

/// Why fewer than three replicas could be compared.
pub(super) fn not_compared(n_compared: usize, n_replicas: usize, n_warming: usize) -> ReplicaRound {
    ReplicaRound::NotReady(if n_replicas < super::REPLICAS_MIN {
        ReplicasNotReady::TooFewReplicas { found: n_compared }
    } else if n_replicas - n_warming < super::REPLICAS_MIN {
        ReplicasNotReady::WarmingUp { n_warming }
    } else {
        ReplicasNotReady::TooManyGaps
    })
}

/// ε for so many features, in spreads.
///
/// The squared distance of two healthy replicas is twice a chi-squared variable, which exceeds `d + 2√(d t) + 2t` with a
/// chance of at most `exp(-t)` (Laurent and Massart 2000, lemma 1).
fn epsilon(n_features: usize) -> f64 {
    let (d, t) = (n_features as f64, -FALSE_LOOK.ln());
    (2.0 * (d + 2.0 * (d * t).sqrt() + 2.0 * t)).sqrt()
}

/// Clusters the replicas' deviations, `(n_replicas, n_features)`, in the names' order.
pub(super) fn judged(names: &[&str], deviations: ArrayView2<'_, f64>) -> Result<ReplicaRound, ReplicaComparisonError> {
    let epsilon = epsilon(deviations.ncols());
    let min_points = names.len().div_ceil(GROUP_SHARE).max(2);
    let distances = distances_to_kth(deviations, min_points);
    let found = clustered(deviations, epsilon, min_points, &distances)?;
    let n_groups = found.labels.iter().flatten().max().map_or(0, |last| last + 1);
    if n_groups == 0 {
        return Ok(ReplicaRound::NotReady(ReplicasNotReady::Scattered));
    }
    let cores: Vec<usize> = (0..names.len()).filter(|idx| found.is_core[*idx]).collect();
    let mut outliers: Vec<Outlier> = (0..names.len())
        .filter(|idx| found.labels[*idx].is_none())
        .map(|idx| Outlier {
            replica: names[idx].to_owned(),
            degree: nearest(deviations, idx, &cores) / epsilon,
            features: named(deviations.row(idx).iter().copied()),
        })
        .collect();
    // Names are in order and the sort is stable.
    outliers.sort_by(|a, b| b.degree.total_cmp(&a.degree));
    if n_groups == 1 {
        return Ok(ReplicaRound::Together { outliers });
    }
    let mut groups: Vec<Group> = (0..n_groups).map(|group| grouped(names, deviations, &found.labels, group)).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.replicas.len()));
    Ok(ReplicaRound::Split { groups, outliers })
}

fn grouped(names: &[&str], deviations: ArrayView2<'_, f64>, labels: &[Option<usize>], group: usize) -> Group {
    let members: Vec<usize> = (0..names.len()).filter(|idx| labels[*idx] == Some(group)).collect();
    let mean = |feature_idx: usize| {
        members.iter().map(|member| deviations[[*member, feature_idx]]).sum::<f64>() / members.len() as f64
    };
    Group {
        replicas: members.iter().map(|member| names[*member].to_owned()).collect(),
        features: named((0..deviations.ncols()).map(mean)),
    }
}

fn nearest(deviations: ArrayView2<'_, f64>, of: usize, cores: &[usize]) -> f64 {
    let squared =
        |core: usize| deviations.row(of).iter().zip(deviations.row(core)).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    cores.iter().map(|core| squared(*core)).fold(f64::INFINITY, f64::min).sqrt()
}

fn named(deviations: impl Iterator<Item = f64>) -> Vec<(usize, f64)> {
    let mut features: Vec<(usize, f64)> =
        deviations.enumerate().filter(|(_, deviation)| deviation.abs() >= NAMED_MIN).collect();
    features.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    features.truncate(FEATURES_NAMED_MAX);
    features
}
