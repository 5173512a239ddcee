//! Writes a trained net as an ONNX model, with its scaling inside the graph.
//!
//! Scaling stays in nodes of its own: folded into the first and last weights it rounds ten times worse.

use prost::Message;

use super::net::Net;
use crate::onnx::proto::{self as pb, DataType, Dim};
use crate::onnx::{BATCH_DIM, INPUT_NAME, OUTPUT_NAME};

/// The operator set the model is written in. 17 is read by ONNX Runtime from 1.12 on and by every other runtime of
/// these years; the operators used haven't changed since 14.
pub(crate) const OPSET_VERSION: i64 = 17;

/// The version of the file format that goes with operator set 17 (ONNX 1.12).
const IR_VERSION: i64 = 8;

/// The model's bytes: `(window − mean) / scale → net → · scale + mean`, in
/// [`INPUT_NAME`] `(batch, n_in)`, out [`OUTPUT_NAME`] `(batch, n_in)`, all f32. `mean` and `scale` are `(n_in)`.
pub(crate) fn onnx_bytes(net: &Net<f32>, mean: &[f32], scale: &[f32]) -> Vec<u8> {
    let mut graph = pb::GraphProto {
        name: "autoencoder".into(),
        input: vec![batch_of(INPUT_NAME, mean.len())],
        output: vec![batch_of(OUTPUT_NAME, mean.len())],
        initializer: vec![vector("mean", mean), vector("scale", scale)],
        ..Default::default()
    };
    let mut node = |op: &str, inputs: &[&str], output: &str| {
        graph.node.push(pb::NodeProto {
            op_type: op.into(),
            name: output.into(),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.into()],
            ..Default::default()
        });
    };
    node("Sub", &[INPUT_NAME, "mean"], "centred");
    node("Div", &["centred", "scale"], "scaled");
    let mut previous = "scaled".to_owned();
    for idx in 0..net.layers.len() {
        let output = format!("dense{idx}");
        node("Gemm", &[&previous, &format!("weights{idx}"), &format!("bias{idx}")], &output);
        previous = output;
        if net.is_rectified(idx) {
            let output = format!("rectified{idx}");
            node("Relu", &[&previous], &output);
            previous = output;
        }
    }
    node("Mul", &[&previous, "scale"], "unscaled");
    node("Add", &["unscaled", "mean"], OUTPUT_NAME);
    for (idx, layer) in net.layers.iter().enumerate() {
        let weights: Vec<f32> = layer.weights.iter().copied().collect();
        graph.initializer.push(tensor(&format!("weights{idx}"), layer.weights.shape(), &weights));
        graph.initializer.push(vector(&format!("bias{idx}"), &layer.bias.to_vec()));
    }
    let model = pb::ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: OPSET_VERSION }],
        producer_name: "homeostat".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        ..Default::default()
    };
    model.encode_to_vec()
}

/// A float input or output of shape `(batch, n_columns)`.
fn batch_of(name: &str, n_columns: usize) -> pb::ValueInfoProto {
    let dim = |value| pb::DimensionProto { value: Some(value) };
    let shape =
        pb::TensorShapeProto { dim: vec![dim(Dim::Param(BATCH_DIM.into())), dim(Dim::Value(n_columns as i64))] };
    let tensor = pb::TensorTypeProto { elem_type: DataType::Float.into(), shape: Some(shape) };
    pb::ValueInfoProto { name: name.into(), r#type: Some(pb::TypeProto { tensor_type: Some(tensor) }) }
}

fn vector(name: &str, values: &[f32]) -> pb::TensorProto {
    tensor(name, &[values.len()], values)
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> pb::TensorProto {
    pb::TensorProto {
        name: name.into(),
        dims: shape.iter().map(|size| *size as i64).collect(),
        data_type: DataType::Float.into(),
        // The format asks for little-endian, whatever the machine.
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    }
}
