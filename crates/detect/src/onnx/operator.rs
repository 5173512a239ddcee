//! The operators of a dense model, each as ONNX defines it (Operators.md, operator sets 13 to 20), on f32 rows.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ErrorKind, ShapeError};

use super::proto::NodeProto;

/// A value as rows: what has one row serves every row of what has more, and what has one column every column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    /// Row-major, `n_rows × n_columns`.
    pub(super) cells: &'a [f32],
    pub(super) n_columns: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn n_rows(self) -> usize {
        self.cells.len() / self.n_columns
    }

    fn row(self, idx: usize) -> &'a [f32] {
        let at = if self.n_rows() == 1 { 0 } else { idx * self.n_columns };
        &self.cells[at..at + self.n_columns]
    }

    fn matrix(self, is_transposed: bool) -> Result<ArrayView2<'a, f32>, ShapeError> {
        let matrix = ArrayView2::from_shape((self.n_rows(), self.n_columns), self.cells)?;
        Ok(if is_transposed { matrix.reversed_axes() } else { matrix })
    }
}

/// What a node computes of its first input, and of the others.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    /// `alpha · A · B + beta · C`, with `A` and `B` taken transposed where said; MatMul is this without `C`.
    Gemm {
        alpha: f32,
        beta: f32,
        is_left_transposed: bool,
        is_right_transposed: bool,
    },
    /// Each column by the moments it had in training.
    BatchNormalization {
        epsilon: f32,
    },
    Clip,
    Elu {
        alpha: f32,
    },
    Identity,
    LeakyRelu {
        alpha: f32,
    },
    Relu,
    Sigmoid,
    Softplus,
    Tanh,
}

impl Operator {
    /// Of a checked node; `None` for an operator that the check doesn't let through.
    pub(super) fn of(node: &NodeProto) -> Option<Self> {
        let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
        let number = |name: &str, default: f32| attribute(name).map_or(default, |found| found.f);
        let is_set = |name: &str| attribute(name).is_some_and(|found| found.i != 0);
        Some(match node.op_type.as_str() {
            "Add" => Self::Add,
            "Sub" => Self::Sub,
            "Mul" => Self::Mul,
            "Div" => Self::Div,
            "MatMul" => Self::Gemm { alpha: 1.0, beta: 0.0, is_left_transposed: false, is_right_transposed: false },
            "Gemm" => Self::Gemm {
                alpha: number("alpha", 1.0),
                beta: number("beta", 1.0),
                is_left_transposed: is_set("transA"),
                is_right_transposed: is_set("transB"),
            },
            "BatchNormalization" => Self::BatchNormalization { epsilon: number("epsilon", 1e-5) },
            "Clip" => Self::Clip,
            "Elu" => Self::Elu { alpha: number("alpha", 1.0) },
            "Identity" => Self::Identity,
            "LeakyRelu" => Self::LeakyRelu { alpha: number("alpha", 0.01) },
            "Relu" => Self::Relu,
            "Sigmoid" => Self::Sigmoid,
            "Softplus" => Self::Softplus,
            "Tanh" => Self::Tanh,
            _ => return None,
        })
    }

