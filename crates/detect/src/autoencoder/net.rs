//! A small dense network with its gradient and Adam, written out: forward, backward, update.
//!
//! It knows nothing of windows, gaps' meaning, seeds' names or ONNX.

use ndarray::{Array1, Array2, Axis, NdFloat, Zip};
use rand::Rng;

/// One dense layer: `y = x · weights + bias`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dense<A> {
    /// `(n_in, n_out)`.
    pub(crate) weights: Array2<A>,
    /// `(n_out)`.
    pub(crate) bias: Array1<A>,
}

/// Encoder and decoder: dense layers, a rectifier `max(x, 0)` after each but the code's and the last, which are linear.
///
/// A rectified code loses what the rectifier cuts off for good: on held-out rows its error was a tenth to a half higher.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Net<A> {
    pub(crate) layers: Vec<Dense<A>>,
}

/// The last layer starts this much smaller, so that training starts from "everything is as on average" (error 1), not
/// from noise: without it, 512 features never got below error 1 in the time there is.
const LAST_LAYER_START: f64 = 0.1;

impl<A: NdFloat> Net<A> {
    /// A net of these widths, input first. Weights are uniform in ±√(6 / (n_in + n_out)), biases zero
    /// (Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010, equation 16).
    pub(crate) fn new(widths: &[usize], rng: &mut impl Rng) -> Self {
        let layers = widths.windows(2).enumerate().map(|(idx, pair)| {
            let (n_in, n_out) = (pair[0], pair[1]);
            let start = if idx + 2 == widths.len() { LAST_LAYER_START } else { 1.0 };
            let bound = start * (6.0 / (n_in + n_out).max(1) as f64).sqrt();
            let weights =
                Array2::from_shape_simple_fn((n_in, n_out), || cast::<A>(bound * (2.0 * rng.random::<f64>() - 1.0)));
            Dense { weights, bias: Array1::zeros(n_out) }
        });
        Self { layers: layers.collect() }
    }

    /// Whether a rectifier follows this layer.
    pub(crate) fn is_rectified(&self, layer_idx: usize) -> bool {
        let n_layers = self.layers.len();
        layer_idx + 1 < n_layers && layer_idx + 1 != n_layers / 2
    }

    /// Number of weights and biases.
    pub(crate) fn n_parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.weights.len() + layer.bias.len()).sum()
    }

    /// Outputs `(n_rows, n_out)` for inputs `(n_rows, n_in)`: what the exported model is held against. Scores come from
    /// the model.
    #[cfg(test)]
    pub(crate) fn forward(&self, inputs: &Array2<A>) -> Array2<A> {
        self.activations(inputs).pop().unwrap_or_else(|| inputs.clone())
    }

    /// The output of every layer, after its rectifier, first to last.
    fn activations(&self, inputs: &Array2<A>) -> Vec<Array2<A>> {
        let mut outputs: Vec<Array2<A>> = Vec::with_capacity(self.layers.len());
        for (idx, layer) in self.layers.iter().enumerate() {
            let input = outputs.last().unwrap_or(inputs);
            let mut output = input.dot(&layer.weights) + &layer.bias;
            if self.is_rectified(idx) {
                output.mapv_inplace(|value| if value > A::zero() { value } else { A::zero() });
            }
            outputs.push(output);
        }
        outputs
    }

    /// The weighted mean squared reconstruction error, and its gradient.
    ///
    /// `inputs` and `weights` are `(n_rows, n_in)`; a cell's weight says how much its error counts, 0 in a gap.
    pub(crate) fn loss_and_gradient(&self, inputs: &Array2<A>, weights: &Array2<A>) -> (A, Self) {
        let outputs = self.activations(inputs);
        let weight_sum = weights.sum().max(A::one());
        let mut delta = outputs.last().map_or_else(|| inputs.clone(), |reconstruction| reconstruction - inputs);
        let mut loss = A::zero();
        Zip::from(&mut delta).and(weights).for_each(|error, weight| {
            let weighted = *error * *weight;
            loss += *error * weighted;
            *error = weighted;
        });
        loss /= weight_sum;
        // d(loss)/d(output) of a mean of squares.
        delta *= (A::one() + A::one()) / weight_sum;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (idx, layer) in self.layers.iter().enumerate().rev() {
            let input = if idx == 0 { inputs } else { &outputs[idx - 1] };
            layers.push(Dense { weights: input.t().dot(&delta), bias: delta.sum_axis(Axis(0)) });
            if idx > 0 {
                delta = delta.dot(&layer.weights.t());
            }
            if idx > 0 && self.is_rectified(idx - 1) {
                // The rectifier passes a gradient only where it passed the value.
                Zip::from(&mut delta).and(&outputs[idx - 1]).for_each(|error, value| {
                    if *value <= A::zero() {
                        *error = A::zero();
                    }
                });
            }
        }
        layers.reverse();
        (loss, Self { layers })
    }
}

/// Adam (Kingma and Ba, Adam: a method for stochastic optimization, 2015, algorithm 1) with that paper's constants.
pub(crate) struct Adam {
    first: Net<f32>,
    second: Net<f32>,
    n_steps: i32,
}

impl Adam {
    const BETA1: f32 = 0.9;
    const BETA2: f32 = 0.999;
    const EPSILON: f32 = 1e-8;

