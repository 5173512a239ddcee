//! Looks a model over before a backend does: only what is listed here is let through.
//!
//! Neither backend promises to survive a hostile file, so size, structure and operators are checked first, and what
//! runs is the checked model written out again: a field we didn't read can't reach a backend.

use prost::Message;

use super::MODEL_BYTES_MAX;
use super::proto::{AttributeType, DataType, Dim, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use super::shape::{Shape, Shapes};
use super::wire::message_count;
use super::{INPUT_NAME, OUTPUT_NAME, OnnxError};

/// Most nodes, and most weights tensors. Ours has 11 and 10; a model of 32 layers still fits.
const NODES_MAX: usize = 100;

/// Most protobuf messages in the file. An empty one takes two bytes in the file and some hundred in memory: without
/// this limit 4 MiB could become half a gigabyte. 100 nodes with five attributes each, and as many tensors, fit.
const MESSAGES_MAX: usize = 2_000;

/// Largest size of a weights tensor's dimension: it bounds what broadcasting can blow up.
const DIM_MAX: i64 = 4096;

/// Operator sets read. From 13 to 20 these operators changed in nothing but the types they take: BatchNormalization lost
/// its second way of calling in 14, which a node with one output doesn't use. 20 is what ONNX Runtime 1.17 reads, the
/// oldest we load, and what PyTorch writes unasked.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=20;

/// Operators with the fewest and most inputs: what dense autoencoders are made of. None reads files, loops, makes up
/// shapes or holds another graph.
const OPERATORS: [(&str, usize, usize); 15] = [
    ("Add", 2, 2),
    ("BatchNormalization", 5, 5),
    ("Clip", 1, 3),
    ("Div", 2, 2),
    ("Elu", 1, 1),
    ("Gemm", 2, 3),
    ("Identity", 1, 1),
    ("LeakyRelu", 1, 1),
    ("MatMul", 2, 2),
    ("Mul", 2, 2),
    ("Relu", 1, 1),
    ("Sigmoid", 1, 1),
    ("Softplus", 1, 1),
    ("Sub", 2, 2),
    ("Tanh", 1, 1),
];

/// A model that may be given to a backend.
#[derive(Debug)]
pub(crate) struct CheckedModel {
    graph: GraphProto,
    bytes: Vec<u8>,
    n_columns: usize,
}

impl CheckedModel {
    /// Reads and checks a model that is to reconstruct rows of `n_columns` values.
    pub(crate) fn new(onnx: &[u8], n_columns: usize) -> Result<Self, OnnxError> {
        let model = Self::of_any_width(onnx)?;
        if model.n_columns != n_columns {
            let found = model.n_columns;
            let why = format!("its input {INPUT_NAME:?} has {found} columns, wanted are {n_columns}");
            return Err(OnnxError::Model { why });
        }
        Ok(model)
    }

    /// Reads and checks a model that reconstructs rows of as many values as it says.
    pub(crate) fn of_any_width(onnx: &[u8]) -> Result<Self, OnnxError> {
        checked(onnx).map_err(|why| OnnxError::Model { why })
    }

    /// Its nodes, in an order in which each reads what came before, and its weights.
    pub(super) fn graph(&self) -> &GraphProto {
        &self.graph
    }

    /// The model, written out again.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Values in a row.
    pub(crate) fn n_columns(&self) -> usize {
        self.n_columns
    }
}

fn checked(onnx: &[u8]) -> Result<CheckedModel, String> {
    if onnx.len() > MODEL_BYTES_MAX {
        return Err(format!("{} bytes are too many, {MODEL_BYTES_MAX} is the most", onnx.len()));
    }
    let n_messages = message_count(onnx).ok_or("this isn't an ONNX file, or it is cut off")?;
    if n_messages > MESSAGES_MAX {
        return Err(format!("{n_messages} parts are too many, {MESSAGES_MAX} are the most"));
    }
    let model = ModelProto::decode(onnx).map_err(|error| format!("this isn't an ONNX file: {error}"))?;
    if !model.functions.is_empty() || !model.training_info.is_empty() {
        return Err("functions and training graphs aren't supported".into());
    }
    if model.opset_import.is_empty() {
        return Err("it names no operator set".into());
    }
    for opset in &model.opset_import {
        // Exporters import domains they never use; a node in one is refused below.
        if is_standard(&opset.domain) && !OPSETS.contains(&opset.version) {
            return Err(format!(
                "operator set {} isn't supported; export it with one from {} to {}",
                opset.version,
                OPSETS.start(),
                OPSETS.end()
            ));
        }
    }
    let bytes = model.encode_to_vec();
    let graph = model.graph.ok_or("it has no graph")?;
    let n_columns = check_graph(&graph)?;
    Ok(CheckedModel { graph, bytes, n_columns })
}

fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// Columns of its input.
fn check_graph(graph: &GraphProto) -> Result<usize, String> {
    if graph.node.len() > NODES_MAX || graph.initializer.len() > NODES_MAX {
        let found = graph.node.len().max(graph.initializer.len());
        return Err(format!("{found} nodes or weights are too many, {NODES_MAX} are the most"));
    }
    if !graph.sparse_initializer.is_empty() || !graph.quantization_annotation.is_empty() {
        return Err("sparse and quantised weights aren't supported".into());
    }
    let mut known = Shapes::default();
    for weights in &graph.initializer {
        check_weights(weights)?;
        known.declare(&weights.name, Shape::of_weights(&weights.dims))?;
    }
    // Old exporters list the weights among the inputs; only the others are inputs.
    let inputs: Vec<_> = graph.input.iter().filter(|input| known.get(&input.name).is_none()).collect();
    let n_columns = check_port("input", &inputs, INPUT_NAME)?;
    known.declare(INPUT_NAME, Shape::of_batch(n_columns))?;
    for node in &graph.node {
        check_node(node)?;
        known.infer(node)?;
    }
    let outputs: Vec<_> = graph.output.iter().collect();
    let n_promised = check_port("output", &outputs, OUTPUT_NAME)?;
    if !graph.node.iter().any(|node| node.output.iter().any(|output| output == OUTPUT_NAME)) {
        return Err(format!("no node makes the output {OUTPUT_NAME:?}"));
    }
    if n_promised != n_columns || known.get(OUTPUT_NAME) != Some(Shape::of_batch(n_columns)) {
        return Err(format!(
            "its output {OUTPUT_NAME:?} isn't as wide as its input: {n_promised} columns promised, {} made, wanted are {n_columns}",
            known.get(OUTPUT_NAME).map_or_else(|| "none".to_owned(), |shape| shape.to_string())
        ));
    }
    Ok(n_columns)
}

/// The only input or output: this name, f32, `(any, n_columns)`; gives `n_columns`.
fn check_port(what: &str, ports: &[&ValueInfoProto], name: &str) -> Result<usize, String> {
    let [port] = ports else {
        return Err(format!("it has {} {what}s, wanted is one, {name:?}", ports.len()));
    };
    if port.name != name {
        return Err(format!("its {what} is named {:?}, wanted is {name:?}", port.name));
    }
    let Some(tensor) = port.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()) else {
        return Err(format!("its {what} {name:?} isn't a tensor"));
    };
    if tensor.elem_type != i32::from(DataType::Float) {
        return Err(format!("its {what} {name:?} isn't of f32"));
    }
    let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let [batch, columns] = dims else {
        return Err(format!("its {what} {name:?} has {} dimensions, wanted are 2", dims.len()));
    };
    if let Some(Dim::Value(size)) = batch.value {
        return Err(format!("its {what} {name:?} takes exactly {size} rows; export it with an open batch dimension"));
    }
    match columns.value {
        Some(Dim::Value(size)) => match usize::try_from(size) {
            Ok(n_columns) if (1..=DIM_MAX).contains(&size) => Ok(n_columns),
            Ok(_) | Err(_) => Err(format!("its {what} {name:?} has {size} columns; 1 to {DIM_MAX} can be")),
        },
        Some(Dim::Param(_)) | None => Err(format!(
            "its {what} {name:?} doesn't say how many columns it has; export it with the batch as the only open dimension"
        )),
    }
}

