use std::path::PathBuf;
use std::process::Command;

use homeostat_core::Seed;
use ndarray::Array2;
use prost::Message;
use rand::Rng;

use super::proto as pb;
use super::*;
use crate::autoencoder::{Net, onnx_bytes};

mod operators;

const N: usize = 12;

struct Case {
    net: Net<f32>,
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl Case {
    fn new(widths: &[usize]) -> Self {
        let mut rng = Seed::new(11).rng();
        let mut net = Net::new(widths, &mut rng);
        for layer in &mut net.layers {
            layer.bias.mapv_inplace(|_| rng.random::<f32>() - 0.5);
        }
        let mean = (0..widths[0]).map(|_| rng.random::<f32>() - 0.5).collect();
        let scale = (0..widths[0]).map(|_| 0.5 + rng.random::<f32>()).collect();
        Self { net, mean, scale }
    }

    fn bytes(&self) -> Vec<u8> {
        onnx_bytes(&self.net, &self.mean, &self.scale)
    }

    fn batch(&self, n_rows: usize) -> Vec<f32> {
        let mut rng = Seed::new(n_rows as u64).rng();
        (0..n_rows).flat_map(|_| self.mean.clone()).map(|mean| mean + 4.0 * (rng.random::<f32>() - 0.5)).collect()
    }

    /// What the net itself says, scaling included.
    fn by_hand(&self, batch: &[f32]) -> Vec<f32> {
        let n_columns = self.mean.len();
        let scaling = |idx: usize| (self.mean[idx % n_columns], self.scale[idx % n_columns]);
        let scaled = batch.iter().enumerate().map(|(idx, value)| {
            let (mean, scale) = scaling(idx);
            (value - mean) / scale
        });
        let inputs =
            Array2::from_shape_vec((batch.len() / n_columns, n_columns), scaled.collect()).expect("whole rows");
        let outputs = self.net.forward(&inputs);
        let unscaled = outputs.iter().enumerate().map(|(idx, value)| {
            let (mean, scale) = scaling(idx);
            value * scale + mean
        });
        unscaled.collect()
    }
}

fn small() -> Case {
    Case::new(&[N, 8, 3, 8, N])
}

/// The embedded runtime, and the native one where `ORT_DYLIB_PATH` names its library.
fn runtimes() -> Vec<OnnxRuntime> {
    let mut runtimes = vec![OnnxRuntime::embedded()];
    match std::env::var_os("ORT_DYLIB_PATH") {
        Some(path) => runtimes.push(OnnxRuntime::native(Path::new(&path)).expect("ORT_DYLIB_PATH names a library")),
        None => eprintln!("SKIP native backend: ORT_DYLIB_PATH isn't set"),
    }
    runtimes
}

fn assert_close(found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len());
    for (a, b) in found.iter().zip(wanted) {
        assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} against {b}");
    }
}

#[test]
fn every_backend_says_what_the_net_says_for_any_batch() {
    for case in [small(), Case::new(&[600, 64, 16, 64, 600])] {
        for runtime in runtimes() {
            let mut session = runtime.session(&case.bytes(), case.mean.len()).expect("it loads");
            assert_eq!(session.backend(), runtime.backend());
            let mut out = Vec::new();
            // One session serves batches of all sizes, in any order.
            for n_rows in [1, 64, 2, 1, BATCH_ROWS_MAX] {
                let batch = case.batch(n_rows);
                session.run(&batch, n_rows, &mut out).expect("it runs");
                assert_close(&out, &case.by_hand(&batch));
            }
        }
    }
}

#[test]
fn another_session_is_independent_and_agrees_bit_for_bit() {
    let case = small();
    for runtime in runtimes() {
        let mut session = runtime.session(&case.bytes(), N).expect("it loads");
        let mut other = session.another();
        let (mut out, mut other_out) = (Vec::new(), Vec::new());
        session.run(&case.batch(3), 3, &mut out).expect("it runs");
        other.run(&case.batch(1), 1, &mut other_out).expect("it runs");
        other.run(&case.batch(3), 3, &mut other_out).expect("it runs");
        assert_eq!(out, other_out);
    }
}

