//! Exponential smoothing, run one row at a time: augurs fits it, we run it.
//!
//! augurs keeps fitted parameters and states to itself and has no incremental update, so the parameters are recovered from
//! its fitted values by least squares and the state equations are run here: constant time a row.

use augurs::Predict;
use augurs::ets::model::{ErrorComponent, Model, ModelType, SeasonalComponent, TrendComponent, Unfit};
use serde::{Deserialize, Serialize};

use super::within::within;

/// Recovered equations must give augurs' own fitted values to within this share of the series' deviation.
const REPLAY_TOLERANCE: f64 = 1e-6;

/// Errors enter the state cut at this many deviations (robust smoothing: Gelper, Fried and Croux 2010), so that one spike
/// doesn't become the new level.
const UPDATE_CUT: f64 = 3.0;

/// Smoothing parameters of an additive-error model (Hyndman, Koehler, Ord and Snyder 2008, table 2.2): ETS(A,N,N) with
/// `beta` and `phi` 0, ETS(A,Ad,N) otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ets {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) phi: f64,
}

/// Level and slope, in the feature's own unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EtsState {
    pub(super) level: f64,
    pub(super) slope: f64,
}

impl Ets {
    /// A level that never moves: what is left where nothing can be fitted.
    pub(super) const FLAT: Self = Self { alpha: 0.0, beta: 0.0, phi: 0.0 };

    /// The one-step forecast.
    #[inline]
    pub(super) fn forecast(&self, state: EtsState) -> f64 {
        state.level + self.phi * state.slope
    }

    /// The state after a one-step error.
    #[inline]
    pub(super) fn updated(&self, state: EtsState, error: f64) -> EtsState {
        EtsState { level: self.forecast(state) + self.alpha * error, slope: self.phi * state.slope + self.beta * error }
    }

    /// The same with the error cut at [`UPDATE_CUT`] deviations.
    #[inline]
    pub(super) fn updated_robustly(&self, state: EtsState, error: f64, deviation: f64) -> EtsState {
        let cut = UPDATE_CUT * deviation;
        self.updated(state, within(error, -cut, cut))
    }

    /// By how much the deviation of a forecast across `n_gaps` rows without data exceeds that of a one-step forecast:
    /// `sqrt(1 + n α²)` (the same book, table 6.1, for ETS(A,N,N)).
    pub(super) fn widening(&self, n_gaps: u32) -> f64 {
        (1.0 + f64::from(n_gaps) * self.alpha * self.alpha).sqrt()
    }

    /// Fits a standardised series without gaps. `None` where augurs finds no model, or none that we can run: the series
    /// is constant, or too short.
    pub(super) fn fit(series: &[f64]) -> Option<Self> {
        let fitted = best_by_aicc(series)?;
        let values = fitted.predict_in_sample(None).ok()?.point;
        if values.len() != series.len() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let errors: Vec<f64> = series.iter().zip(&values).map(|(value, fitted)| value - fitted).collect();
        let recovered = Self::recovered(&fitted, &values, &errors);
        // Where the slope is next to nothing its parameters can't be told from the fitted values; simple smoothing then
        // does as well, with the parameter that explains them best.
        recovered.filter(|ets| ets.replays(&values, &errors)).or_else(|| Self::simple(&values, &errors))
    }

    fn recovered(fitted: &Model, values: &[f64], errors: &[f64]) -> Option<Self> {
        let step = |t: usize| values[t + 1] - values[t];
        let rows = 1..values.len() - 1;
        let ets = match fitted.model_type().trend {
            TrendComponent::None => return Self::simple(values, errors),
            // f(t+1) - f(t) = φ (f(t) - f(t-1)) + (α + φβ) e(t) - φα e(t-1)
            TrendComponent::Additive => {
                let [phi, newer, older] =
                    least_squares(rows.map(|t| ([step(t - 1), errors[t], errors[t - 1]], step(t))))?;
                let alpha = -older / phi;
                Self { alpha, beta: (newer - alpha) / phi, phi }
            }
            TrendComponent::Multiplicative => return None,
        };
        Some(ets)
    }

