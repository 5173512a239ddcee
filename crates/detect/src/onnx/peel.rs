//! Takes the scaling at both ends of a graph out, to be computed while values are copied in and out anyway.
//!
//! tract works off a row of constants element by element where its length is no multiple of the vector registers'; four
//! such rows cost more than the layers between them. What is taken out is computed by the same f32 operations in the same
//! order, so the outputs are the graph's. The file keeps its scaling; only the embedded backend's copy loses it.

use tract_onnx::pb;

/// One elementwise operation with a constant of the row's width.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    operation: Operation,
    constants: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Sub,
    Mul,
    Div,
}

/// What was taken out at the input's end and at the output's, each in the order it is to be computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Peeled {
    pub(super) before: Vec<Step>,
    pub(super) after: Vec<Step>,
}

/// Takes what it can out of a checked model of rows of `n_columns`; at least one node stays.
pub(super) fn peel(model: &mut pb::ModelProto, n_columns: usize) -> Peeled {
    let mut peeled = Peeled::default();
    let Some(graph) = &mut model.graph else { return peeled };
    while let Some((idx, step)) = next(graph, n_columns, |graph| {
        let input = graph.input.iter().find(|input| constants(graph, &input.name).is_none())?.name.clone();
        let reader = graph.node.iter().position(|node| node.input.first() == Some(&input))?;
        // What makes the graph's output stays: it has nobody to hand the input on to.
        let is_output = graph.output.iter().any(|output| graph.node[reader].output.first() == Some(&output.name));
        (n_readers(graph, &input) == 1 && !is_output).then_some(reader)
    }) {
        let node = graph.node.remove(idx);
        for input in graph.input.iter_mut().filter(|input| node.input.first() == Some(&input.name)) {
            input.name.clone_from(&node.output[0]);
        }
        peeled.before.push(step);
    }
    while let Some((idx, step)) = next(graph, n_columns, |graph| {
        let output = &graph.output.first()?.name;
        let maker = graph.node.iter().position(|node| node.output.first() == Some(output))?;
        let scaled = graph.node[maker].input.first()?;
        let is_made = graph.node.iter().any(|node| node.output.first() == Some(scaled));
        (is_made && n_readers(graph, scaled) == 1 && n_readers(graph, output) == 0).then_some(maker)
    }) {
        let node = graph.node.remove(idx);
        graph.output[0].name.clone_from(&node.input[0]);
        peeled.after.insert(0, step);
    }
    peeled
}

/// The node that `find` names, if it can be taken out.
fn next(
    graph: &pb::GraphProto,
    n_columns: usize,
    find: impl Fn(&pb::GraphProto) -> Option<usize>,
) -> Option<(usize, Step)> {
    let idx = find(graph)?;
    let node = graph.node.get(idx).filter(|_| graph.node.len() > 1)?;
    let operation = match node.op_type.as_str() {
        "Add" => Operation::Add,
        "Sub" => Operation::Sub,
        "Mul" => Operation::Mul,
        "Div" => Operation::Div,
        _ => return None,
    };
    let mut constants = constants(graph, node.input.get(1)?)?;
    if constants.len() == 1 {
        constants = vec![constants[0]; n_columns];
    }
    (constants.len() == n_columns).then_some((idx, Step { operation, constants }))
}

/// How often a value is read.
fn n_readers(graph: &pb::GraphProto, name: &str) -> usize {
    graph.node.iter().flat_map(|node| &node.input).filter(|input| *input == name).count()
}

/// A row of weights: `(n)` or `(1, n)`.
fn constants(graph: &pb::GraphProto, name: &str) -> Option<Vec<f32>> {
    let weights = graph.initializer.iter().find(|weights| weights.name == name)?;
    if weights.dims.len() == 2 && weights.dims[0] != 1 {
        return None;
    }
    if weights.raw_data.is_empty() {
        return Some(weights.float_data.clone());
    }
    Some(weights.raw_data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// Computes the steps on whole rows, in place.
pub(super) fn apply(steps: &[Step], rows: &mut [f32]) {
    for Step { operation, constants } in steps {
        for row in rows.chunks_exact_mut(constants.len().max(1)) {
            let cells = row.iter_mut().zip(constants);
            match operation {
                Operation::Add => cells.for_each(|(cell, constant)| *cell += constant),
                Operation::Sub => cells.for_each(|(cell, constant)| *cell -= constant),
                Operation::Mul => cells.for_each(|(cell, constant)| *cell *= constant),
                Operation::Div => cells.for_each(|(cell, constant)| *cell /= constant),
            }
        }
    }
}