    /// The shape `(rows, columns)` of what it makes of these.
    pub(super) fn shape(&self, first: Rows<'_>, rest: &[Option<Rows<'_>>]) -> (usize, usize) {
        match (self, rest) {
            (Self::Add | Self::Sub | Self::Mul | Self::Div, [Some(second), ..]) => {
                (first.n_rows().max(second.n_rows()), first.n_columns.max(second.n_columns))
            }
            (Self::Gemm { is_left_transposed, is_right_transposed, .. }, [Some(second), ..]) => (
                if *is_left_transposed { first.n_columns } else { first.n_rows() },
                if *is_right_transposed { second.n_rows() } else { second.n_columns },
            ),
            (_, _) => (first.n_rows(), first.n_columns),
        }
    }

    /// Computes its rows of `n_columns` into `out`, which has the size that [`Self::shape`] says.
    pub(super) fn compute(
        &self,
        first: Rows<'_>,
        rest: &[Option<Rows<'_>>],
        out: &mut [f32],
        n_columns: usize,
    ) -> Result<(), ShapeError> {
        // The check counts a node's inputs; one that is missing all the same must not pass for a result.
        let wanted =
            |idx: usize| rest.get(idx).copied().flatten().ok_or(ShapeError::from_kind(ErrorKind::IncompatibleShape));
        match self {
            Self::Add => elementwise(first, wanted(0)?, out, n_columns, |a, b| a + b),
            Self::Sub => elementwise(first, wanted(0)?, out, n_columns, |a, b| a - b),
            Self::Mul => elementwise(first, wanted(0)?, out, n_columns, |a, b| a * b),
            Self::Div => elementwise(first, wanted(0)?, out, n_columns, |a, b| a / b),
            Self::Gemm { alpha, beta, is_left_transposed, is_right_transposed } => {
                let (left, right) = (first.matrix(*is_left_transposed)?, wanted(0)?.matrix(*is_right_transposed)?);
                let addend = rest.get(1).copied().flatten();
                if let Some(addend) = addend {
                    spread(addend, out, n_columns);
                }
                let mut product = ArrayViewMut2::from_shape((out.len() / n_columns, n_columns), out)?;
                general_mat_mul(*alpha, &left, &right, if addend.is_some() { *beta } else { 0.0 }, &mut product);
            }
            Self::BatchNormalization { epsilon } => {
                let (scale, bias, mean, variance) = (wanted(0)?, wanted(1)?, wanted(2)?, wanted(3)?);
                for (idx, row) in out.chunks_exact_mut(n_columns).enumerate() {
                    for (column, (cell, value)) in row.iter_mut().zip(first.row(idx)).enumerate() {
                        let factor = scale.cells[column] / (variance.cells[column] + epsilon).sqrt();
                        *cell = (value - mean.cells[column]) * factor + bias.cells[column];
                    }
                }
            }
            Self::Clip => {
                let bound = |idx: usize, open: f32| {
                    rest.get(idx).copied().flatten().and_then(|bound| bound.cells.first().copied()).unwrap_or(open)
                };
                let (least, most) = (bound(0, f32::NEG_INFINITY), bound(1, f32::INFINITY));
                // Not `clamp`, which panics where the least is above the most; ONNX takes the most then.
                each(first, out, |value| if value.is_nan() { value } else { value.max(least).min(most) });
            }
            Self::Elu { alpha } => each(first, out, |value| if value < 0.0 { alpha * value.exp_m1() } else { value }),
            Self::Identity => out.copy_from_slice(first.cells),
            Self::LeakyRelu { alpha } => each(first, out, |value| if value < 0.0 { alpha * value } else { value }),
            // Not `max`, which would make a 0 of what isn't a number.
            Self::Relu => each(first, out, |value| if value < 0.0 { 0.0 } else { value }),
            Self::Sigmoid => each(first, out, |value| 1.0 / (1.0 + (-value).exp())),
            // ln(1 + eˣ), without the overflow of eˣ.
            Self::Softplus => each(first, out, |value| value.max(0.0) + (-value.abs()).exp().ln_1p()),
            Self::Tanh => each(first, out, f32::tanh),
        }
        Ok(())
    }
}

fn each(first: Rows<'_>, out: &mut [f32], function: impl Fn(f32) -> f32) {
    for (cell, value) in out.iter_mut().zip(first.cells) {
        *cell = function(*value);
    }
}

/// Row by row on slices: an iterator over a broadcast view isn't vectorised, and took longer than the layers between.
fn elementwise(
    first: Rows<'_>,
    second: Rows<'_>,
    out: &mut [f32],
    n_columns: usize,
    function: impl Fn(f32, f32) -> f32,
) {
    for (idx, row) in out.chunks_exact_mut(n_columns).enumerate() {
        match (first.row(idx), second.row(idx)) {
            ([one], others) => row.iter_mut().zip(others).for_each(|(cell, other)| *cell = function(*one, *other)),
            (ones, [other]) => row.iter_mut().zip(ones).for_each(|(cell, one)| *cell = function(*one, *other)),
            (ones, others) => {
                row.iter_mut()
                    .zip(ones.iter().zip(others))
                    .for_each(|(cell, (one, other))| *cell = function(*one, *other));
            }
        }
    }
}

/// The value in every row and column of `out`.
fn spread(value: Rows<'_>, out: &mut [f32], n_columns: usize) {
    for (idx, row) in out.chunks_exact_mut(n_columns).enumerate() {
        match value.row(idx) {
            [one] => row.fill(*one),
            cells => row.copy_from_slice(cells),
        }
    }
}