    /// ETS(A,N,N), from f(t+1) - f(t) = α e(t).
    fn simple(values: &[f64], errors: &[f64]) -> Option<Self> {
        let rows = (0..values.len() - 1).map(|t| ([errors[t]], values[t + 1] - values[t]));
        let [alpha] = least_squares(rows)?;
        Some(Self { alpha: alpha.clamp(0.0, 1.0), beta: 0.0, phi: 0.0 })
    }

    /// Whether our equations give the fitted values again.
    fn replays(&self, values: &[f64], errors: &[f64]) -> bool {
        // The slope before row 1 follows from the first two fitted values; the state before row 0 isn't unique.
        let slope_part = values[1] - values[0] - self.alpha * errors[0];
        let slope = if self.phi == 0.0 { 0.0 } else { slope_part / self.phi };
        let mut state = EtsState { level: values[0] + self.alpha * errors[0], slope };
        for (value, error) in values.iter().zip(errors).skip(1) {
            let forecast = self.forecast(state);
            // The series has a deviation of about 1. Asked for what is right: NaN must fail.
            let is_close = (forecast - value).abs() <= REPLAY_TOLERANCE;
            if !is_close {
                return false;
            }
            state = self.updated(state, *error);
        }
        true
    }
}

/// ETS(A,N,N) or ETS(A,Ad,N), whichever has the lower AICc, as augurs' `AutoETS` chooses. Additive errors, since residuals are measured
/// in one deviation, whatever the level. A trend that isn't damped is left out: it forecasts no better (Gardner and McKenzie 1985;
/// `docs/decisions/0089-ets-without-what-isnt-used.md`), and it takes time.
fn best_by_aicc(series: &[f64]) -> Option<Model> {
    let candidates = [(TrendComponent::None, false), (TrendComponent::Additive, true)];
    let fitted = candidates.into_iter().filter_map(|(trend, damped)| {
        let model_type = ModelType { error: ErrorComponent::Additive, trend, season: SeasonalComponent::None };
        // `nmse` is how many rows ahead it forecasts at every row, for a criterion other than the likelihood. The parameters are
        // the same with one as with `AutoETS`'s three, which cost more.
        Unfit::new(model_type).damped(damped).nmse(1).fit(series).ok()
    });
    fitted.filter(|model| !model.aicc().is_nan()).min_by(|a, b| a.aicc().total_cmp(&b.aicc()))
}

