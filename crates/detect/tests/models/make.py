#!/usr/bin/env python3
"""Makes the ONNX files of this directory, byte for byte the same each time: python3 make.py [DIRECTORY].

They stand for autoencoders that users bring: graphs as torch.onnx.export writes them (names of nodes and weights,
Gemm with transB=1, operator sets), made with onnx's own helpers, because PyTorch is too large for a test.
Each is 4 rows of 3 features: 12 columns, with weights that make it a real (if silly) autoencoder.
Needs onnx and numpy (tests/parts/requirements.txt).
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COLUMNS, HIDDEN, CODE = 12, 8, 3
FLOAT = TensorProto.FLOAT


def weights(seed, *shape):
    """The same numbers with any version of numpy: no generator, a sine."""
    n = int(np.prod(shape))
    return (0.4 * np.sin(seed + 1.7 * np.arange(n))).astype(np.float32).reshape(shape)


def linear(name, x, y, n_in, n_out, seed):
    """torch.nn.Linear: weights (n_out, n_in), so Gemm transposes them."""
    node = helper.make_node("Gemm", [x, f"{name}.weight", f"{name}.bias"], [y], f"/{name}/Gemm", alpha=1.0, beta=1.0, transB=1)
    tensors = [(f"{name}.weight", weights(seed, n_out, n_in)), (f"{name}.bias", weights(seed + 1, n_out))]
    return node, [numpy_helper.from_array(array, label) for label, array in tensors]


def sequential(activation="Relu", columns=COLUMNS):
    """Sequential(Linear, Relu, Linear, Linear, Relu, Linear), as torch.onnx.export unrolls it."""
    sizes = [("encoder.0", columns, HIDDEN), ("encoder.2", HIDDEN, CODE), ("decoder.0", CODE, HIDDEN), ("decoder.2", HIDDEN, columns)]
    nodes, tensors, x = [], [], "window"
    for idx, (name, n_in, n_out) in enumerate(sizes):
        is_last = idx + 1 == len(sizes)
        y = "reconstruction" if is_last else f"/{name}/Gemm_output_0"
        node, parts = linear(name, x, y, n_in, n_out, 10 * idx)
        nodes.append(node)
        tensors.extend(parts)
        x = y
        if name.endswith(".0"):
            x = f"/{name}/act_output_0"
            nodes.append(helper.make_node(activation, [y], [x], f"/{name}/act"))
    return nodes, tensors


def port(name, dims):
    return helper.make_tensor_value_info(name, FLOAT, dims)


def model(nodes, tensors, *, opset=17, ir=8, producer="pytorch", into=("batch", COLUMNS), out=("batch", COLUMNS)):
    graph = helper.make_graph(nodes, "main_graph", [port("window", into)], [port("reconstruction", out)], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name=producer, producer_version="2.9.0")
    made.ir_version = ir
    return made


def batch_norm():
    """BatchNorm1d in evaluation mode between the encoder's layers."""
    nodes, tensors = sequential()
    names = [f"encoder.1.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    values = [1 + weights(51, HIDDEN), weights(52, HIDDEN), weights(53, HIDDEN), 1 + weights(54, HIDDEN)]
    tensors += [numpy_helper.from_array(value, name) for name, value in zip(names, values)]
    normalise = helper.make_node(
        "BatchNormalization", ["/encoder.0/Gemm_output_0", *names], ["normalised"], "/encoder.1/BatchNormalization", epsilon=1e-5, momentum=0.9
    )
    nodes[1].input[0] = "normalised"
    return model([nodes[0], normalise, *nodes[1:]], tensors)


def external():
    """What torch.onnx.export(..., external_data=True) leaves: weights in a file beside."""
    made = model(*sequential())
    first = made.graph.initializer[0]
    first.data_location = TensorProto.EXTERNAL
    first.ClearField("raw_data")
    for key, value in (("location", "autoencoder.onnx.data"), ("offset", "0"), ("length", str(4 * COLUMNS * HIDDEN))):
        first.external_data.add(key=key, value=value)
    return made


def blown_up():
    """Small weights whose sum is 4096 × 4096."""
    nodes, tensors = sequential()
    tensors += [numpy_helper.from_array(weights(1, 4096, 1), "tall"), numpy_helper.from_array(weights(2, 1, 4096), "wide")]
    return model([helper.make_node("Add", ["tall", "wide"], ["huge"], "/Add"), *nodes], tensors)


def ports_named(into, out):
    made = model(*sequential())
    made.graph.input[0].name, made.graph.output[0].name = into, out
    made.graph.node[0].input[0], made.graph.node[-1].output[0] = into, out
    return made


def narrow_output():
    nodes, tensors = sequential()
    node, parts = linear("decoder.2", nodes[-1].input[0], "reconstruction", HIDDEN, COLUMNS - 1, 30)
    return model([*nodes[:-1], node], tensors[:-2] + parts, out=("batch", COLUMNS - 1))


def mismatched():
    """A layer that doesn't fit the one before it; only the graph shows it."""
    nodes, tensors = sequential()
    _, parts = linear("decoder.0", "", "", CODE + 1, HIDDEN, 20)
    return model(nodes, tensors[:4] + parts + tensors[6:])


def deep():
    """More layers than any window needs."""
    nodes, tensors = sequential()
    names = ["reconstruction", *[f"deep{idx}" for idx in range(200)]]
    nodes[-1].output[0] = names[-1]
    nodes += [helper.make_node("Tanh", [names[idx]], [names[idx - 1]], f"/Tanh{idx}") for idx in range(200, 0, -1)]
    return model(nodes, tensors)


GOOD = {
    "torch-opset17": lambda: model(*sequential()),
    "torch-opset20": lambda: model(*sequential("Sigmoid"), opset=20, ir=10),
    "torch-tanh": lambda: model(*sequential("Tanh"), opset=18),
    "torch-batch-norm": batch_norm,
}

BAD = {
    "bad-names": lambda: ports_named("input", "output"),
    "bad-fixed-batch": lambda: model(*sequential(), into=(1, COLUMNS), out=(1, COLUMNS)),
    "bad-dynamic-columns": lambda: model(*sequential(), into=("batch", "columns"), out=("batch", "columns")),
    "bad-three-dimensions": lambda: model(*sequential(), into=("batch", 4, 3), out=("batch", 4, 3)),
    "bad-narrow-output": narrow_output,
    "bad-mismatched-layers": mismatched,
    "bad-external-data": external,
    "bad-opset": lambda: model(*sequential(), opset=11, ir=6),
    "bad-operator": lambda: model(*sequential("Softmax")),
    "bad-blown-up": blown_up,
    "bad-deep": deep,
}


def main():
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    for name, make in {**GOOD, **BAD}.items():
        made = make()
        if name in GOOD:
            onnx.checker.check_model(made, full_check=True)
        (directory / f"{name}.onnx").write_bytes(made.SerializeToString(deterministic=True))
    # What the good ones say, by ONNX's own reference implementation, for a window of sines.
    from onnx.reference import ReferenceEvaluator

    window = np.sin(np.arange(2 * COLUMNS)).astype(np.float32).reshape(2, COLUMNS)
    for name in GOOD:
        (said,) = ReferenceEvaluator(str(directory / f"{name}.onnx")).run(None, {"window": window})
        text = "\n".join(repr(float(value)) for value in said.ravel())
        (directory / f"{name}.txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
