//! Follows shapes through a graph, before any memory is taken for them.
//!
//! It finds a wrong shape where it arises, with the node's name for it, and refuses what only broadcasting blows up: two
//! weights of 16 KiB can ask for a product of 64 MiB. It knows values of at most two dimensions, like the operators
//! that `check.rs` lets through.

use std::collections::BTreeMap;
use std::fmt;

use super::MODEL_BYTES_MAX;
use super::proto::NodeProto;

/// Most cells of a value that doesn't grow with the batch: as many as the largest file can hold.
const CELLS_MAX: usize = MODEL_BYTES_MAX / size_of::<f32>();

/// Widest value: as the widest weights.
const COLUMNS_MAX: usize = 4096;

/// A value's shape, as two dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    rows: Rows,
    columns: usize,
    /// Whether it has two dimensions itself; fewer are taken as the last ones.
    is_matrix: bool,
}

/// The first dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// As many as the run has.
    Batch,
    Fixed(usize),
}

impl Shape {
    /// `(any batch, columns)`.
    pub(super) fn of_batch(columns: usize) -> Self {
        Self { rows: Rows::Batch, columns, is_matrix: true }
    }

    /// Of weights with at most two dimensions, each positive.
    pub(super) fn of_weights(dims: &[i64]) -> Self {
        let size = |idx: Option<usize>| {
            let dim = idx.and_then(|idx| dims.get(idx)).copied().unwrap_or(1);
            usize::try_from(dim).unwrap_or(usize::MAX)
        };
        let last = dims.len().checked_sub(1);
        let first = dims.len().checked_sub(2);
        Self { rows: Rows::Fixed(size(first)), columns: size(last), is_matrix: dims.len() == 2 }
    }

    fn is_scalar(self) -> bool {
        self.rows == Rows::Fixed(1) && self.columns == 1
    }

    fn transposed(self) -> Option<Self> {
        match self.rows {
            Rows::Fixed(rows) if self.is_matrix => {
                Some(Self { rows: Rows::Fixed(self.columns), columns: rows, is_matrix: true })
            }
            Rows::Fixed(_) | Rows::Batch => None,
        }
    }

    /// Elementwise with another, each dimension equal or stretched from 1.
    fn broadcast(self, other: Self) -> Option<Self> {
        let columns = stretched(self.columns, other.columns)?;
        let rows = match (self.rows, other.rows) {
            (Rows::Batch, Rows::Batch | Rows::Fixed(1)) | (Rows::Fixed(1), Rows::Batch) => Rows::Batch,
            // It would run for one size of batch only.
            (Rows::Batch, Rows::Fixed(_)) | (Rows::Fixed(_), Rows::Batch) => return None,
            (Rows::Fixed(one), Rows::Fixed(other)) => Rows::Fixed(stretched(one, other)?),
        };
        Some(Self { rows, columns, is_matrix: self.is_matrix || other.is_matrix })
    }

    /// The matrix product.
    fn times(self, other: Self) -> Option<Self> {
        let fits = self.is_matrix && other.is_matrix && other.rows == Rows::Fixed(self.columns);
        fits.then_some(Self { rows: self.rows, columns: other.columns, is_matrix: true })
    }

    fn is_bounded(self) -> bool {
        let rows = match self.rows {
            Rows::Batch => 1,
            Rows::Fixed(rows) => rows,
        };
        self.columns <= COLUMNS_MAX && rows.saturating_mul(self.columns) <= CELLS_MAX
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows {
            Rows::Batch => write!(f, "(batch, {} columns)", self.columns),
            Rows::Fixed(rows) => write!(f, "({rows} rows, {} columns)", self.columns),
        }
    }
}

fn stretched(one: usize, other: usize) -> Option<usize> {
    match (one, other) {
        (one, other) if one == other => Some(one),
        (1, other) => Some(other),
        (one, 1) => Some(one),
        (_, _) => None,
    }
}

/// The shape of every value made so far, by its name.
#[derive(Default)]
pub(super) struct Shapes<'a>(BTreeMap<&'a str, Shape>);

impl<'a> Shapes<'a> {
    pub(super) fn get(&self, name: &str) -> Option<Shape> {
        self.0.get(name).copied()
    }

    pub(super) fn declare(&mut self, name: &'a str, shape: Shape) -> Result<(), String> {
        if name.is_empty() || self.0.insert(name, shape).is_some() {
            return Err(format!("the name {name:?} is empty or given twice"));
        }
        Ok(())
    }

    /// Declares the output of a node that has inputs enough and one output, as `check.rs` made sure.
    pub(super) fn infer(&mut self, node: &'a NodeProto) -> Result<(), String> {
        let shapes = node.input.iter().map(|name| self.input(node, name)).collect::<Result<Vec<_>, String>>()?;
        let shape = match shapes.as_slice() {
            // Only Clip may leave an input out, and never the first.
            [Some(first), rest @ ..] => inferred(node, *first, rest).filter(|shape| shape.is_bounded()),
            _ => None,
        };
        let Some(shape) = shape else {
            let found: Vec<String> = shapes.iter().flatten().map(Shape::to_string).collect();
            return Err(format!("{} {:?} can't work on shapes {}", node.op_type, node.name, found.join(" and ")));
        };
        node.output.iter().try_for_each(|output| self.declare(output, shape))
    }

    fn input(&self, node: &NodeProto, name: &str) -> Result<Option<Shape>, String> {
        if name.is_empty() && node.op_type == "Clip" {
            return Ok(None);
        }
        match self.get(name) {
            Some(shape) => Ok(Some(shape)),
            None => Err(format!("{} reads {name:?}, which nothing before it makes", node.op_type)),
        }
    }
}

/// The shape of a node's output; `None` where its inputs don't fit each other.
fn inferred(node: &NodeProto, first: Shape, rest: &[Option<Shape>]) -> Option<Shape> {
    match (node.op_type.as_str(), rest) {
        ("Add" | "Sub" | "Mul" | "Div", [Some(second)]) => first.broadcast(*second),
        ("MatMul", [Some(second)]) => first.times(*second),
        ("Gemm", [Some(second), addend @ ..]) => {
            let left = if is_set(node, "transA") { first.transposed()? } else { first };
            let right = if is_set(node, "transB") { second.transposed()? } else { *second };
            let product = left.times(right)?;
            match addend {
                [] => Some(product),
                [Some(addend)] => product.broadcast(*addend).filter(|sum| *sum == product),
                _ => None,
            }
        }
        ("Clip", bounds) => bounds.iter().flatten().all(|bound| bound.is_scalar()).then_some(first),
        ("BatchNormalization", statistics) => {
            let row = |shape: &Option<Shape>| {
                shape.is_some_and(|one| one.rows == Rows::Fixed(1) && !one.is_matrix && one.columns == first.columns)
            };
            statistics.iter().all(row).then_some(first)
        }
        // The others take one value and keep its shape.
        (_, []) => Some(first),
        (_, _) => None,
    }
}

/// Whether a flag of the operator is there and not 0.
fn is_set(node: &NodeProto, name: &str) -> bool {
    node.attribute.iter().any(|attribute| attribute.name == name && attribute.i != 0)
}