#[test]
fn a_batch_of_another_shape_is_refused_and_the_next_one_runs() {
    let case = small();
    for runtime in runtimes() {
        let mut session = runtime.session(&case.bytes(), N).expect("it loads");
        let mut out = Vec::new();
        for (n_values, n_rows) in [(N, 0), (N, 2), (N + 1, 1), (0, 1), (N * (BATCH_ROWS_MAX + 1), BATCH_ROWS_MAX + 1)] {
            session.run(&vec![0.0; n_values], n_rows, &mut out).expect_err("another shape");
        }
        session.run(&case.batch(1), 1, &mut out).expect("it runs");
    }
}

#[test]
fn the_reference_checker_passes_the_exported_model() {
    // HOMEOSTAT_PYTHON names an interpreter, HOMEOSTAT_PYTHONPATH where its `onnx` is, if not in its own place.
    let python = std::env::var_os("HOMEOSTAT_PYTHON").unwrap_or_else(|| "python3".into());
    let run = |script: &str, arg: &Path| {
        let mut command = Command::new(&python);
        if let Some(path) = std::env::var_os("HOMEOSTAT_PYTHONPATH") {
            command.env("PYTHONPATH", path);
        }
        command.arg("-c").arg(script).arg(arg).output()
    };
    if !run("import onnx", Path::new("")).is_ok_and(|output| output.status.success()) {
        eprintln!("SKIP onnx.checker: no Python with onnx; name one in HOMEOSTAT_PYTHON or HOMEOSTAT_PYTHONPATH");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("autoencoder.onnx");
    std::fs::write(&path, small().bytes()).expect("it is written");
    let script = "import onnx, sys; onnx.checker.check_model(onnx.load(sys.argv[1]), full_check=True)";
    let output = run(script, &path).expect("it ran before");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The checker can say no.
    let mut broken = pb::ModelProto::decode(&*small().bytes()).expect("a model");
    broken.graph.as_mut().expect("a graph").node[0].op_type = "NoSuchOperator".into();
    std::fs::write(&path, broken.encode_to_vec()).expect("it is written");
    assert!(!run(script, &path).expect("it ran before").status.success());
}

fn refusal(bytes: &[u8]) -> String {
    match OnnxRuntime::embedded().session(bytes, N) {
        Ok(_) => panic!("it was let through"),
        Err(OnnxError::Model { why }) => why,
        Err(OnnxError::Library { .. }) => panic!("no library was asked for"),
    }
}

#[test]
fn what_isnt_a_model_is_refused_with_the_reason() {
    let whole = small().bytes();
    for (bytes, why) in [
        (&b""[..], "operator set"),
        (b"not an onnx file at all", "isn't an ONNX file"),
        (&whole[..whole.len() / 2], "cut off"),
        (&vec![0; MODEL_BYTES_MAX + 1], "too many"),
    ] {
        let found = refusal(bytes);
        assert!(found.contains(why), "{found:?} should say {why:?}");
    }
}

/// The small model with one thing changed.
fn changed(change: impl FnOnce(&mut pb::ModelProto, &mut pb::GraphProto)) -> Vec<u8> {
    let mut model = pb::ModelProto::decode(&*small().bytes()).expect("a model");
    let mut graph = model.graph.take().expect("a graph");
    change(&mut model, &mut graph);
    model.graph = Some(graph);
    model.encode_to_vec()
}

fn dim(info: &mut pb::ValueInfoProto, idx: usize) -> &mut pb::DimensionProto {
    let tensor = info.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut()).expect("a tensor");
    &mut tensor.shape.as_mut().expect("a shape").dim[idx]
}

/// A model whose graph holds a graph in a node's attribute, and so on.
fn nested(depth: usize) -> Vec<u8> {
    let message = |tag: u32, inner: &[u8]| {
        let mut bytes = Vec::new();
        prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut bytes);
        prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
        bytes.extend(inner);
        bytes
    };
    // GraphProto.node = 1, NodeProto.attribute = 5, AttributeProto.g = 6, ModelProto.graph = 7.
    let graph = (0..depth).fold(Vec::new(), |inner, _| message(1, &message(5, &message(6, &inner))));
    message(7, &graph)
}