fn check_node(node: &NodeProto) -> Result<(), String> {
    let operator = OPERATORS.iter().find(|(name, ..)| *name == node.op_type && is_standard(&node.domain));
    let Some((_, inputs_min, inputs_max)) = operator else {
        let names: Vec<&str> = OPERATORS.iter().map(|(name, ..)| *name).collect();
        return Err(format!("operator {:?} isn't supported; known are {}", node.op_type, names.join(", ")));
    };
    if !(*inputs_min..=*inputs_max).contains(&node.input.len()) || node.output.len() != 1 {
        return Err(format!("{} with {} inputs, {} outputs", node.op_type, node.input.len(), node.output.len()));
    }
    for attribute in &node.attribute {
        let is_number =
            [AttributeType::Float, AttributeType::Int].iter().any(|kind| attribute.r#type == i32::from(*kind));
        let holds_more = attribute.t.is_some() || attribute.g.is_some() || attribute.sparse_tensor.is_some();
        if !is_number || holds_more || !attribute.f.is_finite() || !attribute.ref_attr_name.is_empty() {
            return Err(format!("{}: attribute {:?} isn't a plain number", node.op_type, attribute.name));
        }
    }
    Ok(())
}

/// f32 weights, in the file itself, as many as their shape says, all finite.
fn check_weights(weights: &TensorProto) -> Result<(), String> {
    let wrong = |why: &str| format!("weights {:?}: {why}", weights.name);
    if weights.data_type != i32::from(DataType::Float) {
        return Err(wrong("they aren't of f32"));
    }
    if weights.data_location.unwrap_or(0) != 0 || !weights.external_data.is_empty() || weights.segment.is_some() {
        return Err(wrong("they are kept outside the file; save the model with its weights"));
    }
    if weights.dims.len() > 2 || weights.dims.iter().any(|size| !(1..=DIM_MAX).contains(size)) {
        return Err(wrong("they have more than 2 dimensions, or one out of range"));
    }
    let n_wanted = weights.dims.iter().product::<i64>();
    let n_raw = weights.raw_data.len();
    let n_found = if n_raw > 0 && weights.float_data.is_empty() && n_raw.is_multiple_of(4) {
        n_raw / 4
    } else if n_raw == 0 {
        weights.float_data.len()
    } else {
        return Err(wrong("they are given twice, or cut off"));
    };
    if i64::try_from(n_found).ok() != Some(n_wanted) {
        return Err(wrong("there are more or fewer of them than their shape says"));
    }
    let raw_is_finite = weights.raw_data.as_chunks::<4>().0.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite());
    if !raw_is_finite || weights.float_data.iter().any(|value| !value.is_finite()) {
        return Err(wrong("some of them aren't finite numbers"));
    }
    Ok(())
}
