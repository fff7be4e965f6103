"""ONNX graphs of convolutions from ``mel`` [batch, bands, frames] to ``audio`` [batch, 1, samples].

The orientation is PyTorch's; the samples are a hop for each frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from pyvoc.export.graph import Graph, properties
from pyvoc.export.registry import Arrays, Source

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["MelGraph", "Shape", "render"]


class Shape(Protocol):
    """What a model's sizes say of its graph."""

    @property
    def bands(self) -> int: ...
    @property
    def hop(self) -> int: ...
    @property
    def reflect(self) -> bool: ...
    @property
    def least_frames(self) -> int: ...


class MelGraph:
    """A graph under construction, and layers for it by their names in the model file.

    Parameters
    ----------
    name, title
        Of the family, for programs and for people.
    source
        The model.
    shape
        Its sizes.
    leak
        Slope of the leaky ReLU below zero.
    opset
        Version of ONNX's operators.
    """

    def __init__(
        self, name: str, title: str, source: Source, shape: Shape, *, leak: float, opset: int
    ) -> None:
        self.name, self.arrays, self.metadata = name, source.arrays, source.metadata
        self.shape, self.leak = shape, leak
        recipe = self.metadata.get("pyvoc.features.recipe", "custom")
        doc = (
            f"{title}, {self.metadata.get('pyvoc.features.sample_rate')} Hz: mel [batch, "
            f"{shape.bands}, frames] of the recipe '{recipe}' to audio [batch, 1, {shape.hop} * "
            f"frames]. At least {shape.least_frames} frames."
        )
        self.graph = Graph(name, doc=doc, opset=opset)
        self.mel = self.graph.input(
            "mel",
            ["batch", shape.bands, "frames"],
            doc=f"log mel spectrogram, at least {shape.least_frames} frames",
        )

    def active(self, x: str, name: str, leak: float | None = None) -> str:
        """Leaky rectification."""
        return self.graph.node("LeakyRelu", [x], name, alpha=self.leak if leak is None else leak)

    def conv(self, x: str, name: str, *, dilation: int = 1) -> str:
        """A convolution as long as its input."""
        kernel = self.arrays[f"{name}.weight"].shape[2]
        edge = dilation * (kernel // 2)
        pads = [edge, edge]
        if edge and self.shape.reflect:
            ends = self.graph.whole(0, 0, edge, 0, 0, edge)
            x = self.graph.node("Pad", [x, ends], f"{name}.pad", mode="reflect")
            pads = [0, 0]
        return self.graph.node(
            "Conv",
            [x, *self._parameters(name)],
            name,
            kernel_shape=[kernel],
            dilations=[dilation],
            pads=pads,
        )

    def up(self, x: str, name: str, *, ratio: int, pads: tuple[int, int], extra: int = 0) -> str:
        """A transposed convolution; `pads` are cut off its ends, and `extra` is added behind."""
        return self.graph.node(
            "ConvTranspose",
            [x, *self._parameters(name)],
            name,
            kernel_shape=[self.arrays[f"{name}.weight"].shape[2]],
            strides=[ratio],
            pads=list(pads),
            output_padding=[extra],
        )

    def finish(self, x: str) -> ModelProto:
        """The model whose audio is tanh of `x`."""
        self.graph.output(
            self.graph.node("Tanh", [x], "audio"),
            ["batch", 1, "samples"],
            doc=f"samples in -1..1, {self.shape.hop} for each frame",
        )
        return self.graph.model(
            {
                "pyvoc.architecture": f"pyvoc.{self.name}",
                "pyvoc.least_frames": str(self.shape.least_frames),
                **properties(self.metadata, f"{self.name}."),
            }
        )

    def _parameters(self, name: str) -> list[str]:
        return [
            self.graph.constant(f"{name}.{kind}", self.arrays[f"{name}.{kind}"])
            for kind in ("weight", "bias")
        ]


def render(path: Path, inputs: Arrays) -> npt.NDArray[np.float32]:
    """This runtime's samples [batch, 1, samples] for ``mel`` [batch, bands, frames]."""
    import pyvoc

    model = pyvoc.load(path)
    return np.stack([model.synthesize(np.ascontiguousarray(m.T)) for m in inputs["mel"]])[:, None]