    /// Moments at zero for a net of this shape.
    pub(crate) fn new(net: &Net<f32>) -> Self {
        let mut zero = net.clone();
        for layer in &mut zero.layers {
            layer.weights.fill(0.0);
            layer.bias.fill(0.0);
        }
        Self { first: zero.clone(), second: zero, n_steps: 0 }
    }

    /// Moves the net one step down the gradient.
    pub(crate) fn step(&mut self, net: &mut Net<f32>, gradient: &Net<f32>, learning_rate: f32) {
        self.n_steps = self.n_steps.saturating_add(1);
        // Both bias corrections folded into the rate, as the paper's section 2 proposes.
        let correction = (1.0 - Self::BETA2.powi(self.n_steps)).sqrt() / (1.0 - Self::BETA1.powi(self.n_steps));
        let rate = learning_rate * correction;
        let update = |value: &mut f32, slope: &f32, first: &mut f32, second: &mut f32| {
            *first += (1.0 - Self::BETA1) * (slope - *first);
            *second += (1.0 - Self::BETA2) * (slope * slope - *second);
            *value -= rate * *first / (second.sqrt() + Self::EPSILON);
        };
        let moments = self.first.layers.iter_mut().zip(&mut self.second.layers);
        for ((layer, slope), (first, second)) in net.layers.iter_mut().zip(&gradient.layers).zip(moments) {
            Zip::from(&mut layer.weights)
                .and(&slope.weights)
                .and(&mut first.weights)
                .and(&mut second.weights)
                .for_each(update);
            Zip::from(&mut layer.bias).and(&slope.bias).and(&mut first.bias).and(&mut second.bias).for_each(update);
        }
    }
}

fn cast<A: NdFloat>(value: f64) -> A {
    // Both floats we use take any f64; zero stands for one that wouldn't.
    A::from(value).unwrap_or_else(A::zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat_core::Seed;

    fn case() -> (Net<f64>, Array2<f64>, Array2<f64>) {
        let mut rng = Seed::new(3).rng();
        let net = Net::new(&[5, 4, 2, 4, 5], &mut rng);
        let inputs = Array2::from_shape_simple_fn((7, 5), || 2.0 * rng.random::<f64>() - 1.0);
        let mut mask = Array2::ones((7, 5));
        mask[[0, 1]] = 0.0;
        mask[[3, 4]] = 0.0;
        mask[[2, 2]] = 3.0;
        (net, inputs, mask)
    }

    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        let (net, inputs, mask) = case();
        let (_, gradient) = net.loss_and_gradient(&inputs, &mask);
        let step = 1e-6;
        let slope = |change: &dyn Fn(&mut Net<f64>, f64)| {
            let loss = |by: f64| {
                let mut moved = net.clone();
                change(&mut moved, by);
                moved.loss_and_gradient(&inputs, &mask).0
            };
            (loss(step) - loss(-step)) / (2.0 * step)
        };
        let mut largest = 0.0_f64;
        for layer in 0..net.layers.len() {
            for ((row, col), found) in gradient.layers[layer].weights.indexed_iter() {
                let wanted = slope(&|moved, by| moved.layers[layer].weights[[row, col]] += by);
                assert!((found - wanted).abs() < 1e-7 * (1.0 + wanted.abs()), "{layer} {row} {col}: {found} {wanted}");
                largest = largest.max(wanted.abs());
            }
            for (col, found) in gradient.layers[layer].bias.indexed_iter() {
                let wanted = slope(&|moved, by| moved.layers[layer].bias[col] += by);
                assert!((found - wanted).abs() < 1e-7 * (1.0 + wanted.abs()), "{layer} {col}: {found} {wanted}");
            }
        }
        assert!(largest > 1e-3, "a gradient of zeros would agree with anything");
    }

    #[test]
    fn what_is_in_a_gap_of_the_target_doesnt_count() {
        let (net, inputs, mask) = case();
        let (loss, _) = net.loss_and_gradient(&inputs, &mask);
        let reconstruction = net.forward(&inputs);
        let by_hand: f64 = Zip::from(&inputs)
            .and(&reconstruction)
            .and(&mask)
            .fold(0.0, |sum, x, y, present| sum + present * (x - y).powi(2));
        assert!((loss - by_hand / 35.0).abs() < 1e-12);
    }

    #[test]
    fn adam_goes_down() {
        let mut rng = Seed::new(5).rng();
        let mut net: Net<f32> = Net::new(&[4, 6, 2, 6, 4], &mut rng);
        // Four inputs that are two numbers in disguise: a code of two is enough.
        let codes = Array2::from_shape_simple_fn((64, 2), || 2.0 * rng.random::<f32>() - 1.0);
        let inputs = Array2::from_shape_fn((64, 4), |(row, col)| codes[[row, col % 2]] * (1.0 + col as f32 / 4.0));
        let mask = Array2::ones((64, 4));
        let mut adam = Adam::new(&net);
        let (before, _) = net.loss_and_gradient(&inputs, &mask);
        for _ in 0..500 {
            let (_, gradient) = net.loss_and_gradient(&inputs, &mask);
            adam.step(&mut net, &gradient, 1e-2);
        }
        let (after, _) = net.loss_and_gradient(&inputs, &mask);
        assert!(after < before / 10.0, "{before} → {after}");
    }
}