#[test]
fn a_model_that_would_do_something_else_is_refused_with_the_reason() {
    let graph_attribute =
        pb::AttributeProto { name: "body".into(), r#type: 5, g: Some(pb::Present {}), ..Default::default() };
    for (bytes, why) in [
        (changed(|model, _| model.opset_import[0].version = 25), "operator set 25"),
        (changed(|model, _| model.opset_import.clear()), "no operator set"),
        (changed(|model, _| model.functions.push(pb::Present {})), "functions"),
        (changed(|_, graph| *graph = pb::GraphProto::default()), "0 inputs"),
        (nested(40), "isn't an ONNX file"),
        (changed(|_, graph| graph.node[2].op_type = "Loop".into()), "\"Loop\" isn't supported"),
        (changed(|_, graph| graph.node[2].domain = "com.evil".into()), "isn't supported"),
        (changed(|_, graph| graph.node[2].attribute.push(graph_attribute)), "isn't a plain number"),
        (changed(|_, graph| graph.node = vec![graph.node[0].clone(); 101]), "too many"),
        (changed(|_, graph| graph.node = vec![pb::NodeProto::default(); 100_000]), "too many"),
        (changed(|_, graph| graph.node.swap(0, 1)), "nothing before it makes"),
        (changed(|_, graph| graph.node[1].output = graph.node[0].output.clone()), "given twice"),
        (changed(|_, graph| graph.node.truncate(3)), "no node makes"),
        (changed(|_, graph| graph.node[0].input.truncate(1)), "with 1 inputs"),
        (changed(|_, graph| graph.initializer[0].external_data.push(pb::Present {})), "outside the file"),
        (changed(|_, graph| graph.initializer[0].data_location = Some(1)), "outside the file"),
        (changed(|_, graph| graph.initializer[0].dims = vec![1 << 40, 1 << 40]), "out of range"),
        (changed(|_, graph| graph.initializer[0].dims = vec![-1]), "out of range"),
        (changed(|_, graph| graph.initializer[2].raw_data.truncate(4)), "more or fewer"),
        (changed(|_, graph| graph.initializer[2].raw_data.truncate(5)), "cut off"),
        (changed(|_, graph| graph.initializer[2].data_type = 11), "aren't of f32"),
        (changed(|_, graph| graph.initializer[0].raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes())), "finite"),
        (changed(|_, graph| graph.initializer[2].dims.reverse()), ""),
        (changed(|_, graph| graph.input[0].name = "image".into()), "named \"image\""),
        (changed(|_, graph| graph.output[0].name = "logits".into()), "named \"logits\""),
        (changed(|_, graph| graph.input.push(graph.input[0].clone())), "2 inputs"),
        (changed(|_, graph| dim(&mut graph.input[0], 0).value = Some(pb::Dim::Value(1))), "exactly 1 rows"),
        (changed(|_, graph| dim(&mut graph.input[0], 1).value = Some(pb::Dim::Value(13))), "13 columns"),
        (changed(|_, graph| dim(&mut graph.output[0], 1).value = None), "how many columns"),
    ] {
        let found = refusal(&bytes);
        assert!(found.contains(why), "{found:?} should say {why:?}");
    }
}

#[test]
fn a_model_that_overflows_is_found_out_at_loading() {
    let mut case = small();
    case.scale.fill(f32::MAX);
    case.net.layers[3].bias.fill(f32::MAX);
    for runtime in runtimes() {
        let error = runtime.session(&case.bytes(), N).err().expect("it overflows");
        assert!(error.to_string().contains("aren't finite numbers"), "{error}");
    }
}

