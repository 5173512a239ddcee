//! The list of detectors. Adding one is its file, which implements [`Fitted`], and a line here.
//!
//! A line makes its variant of every enum below, its part of the config, its stored form and its contract test.

use std::collections::BTreeMap;
use std::fmt;

use homeostat_core::{Scoring, Seed};
use homeostat_settings::Reader;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::detector::{ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::fitted::{
    DetectorBytes, Expectations, Fitted, HistoryShape, ModelFile, OptionFiles, RestoredFile, SharedPart, Stored,
    TunedSetting,
};
use crate::known_effect::KnownEffect;
use crate::load_options::LoadOptions;
use crate::restore_error::RestoreError;
use crate::row_buffer::RowBuffer;

macro_rules! detectors {
    ($($(#[$meta:meta])* $module:ident::$Type:ident = $tag:literal,)+) => {
        $($(#[$meta])* use crate::$module::$Type;)+

        /// A detector to train, with its options.
        ///
        /// ```
        /// use homeostat_detect::{DetectorSpec, ForestSpec};
        ///
        /// assert_eq!(DetectorSpec::by_name("forest"), Some(DetectorSpec::Forest(ForestSpec::default())));
        /// assert_eq!(DetectorSpec::by_name("oracle"), None);
        /// ```
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(rename_all = "kebab-case", tag = "detector")]
        pub enum DetectorSpec {
            $(
                #[doc = concat!("`", stringify!($module), "`: see [`", stringify!($Type), "`](crate::", stringify!($Type), ").")]
                $(#[$meta])*
                $Type(<$Type as Fitted>::Spec),
            )+
        }

        impl DetectorSpec {
            /// The names of this program's detectors, in the order of their votes.
            pub const NAMES: &'static [&'static str] = &[$($(#[$meta])* stringify!($module),)+];

            /// Every detector of this program with its default options, in the order of their votes.
            pub fn all() -> Vec<Self> {
                vec![$($(#[$meta])* Self::$Type(<$Type as Fitted>::Spec::default()),)+]
            }

            /// Those that vote unless the config says otherwise.
            pub fn all_default() -> Vec<Self> {
                let mut all = Self::all();
                all.retain(Self::is_by_default);
                all
            }

            fn is_by_default(&self) -> bool {
                match self { $($(#[$meta])* Self::$Type(_) => <$Type as Fitted>::BY_DEFAULT,)+ }
            }

            /// Each detector with its options of the config: a section a detector that has any. What is absent or wrong keeps its default.
            pub fn read_all(reader: &mut Reader<'_>, files: &OptionFiles<'_>) -> Vec<Self> {
                vec![$(
                    $(#[$meta])*
                    Self::$Type(if size_of::<<$Type as Fitted>::Spec>() == 0 {
                        Default::default()
                    } else {
                        reader
                            .section(<$Type as Fitted>::NAME, |reader| <$Type as Fitted>::read_options(reader, files))
                            .flatten()
                            .unwrap_or_default()
                    }),
                )+]
            }

            /// What `homeostat tune` may try of all detectors.
            pub fn tuned() -> Vec<&'static [TunedSetting]> {
                vec![$($(#[$meta])* <$Type as Fitted>::TUNED,)+]
            }

            /// The detector's stable name.
            pub fn name(&self) -> &'static str {
                match self { $($(#[$meta])* Self::$Type(_) => <$Type as Fitted>::NAME,)+ }
            }

            /// What a trained one is expected to hold.
            pub(crate) fn estimated_bytes(&self, shape: HistoryShape) -> DetectorBytes {
                match self { $($(#[$meta])* Self::$Type(spec) => <$Type as Fitted>::estimated_bytes(spec, shape),)+ }
            }
        }

        /// A trained detector.
        #[derive(Clone, Debug)]
        pub(crate) enum Model {
            $($(#[$meta])* $Type($Type),)+
        }

        impl Model {
            pub(crate) fn train(
                spec: &DetectorSpec,
                history: &ExtractedFeatures,
                seed: Seed,
            ) -> Result<Self, TrainError> {
                match spec {
                    $($(#[$meta])* DetectorSpec::$Type(spec) => {
                        <$Type as Fitted>::train(spec, history, seed).map(Self::$Type)
                    })+
                }
            }

            /// Trains one model for several subjects; `None` where each subject's model is its own.
            pub(crate) fn train_shared(
                spec: &DetectorSpec,
                histories: &[&ExtractedFeatures],
                seed: Seed,
            ) -> Option<Result<Self, TrainError>> {
                match spec {
                    $($(#[$meta])* DetectorSpec::$Type(spec) => {
                        Some(<$Type as Fitted>::train_shared(spec, histories, seed)?.map(Self::$Type))
                    })+
                }
            }

            /// As it is stored; `file` names what may be shared.
            pub(crate) fn stored(&self, file: String) -> Result<SavedModel, RestoreError> {
                Ok(match self {
                    $($(#[$meta])* Self::$Type(one) => SavedModel::$Type(Stored { file, own: Fitted::own(one)? }),)+
                })
            }
        }

        /// A detector in an ensemble's state. What tells one from another is the number of its line, which stays its own.
        pub(crate) enum SavedModel {
            $($(#[$meta])* $Type(Stored<$Type>),)+
        }

        impl Serialize for SavedModel {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $($(#[$meta])* Self::$Type(stored) => {
                        serializer.serialize_newtype_variant("SavedModel", $tag, stringify!($module), stored)
                    })+
                }
            }
        }

        impl<'de> Deserialize<'de> for SavedModel {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ByNumber;
                impl<'de> serde::de::Visitor<'de> for ByNumber {
                    type Value = SavedModel;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a detector")
                    }

                    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, access: A) -> Result<SavedModel, A::Error> {
                        use serde::de::{Error, VariantAccess};
                        let (tag, variant): (u32, A::Variant) = access.variant()?;
                        match tag {
                            $($(#[$meta])* $tag => variant.newtype_variant().map(SavedModel::$Type),)+
                            unknown => Err(A::Error::custom(format!(
                                "it has a detector, number {unknown}, that this program doesn't know: use the program that trained \
                                 it, or one built with the same features"
                            ))),
                        }
                    }
                }
                deserializer.deserialize_enum("SavedModel", DetectorSpec::NAMES, ByNumber)
            }
        }

        impl SavedModel {
            /// Puts the detector together again. `files` are the shared models' bytes by name; `known` has what was restored from
            /// them before, and gets this one.
            pub(crate) fn restore(
                self,
                files: &BTreeMap<String, std::sync::Arc<Vec<u8>>>,
                known: &mut BTreeMap<String, Model>,
                options: &LoadOptions,
            ) -> Result<Model, RestoreError> {
                match self {
                    $($(#[$meta])* Self::$Type(Stored { file, own }) => {
                        if !<$Type as Fitted>::SHARES {
                            let none = RestoredFile { bytes: &[], known: None };
                            return <$Type as Fitted>::restore(own, none, options).map(Model::$Type);
                        }
                        let missing = || RestoreError::state(format_args!("its model {file} is missing"));
                        let bytes = files.get(&file).ok_or_else(missing)?;
                        let before = known.get(&file).and_then(|model| {
                            if let Model::$Type(one) = model { Some(one) } else { None }
                        });
                        let restored = RestoredFile { bytes, known: before };
                        let model = Model::$Type(<$Type as Fitted>::restore(own, restored, options)?);
                        known.entry(file).or_insert_with(|| model.clone());
                        Ok(model)
                    })+
                }
            }
        }

        #[cfg(test)]
        mod contracts {
            $($(#[$meta])* crate::contract::detector_contract!($module, $Type);)+
        }

        impl Model {
            pub(crate) fn name(&self) -> &'static str {
                match self { $($(#[$meta])* Self::$Type(_) => <$Type as Fitted>::NAME,)+ }
            }

            /// Whether it takes part in the smoothed score.
            pub(crate) fn ranks(&self) -> bool {
                match self { $($(#[$meta])* Self::$Type(_) => <$Type as Fitted>::RANKS,)+ }
            }

            /// Scores the row buffer's newest row. `known` says what is known beforehand of each feature.
            pub(crate) fn score(
                &mut self,
                row_buffer: &RowBuffer,
                known: &[KnownEffect],
            ) -> Result<Scoring, ScoreError> {
                match self { $($(#[$meta])* Self::$Type(one) => one.score_knowing(row_buffer, known),)+ }
            }

            /// Takes the row buffer's newest row into a batch, whose scores are put onto the end of `scorings` by and by.
            pub(crate) fn score_later(
                &mut self,
                row_buffer: &RowBuffer,
                scorings: &mut Vec<Result<Scoring, ScoreError>>,
            ) {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::score_later(one, row_buffer, scorings),)+ }
            }

            /// Scores what waits of a batch.
            pub(crate) fn score_waiting(&mut self, scorings: &mut Vec<Result<Scoring, ScoreError>>) {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::score_waiting(one, scorings),)+ }
            }

            /// Holds training statistics together with the subject's extractor.
            pub(crate) fn share_statistics(&mut self, scaler: &$crate::scaler::Scaler) {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::share_statistics(one, scaler),)+ }
            }

            /// Asks for the memory that the next score will read, so many rows before its turn.
            pub(crate) fn look_ahead(&self, n_rows_before: usize) {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::look_ahead(one, n_rows_before),)+ }
            }

            /// Bytes held beside what is shared.
            pub(crate) fn own_bytes(&self) -> usize {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::own_bytes(one),)+ }
            }

            /// The trained part that other subjects may share.
            pub(crate) fn shared_part(&self) -> Option<SharedPart> {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::shared_part(one),)+ }
            }

            /// The part that may be shared, as a file.
            pub(crate) fn file(&self) -> Result<ModelFile, RestoreError> {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::file(one),)+ }
            }

            /// What it expected of the newest row, if it is one that forecasts.
            pub(crate) fn expectations(&self) -> Option<&dyn Expectations> {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::expectations(one),)+ }
            }

            /// By how many seconds the subject's clock was changed, if the newest row has shown it.
            pub(crate) fn take_clock_change(&mut self) -> Option<i32> {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::take_clock_change(one),)+ }
            }

            /// What each feature contributes to its score of the newest row, if it can say.
            pub(crate) fn contributions(
                &mut self,
                row_buffer: &RowBuffer,
                contributions: &mut Vec<f64>,
            ) -> Option<Result<(), ScoreError>> {
                match self { $($(#[$meta])* Self::$Type(one) => Fitted::contributions(one, row_buffer, contributions),)+ }
            }
        }
    };
}

// In the order of their votes. The number is the detector's in stored ensembles: a new one takes the next, and none is given twice.
detectors! {
    residual::Residual = 0,
    forest::Forest = 1,
    dbscan::Dbscan = 2,
    forecast::Forecast = 3,
    pca::Pca = 5,
    #[cfg(feature = "onnx")]
    autoencoder::Autoencoder = 4,
    envelope::Envelope = 6,
    #[cfg(test)]
    scripted::Scripted = 1000,
}

impl DetectorSpec {
    /// Detectors that this program was built without, and the feature that has them.
    pub const LEFT_OUT: &'static [(&'static str, &'static str)] =
        if cfg!(feature = "onnx") { &[] } else { &[("autoencoder", "onnx")] };

    /// The detector of this name, with its default options; `None` if this program has none of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|spec| spec.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    /// The places outside its own file, and outside tests that use it, that know the tests' own detector.
    #[test]
    fn adding_a_detector_is_its_file_and_a_line() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        ["detect", "incidents", "evaluate", "engine"]
            .iter()
            .for_each(|room| sources(&crates.join(room).join("src"), &mut files));
        let mut places = Vec::new();
        for path in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == "scripted.rs" || name == "tests.rs" {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("readable");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = code.lines().filter(|line| line.to_lowercase().contains("scripted"));
            places.extend(lines.map(|line| (name.clone(), line.trim().to_owned())));
        }
        places.sort();
        let wanted = [("detectors.rs", "scripted::Scripted = 1000,"), ("lib.rs", "mod scripted;")];
        assert_eq!(places, wanted.map(|(file, line)| (file.to_owned(), line.to_owned())));
        assert!(DetectorSpec::by_name("scripted").is_some() && DetectorSpec::NAMES.contains(&"scripted"));
    }

    #[test]
    fn detectors_have_numbers_of_their_own() {
        let mut names: Vec<&str> = DetectorSpec::NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DetectorSpec::NAMES.len());
        // Of a number given twice the linter says that its second arm in `SavedModel` can't be reached.
        assert!(!DetectorSpec::all_default().iter().any(|spec| spec.name() == "scripted"));
    }
}
