//! How far a policy has earned to go. Pure.

use homeostat_core::{Mode, Proportion};
use homeostat_remediate::Policy;

/// How far a policy goes, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It only notes what it would do.
    Observe,
    /// It proposes, and a person decides.
    Recommend,
    /// It acts.
    Execute,
}

impl Level {
    /// As the policy and the config say.
    pub(super) fn of(policy: &Policy, global: Mode) -> Self {
        let of_mode = |mode: Mode| match mode {
            Mode::Observe => Self::Observe,
            Mode::Recommend => Self::Recommend,
            Mode::Execute => Self::Execute,
        };
        let own = if policy.auto_execute { Self::Execute } else { Self::Recommend };
        own.min(of_mode(policy.mode)).min(of_mode(global))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Recommend => "recommend",
            Self::Execute => "execute",
        }
    }
}

/// What is known of a policy's decisions and actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Of the incidents that it was asked about and that people have judged: those that were real.
    pub(super) judged: Proportion,
    /// Of its actions that have ended: those that helped.
    pub(super) helped: Proportion,
}

/// What has to be surely so, at 95 %, before a policy may go further. Ten of ten judged incidents give .72, twenty of twenty .84.
const REAL_TO_RECOMMEND: f64 = 0.5;
const REAL_TO_EXECUTE: f64 = 0.8;

/// Of the actions that people have approved: seven of eight give .53. A policy that has never acted can't show that it helps, and
/// proposing is how it gets to.
const HELPED_TO_EXECUTE: f64 = 0.5;

/// When it is surely so that fewer than half of the actions help, homeostat itself holds the policy back (the reason `poor-record`).
const HELPED_AT_MOST: f64 = 0.5;

/// How far it has earned to go, and why no further.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Earned {
    level: Level,
    why: String,
}

impl Earned {
    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }
}

/// How far a policy that goes so far now has earned to go. One step at a time, and back as far as it takes.
pub(super) fn earned(now: Level, record: &Record, frozen: Option<&str>) -> Earned {
    let to = |level: Level, why: String| Earned { level, why };
    if let Some(why) = frozen {
        return to(Level::Observe, format!("it made something worse and is stopped until a person releases it: {why}"));
    }
    let (real, helped) = (record.judged.interval(), record.helped.interval());
    if helped.high < HELPED_AT_MOST {
        let why = format!("surely fewer than half of its actions help (at most {:.2}): it only proposes", helped.high);
        return to(Level::Recommend.min(now), why);
    }
    match now {
        Level::Observe if real.low >= REAL_TO_RECOMMEND => {
            to(Level::Recommend, "its incidents are real often enough to ask a person: set mode: recommend".to_owned())
        }
        Level::Observe => to(Level::Observe, needs("recommend", "real", record.judged, REAL_TO_RECOMMEND)),
        Level::Recommend if real.low < REAL_TO_EXECUTE => {
            to(Level::Recommend, needs("execute", "real", record.judged, REAL_TO_EXECUTE))
        }
        Level::Recommend if helped.low < HELPED_TO_EXECUTE => {
            to(Level::Recommend, needs("execute", "helped", record.helped, HELPED_TO_EXECUTE))
        }
        Level::Recommend => to(
            Level::Execute,
            "its incidents are real and what people approved helped: set mode: execute and auto_execute: true"
                .to_owned(),
        ),
        Level::Execute => to(Level::Execute, "nothing speaks against it".to_owned()),
    }
}

/// What is missing, in numbers a person can act on.
fn needs(level: &str, what: &str, all: Proportion, at_least: f64) -> String {
    let more = (1..=200).find(|more| {
        let with = Proportion { n: all.n + more, of: all.of + more };
        with.interval().low >= at_least
    });
    let of = match what {
        "real" => "incidents that people judge (`homeostat incident label`) to be real",
        _ => "approved actions that help (`homeostat incident approve`)",
    };
    match more {
        Some(more) => format!("to {level} it takes a lower bound of {at_least:.2}: {more} more {of}"),
        None => format!("to {level} it takes a lower bound of {at_least:.2}, which is far away"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(judged: (usize, usize), helped: (usize, usize)) -> Record {
        let proportion = |(n, of)| Proportion { n, of };
        Record { judged: proportion(judged), helped: proportion(helped) }
    }

    #[test]
    fn each_step_takes_evidence_of_its_own() {
        use Level::{Execute, Observe, Recommend};
        for (now, judged, helped, expected) in [
            (Observe, (0, 0), (0, 0), Observe),
            (Observe, (3, 3), (0, 0), Observe),
            (Observe, (10, 10), (0, 0), Recommend),
            // However good, one step at a time.
            (Observe, (100, 100), (20, 20), Recommend),
            (Recommend, (20, 20), (0, 0), Recommend),
            (Recommend, (10, 10), (8, 8), Recommend),
            (Recommend, (20, 20), (7, 8), Execute),
            (Execute, (0, 0), (0, 0), Execute),
            (Execute, (20, 20), (0, 4), Recommend),
            (Recommend, (20, 20), (1, 9), Recommend),
            (Observe, (20, 20), (0, 9), Observe),
        ] {
            let earned = earned(now, &record(judged, helped), None);
            assert_eq!(earned.level(), expected, "{now:?} {judged:?} {helped:?}: {}", earned.why());
        }
        assert_eq!(earned(Execute, &record((90, 90), (90, 90)), Some("worse")).level(), Observe);
    }

    #[test]
    fn what_is_missing_is_said_in_numbers_and_is_enough() {
        let before = record((17, 18), (0, 0));
        let why = earned(Level::Recommend, &before, None).why().to_owned();
        let more: usize = why.split(": ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let after = record((17 + more, 18 + more), (0, 0));
        assert!(earned(Level::Recommend, &after, None).why().contains("approved actions"), "{why}");
        let almost = record((17 + more - 1, 18 + more - 1), (0, 0));
        assert!(earned(Level::Recommend, &almost, None).why().contains("1 more incidents"), "{why}");
    }
}
