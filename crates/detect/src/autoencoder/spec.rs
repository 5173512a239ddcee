//! How an autoencoder is trained: options with their ranges.

use super::NAME;
use super::training::WINDOWS_MIN;
use crate::detector::TrainError;

/// Options of the autoencoder's training.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoencoderSpec {
    epochs_max: usize,
    windows_max: usize,
    learning_rate: f64,
}

impl Default for AutoencoderSpec {
    /// 80 epochs of 4096 windows (nearly three days of minutes) at 0.003: twice as much of the first two lowers the error
    /// on held-out rows by a few per cent, half or twice the last changes it by as little.
    fn default() -> Self {
        Self { epochs_max: 80, windows_max: 4096, learning_rate: 3e-3 }
    }
}

impl AutoencoderSpec {
    /// Most epochs that can be asked for: the error stopped falling long before.
    pub const EPOCHS_MAX: usize = 1_000;
    /// Most training windows that can be asked for: two months of minutes.
    pub const WINDOWS_MAX: usize = 100_000;
    /// Largest learning rate: Adam moves each weight by about this much a step, and weights start near 0.1.
    pub const LEARNING_RATE_MAX: f64 = 0.1;

    /// `epochs_max` passes, 1 to [`Self::EPOCHS_MAX`], over at most `windows_max` windows, 120 to
    /// [`Self::WINDOWS_MAX`], sampled from the history; wide windows get fewer of both, to hold training near a second.
    /// `learning_rate`, up to [`Self::LEARNING_RATE_MAX`], is Adam's step at the start; it falls linearly to a tenth.
    pub fn new(epochs_max: usize, windows_max: usize, learning_rate: f64) -> Result<Self, TrainError> {
        let bad = |why: String| Err(TrainError::BadOption { detector: NAME, why });
        if !(1..=Self::EPOCHS_MAX).contains(&epochs_max) {
            return bad(format!("epochs_max must be 1 to {}, not {epochs_max}", Self::EPOCHS_MAX));
        }
        if !(WINDOWS_MIN..=Self::WINDOWS_MAX).contains(&windows_max) {
            let range = (WINDOWS_MIN, Self::WINDOWS_MAX);
            return bad(format!("windows_max must be {} to {}, not {windows_max}", range.0, range.1));
        }
        if !(learning_rate > 0.0 && learning_rate <= Self::LEARNING_RATE_MAX) {
            return bad(format!(
                "learning_rate must be above 0 and at most {}, not {learning_rate}",
                Self::LEARNING_RATE_MAX
            ));
        }
        Ok(Self { epochs_max, windows_max, learning_rate })
    }

    /// Most passes over the training windows.
    pub fn epochs_max(&self) -> usize {
        self.epochs_max
    }

    /// Most training windows.
    pub fn windows_max(&self) -> usize {
        self.windows_max
    }

    /// Adam's step at the start.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }
}