/// Least squares by the normal equations, scaled to a unit diagonal and solved by elimination with pivoting. `None` where
/// the columns don't determine the coefficients.
fn least_squares<const N: usize>(rows: impl Iterator<Item = ([f64; N], f64)>) -> Option<[f64; N]> {
    let (mut matrix, mut right) = ([[0.0; N]; N], [0.0; N]);
    for (row, target) in rows {
        for i in 0..N {
            right[i] += row[i] * target;
            for j in 0..N {
                matrix[i][j] += row[i] * row[j];
            }
        }
    }
    let scale: [f64; N] = std::array::from_fn(|i| matrix[i][i].sqrt());
    if scale.iter().any(|scale| !(scale.is_finite() && *scale > 0.0)) {
        return None;
    }
    for i in 0..N {
        right[i] /= scale[i];
        for j in 0..N {
            matrix[i][j] /= scale[i] * scale[j];
        }
    }
    for pivot in 0..N {
        let best = (pivot..N).max_by(|a, b| matrix[*a][pivot].abs().total_cmp(&matrix[*b][pivot].abs()))?;
        matrix.swap(pivot, best);
        right.swap(pivot, best);
        // On a unit diagonal: a remainder this small is rounding.
        if matrix[pivot][pivot].abs() < 1e-13 {
            return None;
        }
        let above = matrix[pivot];
        for row in pivot + 1..N {
            let factor = matrix[row][pivot] / above[pivot];
            for (cell, above) in matrix[row].iter_mut().zip(above) {
                *cell -= factor * above;
            }
            right[row] -= factor * right[pivot];
        }
    }
    let mut solution = [0.0; N];
    for row in (0..N).rev() {
        let known: f64 = (row + 1..N).map(|column| matrix[row][column] * solution[column]).sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    for (value, scale) in solution.iter_mut().zip(scale) {
        *value /= scale;
    }
    solution.iter().all(|value| value.is_finite()).then_some(solution)
}

#[cfg(test)]
mod tests {
    use augurs::Fit;
    use augurs::ets::AutoETS;

    use super::*;
    use crate::contract::noise;
    use homeostat_core::Seed;

    /// A series that an ETS(A,Ad,N) model made, and the one-step forecast of its next value.
    fn made_by(ets: Ets, n: usize) -> (Vec<f64>, f64) {
        let errors = noise(n, 1, Seed::new(3));
        let mut state = EtsState { level: 0.0, slope: 0.1 };
        let series = errors
            .iter()
            .map(|error| {
                let value = ets.forecast(state) + error;
                state = ets.updated(state, *error);
                value
            })
            .collect();
        (series, ets.forecast(state))
    }

    #[test]
    fn our_equations_give_the_fitted_values_and_the_forecast_of_augurs() {
        for ets in [Ets { alpha: 0.3, beta: 0.0, phi: 0.0 }, Ets { alpha: 0.6, beta: 0.2, phi: 0.9 }] {
            let (series, _) = made_by(ets, 400);
            let fitted = best_by_aicc(&series).expect("a model");
            let values = fitted.predict_in_sample(None).expect("fitted values").point;
            let auto = AutoETS::new(1, "AZN").expect("a spec").fit(&series).expect("a model");
            assert_eq!(values, auto.predict_in_sample(None).expect("fitted values").point, "as augurs chooses");
            let errors: Vec<f64> = series.iter().zip(&values).map(|(value, fitted)| value - fitted).collect();
            let recovered = Ets::recovered(&fitted, &values, &errors).expect("parameters");
            assert!(recovered.replays(&values, &errors), "{recovered:?} for a series made by {ets:?}");
            // From the last fitted value on, the next forecast is augurs' own.
            let slope_part = values[1] - values[0] - recovered.alpha * errors[0];
            let slope = if recovered.phi == 0.0 { 0.0 } else { slope_part / recovered.phi };
            let first = EtsState { level: values[0] + recovered.alpha * errors[0], slope };
            let last = errors.iter().skip(1).fold(first, |state, error| recovered.updated(state, *error));
            let next = fitted.predict(1, None).expect("a forecast").point[0];
            assert!((recovered.forecast(last) - next).abs() < 1e-6, "{} {next}", recovered.forecast(last));
        }
    }

    #[test]
    fn a_constant_series_has_no_model_or_one_that_forecasts_it() {
        if let Some(ets) = Ets::fit(&[0.0; 200]) {
            let forecast = ets.forecast(EtsState { level: 0.0, slope: 0.0 });
            assert_eq!(forecast, 0.0);
        }
    }

    #[test]
    fn one_spike_moves_the_level_by_three_deviations_at_most() {
        let ets = Ets { alpha: 1.0, beta: 0.0, phi: 0.0 };
        let state = ets.updated_robustly(EtsState { level: 5.0, slope: 0.0 }, 1e300, 2.0);
        assert_eq!(state.level, 11.0);
    }

    #[test]
    fn dependent_columns_have_no_solution() {
        assert_eq!(least_squares((0..9).map(|t| ([f64::from(t), 2.0 * f64::from(t)], 1.0))), None);
        assert_eq!(least_squares(std::iter::empty::<([f64; 1], f64)>()), None);
    }
}
