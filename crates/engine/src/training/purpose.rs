//! What models are made for, which decides whether the end of the history is learned.

use clap::ValueEnum;

/// What models are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// To start with. The end of the history isn't learned but looked at, as a fault may be going on.
    Start,
    /// To go on with. The end of the history was watched: a subject in an incident keeps its models.
    Renewal,
}

impl Purpose {
    /// Its name on a command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Renewal => "renewal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_purpose_survives_the_way_to_the_process() {
        for purpose in Purpose::value_variants() {
            assert_eq!(Purpose::from_str(purpose.name(), false), Ok(*purpose));
        }
    }
}
