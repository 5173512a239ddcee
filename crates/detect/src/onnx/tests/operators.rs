//! What a model of given operators computes, on every backend.

use super::*;

/// A model of one operator on the input and these weights, each `(dims, values)`.
fn single(op: &str, weights: &[(&[i64], &[f32])], attributes: &[(&str, f32)]) -> Vec<u8> {
    changed(|_, graph| {
        let names: Vec<String> = (0..weights.len()).map(|idx| format!("w{idx}")).collect();
        let tensor = |(name, (dims, values)): (&String, &(&[i64], &[f32]))| pb::TensorProto {
            name: name.clone(),
            dims: dims.to_vec(),
            data_type: 1,
            float_data: values.to_vec(),
            ..Default::default()
        };
        graph.initializer = names.iter().zip(weights).map(tensor).collect();
        let attribute = |(name, value): &(&str, f32)| pb::AttributeProto {
            name: (*name).to_owned(),
            r#type: if name.starts_with("trans") { 2 } else { 1 },
            i: i64::from(name.starts_with("trans")),
            f: if name.starts_with("trans") { 0.0 } else { *value },
            ..Default::default()
        };
        graph.node = vec![pb::NodeProto {
            op_type: op.into(),
            input: std::iter::once(INPUT_NAME.to_owned()).chain(names).collect(),
            output: vec![OUTPUT_NAME.into()],
            attribute: attributes.iter().map(attribute).collect(),
            ..Default::default()
        }];
    })
}

#[test]
fn every_operator_computes_what_its_definition_says() {
    let row: [f32; N] = [-200.0, -3.0, -1.5, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 200.0];
    let ones = [1.0_f32; N];
    let ramp: [f32; N] = std::array::from_fn(|idx| idx as f32 + 1.0);
    // Reversed: column c of the product is input 11 − c; the transposed one is itself.
    let reversed: Vec<f32> = (0..N * N).map(|idx| if idx / N + idx % N == N - 1 { 1.0 } else { 0.0 }).collect();
    // Upper: input r goes to every column from r on.
    let upper: Vec<f32> = (0..N * N).map(|idx| if idx % N >= idx / N { 1.0 } else { 0.0 }).collect();
    let square: &[i64] = &[12, 12];
    let wide: &[i64] = &[12];
    type Definition = Box<dyn Fn(usize, f64) -> f64>;
    let own = |function: fn(f64) -> f64| -> Definition { Box::new(move |_, x| function(x)) };
    let at = move |idx: usize| f64::from(row[idx]);
    let cases: Vec<(Vec<u8>, Definition)> = vec![
        (single("Relu", &[], &[]), own(|x| x.max(0.0))),
        (single("LeakyRelu", &[], &[]), own(|x| if x < 0.0 { 0.01 * x } else { x })),
        (single("LeakyRelu", &[], &[("alpha", 0.5)]), own(|x| if x < 0.0 { 0.5 * x } else { x })),
        (single("Elu", &[], &[]), own(|x| if x < 0.0 { x.exp() - 1.0 } else { x })),
        (single("Elu", &[], &[("alpha", 2.0)]), own(|x| if x < 0.0 { 2.0 * (x.exp() - 1.0) } else { x })),
        (single("Sigmoid", &[], &[]), own(|x| 1.0 / (1.0 + (-x).exp()))),
        (single("Softplus", &[], &[]), own(|x| if x > 100.0 { x } else { x.exp().ln_1p() })),
        (single("Tanh", &[], &[]), own(f64::tanh)),
        (single("Identity", &[], &[]), own(|x| x)),
        (single("Clip", &[(&[], &[-1.0]), (&[], &[2.0])], &[]), own(|x| x.clamp(-1.0, 2.0))),
        (single("Clip", &[(&[], &[3.0]), (&[], &[2.0])], &[]), own(|_| 2.0)),
        (single("Add", &[(wide, &ramp)], &[]), Box::new(|idx, x| x + idx as f64 + 1.0)),
        (single("Sub", &[(&[1, 12], &ramp)], &[]), Box::new(|idx, x| x - idx as f64 - 1.0)),
        (single("Mul", &[(&[], &[3.0])], &[]), own(|x| 3.0 * x)),
        (single("Div", &[(wide, &ramp)], &[]), Box::new(|idx, x| x / (idx as f64 + 1.0))),
        (single("MatMul", &[(square, &reversed)], &[]), Box::new(move |idx, _| at(N - 1 - idx))),
        (single("MatMul", &[(square, &upper)], &[]), Box::new(move |idx, _| (0..=idx).map(at).sum())),
        (single("Gemm", &[(square, &upper)], &[("transB", 1.0)]), Box::new(move |idx, _| (idx..N).map(at).sum())),
        (
            single("Gemm", &[(square, &reversed), (wide, &ramp)], &[("alpha", 2.0), ("beta", 0.5)]),
            Box::new(move |idx, _| 2.0 * at(N - 1 - idx) + 0.5 * (idx as f64 + 1.0)),
        ),
        (
            single(
                "BatchNormalization",
                &[(wide, &ramp), (wide, &ones), (wide, &ramp), (wide, &ones)],
                &[("epsilon", 3.0)],
            ),
            Box::new(|idx, x| (x - idx as f64 - 1.0) / 2.0 * (idx as f64 + 1.0) + 1.0),
        ),
    ];
    for (case_idx, (bytes, definition)) in cases.iter().enumerate() {
        for runtime in runtimes() {
            let mut session = runtime.session(bytes, N).unwrap_or_else(|error| panic!("case {case_idx}: {error}"));
            let mut out = Vec::new();
            // The second row is the first one's twin: a run of more rows keeps them apart.
            session.run(&[row, row].concat(), 2, &mut out).expect("it runs");
            let wanted: Vec<f32> =
                row.iter().enumerate().map(|(idx, x)| definition(idx, f64::from(*x)) as f32).collect();
            assert_close(&out[..N], &wanted);
            assert_eq!(out[..N], out[N..], "case {case_idx}");
        }
    }
}

#[test]
fn what_depends_on_weights_alone_is_computed_once_and_counts_the_same() {
    let node = |op: &str, inputs: &[&str], output: &str| pb::NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    let bytes = changed(|_, graph| {
        graph.node = vec![
            node("Mul", &["mean", "scale"], "product"),
            node("Tanh", &["product"], "bent"),
            node("Sub", &[INPUT_NAME, "bent"], "less"),
            // Read twice, by the last node too, so that its memory may not be taken for what lies between.
            node("Relu", &["less"], "rectified"),
            node("Add", &["rectified", "mean"], "moved"),
            node("Mul", &["moved", "less"], OUTPUT_NAME),
        ];
    });
    let case = small();
    let batch = case.batch(5);
    let wanted: Vec<f32> = batch
        .iter()
        .enumerate()
        .map(|(idx, value)| {
            let (mean, scale) = (case.mean[idx % N], case.scale[idx % N]);
            let less = value - (mean * scale).tanh();
            (less.max(0.0) + mean) * less
        })
        .collect();
    for runtime in runtimes() {
        let mut out = Vec::new();
        runtime.session(&bytes, N).expect("it loads").run(&batch, 5, &mut out).expect("it runs");
        assert_close(&out, &wanted);
    }
}
