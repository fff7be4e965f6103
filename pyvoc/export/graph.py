"""An ONNX graph, put together node by node; a node's result has the node's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from pyvoc import _pyvoc
from pyvoc.container.tensors import Scalar

Dims = Sequence[int | str]


class Graph:
    """A graph under construction.

    Parameters
    ----------
    name
        Of the graph.
    doc
        What it computes.
    opset
        Version of ONNX's operators.
    """

    def __init__(self, name: str, *, doc: str, opset: int) -> None:
        self.name, self.doc, self.opset = name, doc, opset
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._known: set[str] = set()

    def input(self, name: str, shape: Dims, *, doc: str) -> str:
        """Declare a float32 input; a string in the shape is a dynamic dimension."""
        self._inputs.append(_value(name, shape, doc))
        return name

    def output(self, name: str, shape: Dims, *, doc: str) -> None:
        """Declare that the result of node `name` is an output."""
        self._outputs.append(_value(name, shape, doc))

    def constant(self, name: str, array: npt.NDArray[Any]) -> str:
        """Add an array."""
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node and return the name of its result, which is `name`."""
        self._nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def whole(self, *values: int) -> str:
        """A constant of whole numbers, such as a shape or where a slice begins; one for equals."""
        name = f"int64.{'.'.join(map(str, values))}"
        if name not in self._known:
            self._known.add(name)
            self.constant(name, np.array(values, np.int64))
        return name

    def channels(self, x: str, first: int, last: int, name: str) -> str:
        """Add a node that takes the channels from `first` to before `last` of [batch, c, time]."""
        return self.node("Slice", [x, *map(self.whole, (first, last, 1))], name)

    def model(self, properties: Mapping[str, str]) -> onnx.ModelProto:
        """The finished model with its metadata properties."""
        graph = helper.make_graph(
            self._nodes,
            self.name,
            self._inputs,
            self._outputs,
            self._constants,
            doc_string=self.doc,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="pyvoc",
            producer_version=_pyvoc.version(),
            doc_string=self.doc,
        )
        helper.set_model_props(model, dict(properties))
        return model


def _value(name: str, shape: Dims, doc: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape), doc_string=doc)


def properties(metadata: Mapping[str, Scalar], prefix: str) -> dict[str, str]:
    """The metadata that goes into a graph's properties; `prefix` is the model's own."""
    kept = ("general.name", "pyvoc.precision", "pyvoc.source.", "pyvoc.features.", prefix)
    return {key: _text(value) for key, value in metadata.items() if key.startswith(kept)}


def _text(value: Scalar) -> str:
    """A metadata entry as text: floats in the fewest digits that give the same float32."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return np.format_float_positional(np.float32(value), unique=True, trim="0")
    return str(value)