#[test]
fn a_model_as_other_exporters_write_it_runs() {
    // Weights listed among the inputs, as float_data; MatMul and Add instead of Gemm; another operator set.
    let node = |op: &str, inputs: [&str; 2], output: &str| pb::NodeProto {
        op_type: op.into(),
        input: inputs.iter().filter(|name| !name.is_empty()).map(|name| (*name).to_owned()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    let bytes = changed(|model, graph| {
        model.opset_import[0].version = 13;
        let eye = (0..N * N).map(|idx| if idx % (N + 1) == 0 { 0.5 } else { 0.0 }).collect();
        let weights = pb::TensorProto {
            name: "w".into(),
            dims: vec![N as i64, N as i64],
            data_type: 1,
            float_data: eye,
            ..Default::default()
        };
        graph.initializer = vec![weights];
        graph.input.push(pb::ValueInfoProto { name: "w".into(), ..graph.input[0].clone() });
        graph.node = vec![
            node("MatMul", [INPUT_NAME, "w"], "half"),
            node("Add", ["half", "half"], "whole"),
            node("Tanh", ["whole", ""], OUTPUT_NAME),
        ];
        dim(&mut graph.input[1], 0).value = Some(pb::Dim::Value(N as i64));
    });
    for runtime in runtimes() {
        let mut session = runtime.session(&bytes, N).expect("it loads");
        let batch: Vec<f32> = (0..2 * N).map(|idx| idx as f32 / 10.0).collect();
        let mut out = Vec::new();
        session.run(&batch, 2, &mut out).expect("it runs");
        assert_close(&out, &batch.iter().map(|value| value.tanh()).collect::<Vec<_>>());
    }
}

fn library_refusal(path: &Path) -> String {
    match OnnxRuntime::native(path) {
        Ok(_) => panic!("{} was taken for a library", path.display()),
        Err(error @ OnnxError::Library { .. }) => error.to_string(),
        Err(OnnxError::Model { .. }) => panic!("no model was given"),
    }
}

#[test]
fn a_missing_wrong_or_unreadable_library_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("libonnxruntime.so");
    std::fs::write(&text, "this is no library").expect("it is written");
    let mut paths = vec![dir.path().join("missing.so"), dir.path().to_owned(), text, PathBuf::new()];
    // A real library, but another one.
    paths.extend([PathBuf::from("/lib/x86_64-linux-gnu/libm.so.6")].into_iter().filter(|path| path.exists()));
    for path in paths {
        let error = library_refusal(&path);
        assert!(error.contains("leave it out to use the embedded runtime"), "{error}");
    }
    // A failed attempt spoils nothing, and a second library beside the loaded one is refused.
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH") {
        OnnxRuntime::native(Path::new(&path)).expect("the right library still loads");
        OnnxRuntime::native(Path::new(&path)).expect("and again");
        let copy = dir.path().join("copy.so");
        std::fs::copy(&path, &copy).expect("it is copied");
        assert!(library_refusal(&copy).contains("loaded already"));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let _ = OnnxRuntime::embedded().session(&bytes, N).map(drop);
    }

    #[test]
    fn no_change_to_a_model_makes_it_panic(
        changes in proptest::collection::vec((0_usize..10_000, proptest::num::u8::ANY), 1..4)
    ) {
        let mut bytes = small().bytes();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(mut session) = OnnxRuntime::embedded().session(&bytes, N) {
            let mut out = Vec::new();
            let _ = session.run(&small().batch(2), 2, &mut out);
        }
    }
}

#[test]
fn a_value_read_twice_or_a_single_node_is_computed_as_written() {
    let node = |op: &str, inputs: [&str; 2], output: &str| pb::NodeProto {
        op_type: op.into(),
        input: inputs.map(str::to_owned).to_vec(),
        output: vec![output.into()],
        ..Default::default()
    };
    for nodes in [
        vec![node("Sub", [INPUT_NAME, "mean"], OUTPUT_NAME)],
        vec![node("Sub", [INPUT_NAME, "mean"], "centred"), node("Mul", ["centred", INPUT_NAME], OUTPUT_NAME)],
        vec![node("Sub", [INPUT_NAME, "mean"], "centred"), node("Sub", ["mean", "centred"], OUTPUT_NAME)],
    ] {
        let bytes = changed(|_, graph| graph.node.clone_from(&nodes));
        for runtime in runtimes() {
            let mut session = runtime.session(&bytes, N).expect("it loads");
            let batch = small().batch(3);
            let mut out = Vec::new();
            session.run(&batch, 3, &mut out).expect("it runs");
            let mean = small().mean;
            let wanted = batch.iter().enumerate().map(|(idx, value)| {
                let centred = value - mean[idx % N];
                match (nodes.len(), nodes.last().map(|node| node.op_type.as_str())) {
                    (1, _) => centred,
                    (_, Some("Mul")) => centred * value,
                    (_, _) => mean[idx % N] - centred,
                }
            });
            assert_close(&out, &wanted.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_row_gives_the_same_bits_alone_and_in_any_batch() {
    let case = Case::new(&[600, 64, 16, 64, 600]);
    let mut session = OnnxRuntime::embedded().session(&case.bytes(), 600).expect("it loads");
    let batch = case.batch(BATCH_ROWS_MAX);
    let (mut whole, mut alone) = (Vec::new(), Vec::new());
    session.run(&batch, BATCH_ROWS_MAX, &mut whole).expect("it runs");
    for idx in [0, 1, 63, 64, 108, 109, 500, BATCH_ROWS_MAX - 1] {
        let cells = idx * 600..(idx + 1) * 600;
        session.run(&batch[cells.clone()], 1, &mut alone).expect("it runs");
        assert_eq!(alone, whole[cells], "row {idx}");
    }
}
