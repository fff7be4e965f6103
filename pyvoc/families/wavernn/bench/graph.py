"""The step network as an ONNX graph for the peers: float32, and int8 with dynamic activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save_model

from pyvoc.bench.peer_int8 import weight_options

Job = dict[str, Any]

_OPSET = 17
_MATRICES = ("I", "rnn1", "rnn2", "fc1", "fc2", "fc3")


class _Graph:
    """Nodes and initialisers as they come."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._state = state

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def linear(self, weight: str, bias: str, x: str, output: str) -> str:
        """A product and a sum, which is what dynamic quantisation looks for."""
        self.weights += [
            numpy_helper.from_array(np.ascontiguousarray(self._state[weight].T), weight),
            numpy_helper.from_array(self._state[bias], bias),
        ]
        product = self.node("MatMul", [x, weight], f"{output}_product")
        return self.node("Add", [product, bias], output)

    def split(self, x: str, parts: int, name: str) -> list[str]:
        outputs = [f"{name}_{k}" for k in range(parts)]
        self.nodes.append(helper.make_node("Split", [x], outputs, axis=1))
        return outputs

    def cell(self, name: str, x: str, h: str) -> str:
        """A GRU's step, gates r, z, n."""
        sums = [
            self.split(
                self.linear(f"{name}.weight_{k}_l0", f"{name}.bias_{k}_l0", v, f"{name}_{k}"),
                3,
                f"{name}_{k}_gate",
            )
            for k, v in (("ih", x), ("hh", h))
        ]
        r, z = (
            self.node(
                "Sigmoid",
                [self.node("Add", [sums[0][g], sums[1][g]], f"{name}_sum{g}")],
                f"{name}_gate{g}",
            )
            for g in (0, 1)
        )
        reset = self.node("Mul", [r, sums[1][2]], f"{name}_reset")
        n = self.node("Tanh", [self.node("Add", [sums[0][2], reset], f"{name}_sum2")], f"{name}_n")
        gap = self.node("Sub", [h, n], f"{name}_gap")
        return self.node("Add", [n, self.node("Mul", [z, gap], f"{name}_kept")], f"next_{h}")


def write(job: Job) -> Job:
    """Write the float graph, and the int8 one; job: ``state`` (.npz), ``f32``, ``int8`` (paths)."""
    with np.load(job["state"]) as file:
        state = {name: file[name] for name in file.files if name.split(".")[0] in _MATRICES}
    size, aux = state["I.weight"].shape[0], state["fc1.weight"].shape[1] - state["I.bias"].size
    g = _Graph(state)
    a = g.split("aux", 4, "a")
    i = g.linear("I.weight", "I.bias", g.node("Concat", ["x", "mel", a[0]], "seen", axis=1), "i")
    y = g.node("Add", [i, g.cell("rnn1", i, "h1")], "y")
    h2 = g.cell("rnn2", g.node("Concat", [y, a[1]], "ya", axis=1), "h2")
    z = g.node("Concat", [g.node("Add", [y, h2], "z"), a[2]], "za", axis=1)
    z = g.node("Relu", [g.linear("fc1.weight", "fc1.bias", z, "fc1")], "relu1")
    z = g.node("Concat", [z, a[3]], "zb", axis=1)
    z = g.node("Relu", [g.linear("fc2.weight", "fc2.bias", z, "fc2")], "relu2")
    g.linear("fc3.weight", "fc3.bias", z, "outputs")
    bands = state["I.weight"].shape[1] - 1 - aux

    def value(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])

    inputs = [("x", 1), ("mel", bands), ("aux", 4 * aux), ("h1", size), ("h2", size)]
    outputs = [("outputs", state["fc3.bias"].size), ("next_h1", size), ("next_h2", size)]
    graph = helper.make_graph(
        g.nodes, "step", [value(*v) for v in inputs], [value(*v) for v in outputs], g.weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = 8
    checker.check_model(model)
    save_model(model, job["f32"])
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(job["f32"], job["int8"], **weight_options())
    return {}
