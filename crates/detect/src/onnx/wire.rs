//! Counts the messages of an ONNX file without building any: what decoding would cost, before it is paid.
//!
//! It follows only the fields that hold repeated messages in the parts of the format we let through, and knows
//! nothing of what they mean.

/// What a message of the format (`onnx.proto`) holds: its fields with messages in them, by field number. Strings in
/// lists cost about as much: they count as messages without fields.
struct Shape(&'static [(u64, &'static Shape)]);

static LEAF: Shape = Shape(&[]);
static TENSOR: Shape = Shape(&[(3, &LEAF), (6, &LEAF), (13, &LEAF)]);
static SPARSE: Shape = Shape(&[(1, &TENSOR), (2, &TENSOR)]);
static DIMS: Shape = Shape(&[(1, &LEAF)]);
static TENSOR_TYPE: Shape = Shape(&[(2, &DIMS)]);
static TYPE: Shape = Shape(&[(1, &TENSOR_TYPE)]);
static VALUE_INFO: Shape = Shape(&[(2, &TYPE)]);
static ANNOTATION: Shape = Shape(&[(2, &LEAF)]);
static ATTRIBUTE: Shape = Shape(&[
    (5, &TENSOR),
    (6, &GRAPH),
    (9, &LEAF),
    (10, &TENSOR),
    (11, &GRAPH),
    (15, &TYPE),
    (22, &SPARSE),
    (23, &SPARSE),
]);
static NODE: Shape = Shape(&[(1, &LEAF), (2, &LEAF), (5, &ATTRIBUTE)]);
static GRAPH: Shape = Shape(&[
    (1, &NODE),
    (5, &TENSOR),
    (11, &VALUE_INFO),
    (12, &VALUE_INFO),
    (13, &VALUE_INFO),
    (14, &ANNOTATION),
    (15, &SPARSE),
]);
static TRAINING: Shape = Shape(&[(1, &GRAPH), (2, &GRAPH), (3, &LEAF), (4, &LEAF)]);
static FUNCTION: Shape = Shape(&[(4, &LEAF), (5, &LEAF), (6, &LEAF), (7, &NODE), (9, &LEAF)]);
static MODEL: Shape = Shape(&[(7, &GRAPH), (8, &LEAF), (14, &LEAF), (20, &TRAINING), (25, &FUNCTION)]);

/// Graphs within graphs followed; deeper ones are refused, as is everything we let through with depth 1.
const DEPTH_MAX: usize = 16;

/// Messages and listed strings in an ONNX file; `None` where the bytes are no protobuf.
pub(super) fn message_count(bytes: &[u8]) -> Option<usize> {
    count(bytes, &MODEL, 0)
}

fn count(mut bytes: &[u8], shape: &Shape, depth: usize) -> Option<usize> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut n_messages = 0;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            1 => bytes = bytes.get(8..)?,
            2 => {
                let len = usize::try_from(varint(&mut bytes)?).ok()?;
                let (inner, rest) = bytes.split_at_checked(len)?;
                bytes = rest;
                if let Some((_, inner_shape)) = shape.0.iter().find(|(field, _)| *field == key >> 3) {
                    n_messages += 1 + if inner_shape.0.is_empty() { 0 } else { count(inner, inner_shape, depth + 1)? };
                }
            }
            5 => bytes = bytes.get(4..)?,
            // Groups ended with the second version of protobuf; ONNX never had them.
            _ => return None,
        }
    }
    Some(n_messages)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto as pb;
    use prost::Message;

    #[test]
    fn every_node_attribute_and_name_counts() {
        let node = pb::NodeProto {
            input: vec!["a".into(), "b".into()],
            output: vec!["c".into()],
            attribute: vec![pb::AttributeProto::default(); 3],
            ..Default::default()
        };
        let graph = pb::GraphProto { node: vec![node; 4], ..Default::default() };
        let model = pb::ModelProto { graph: Some(graph), ..Default::default() };
        assert_eq!(message_count(&model.encode_to_vec()), Some(1 + 4 * (1 + 3 + 3)));
    }

    #[test]
    fn a_small_file_that_would_decode_to_much_is_counted_cheaply() {
        let graph = [0x0a, 0x00].repeat(1_000_000);
        let mut file = vec![0x3a];
        prost::encoding::encode_varint(graph.len() as u64, &mut file);
        file.extend(graph);
        assert_eq!(message_count(&file), Some(1_000_001));
    }

    #[test]
    fn cut_off_bytes_are_no_file() {
        assert_eq!(message_count(&[0x3a, 0x05, 0x01]), None);
        assert_eq!(message_count(&[0xff; 12]), None);
        assert_eq!(message_count(&[]), Some(0));
    }
}
