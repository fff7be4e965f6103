"""HiFi-GAN as an ONNX graph: mel spectrogram in, samples out, any length.

The orientation is upstream's: ``mel`` [batch, bands, frames] as the model file's recipe makes it,
``audio`` [batch, 1, frames * hop length].

Kong, Kim, Bae, "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech
Synthesis", 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc.container.tensors import Scalar
from pyvoc.export.graph import Graph, properties
from pyvoc.export.registry import Arrays, Exporter, Source
from pyvoc.families.hifigan.shape import HifiganShape

if TYPE_CHECKING:
    from onnx import ModelProto

_LENGTHS = (23, 8)
"""Frames of the examples, beyond the least that the padding allows."""


class _Builder:
    """The layers of one model, added to a graph."""

    def __init__(self, graph: Graph, source: Source, shape: HifiganShape) -> None:
        self.graph, self.arrays, self.shape = graph, source.arrays, shape

    def active(self, x: str, name: str, leak: float | None = None) -> str:
        slope = self.shape.settings.leak if leak is None else leak
        return self.graph.node("LeakyRelu", [x], name, alpha=slope)

    def parameters(self, name: str) -> list[str]:
        return [
            self.graph.constant(f"{name}.{kind}", self.arrays[f"{name}.{kind}"])
            for kind in ("weight", "bias")
        ]

    def conv(self, x: str, name: str, *, dilation: int = 1) -> str:
        """A convolution as long as its input."""
        kernel = self.arrays[f"{name}.weight"].shape[2]
        edge = dilation * (kernel // 2)
        pads = [edge, edge]
        if self.shape.reflect:
            ends = self.graph.whole(0, 0, edge, 0, 0, edge)
            x = self.graph.node("Pad", [x, ends], f"{name}.pad", mode="reflect")
            pads = [0, 0]
        return self.graph.node(
            "Conv",
            [x, *self.parameters(name)],
            name,
            kernel_shape=[kernel],
            dilations=[dilation],
            pads=pads,
        )

    def up(self, x: str, k: int) -> str:
        """A transposed convolution, its ratio times as long as its input."""
        ratio, kernel, cut = self.shape.ratios[k], self.shape.up_kernels[k], self.shape.cuts[k]
        rest = kernel - ratio - cut
        return self.graph.node(
            "ConvTranspose",
            [x, *self.parameters(f"stage.{k}.up")],
            f"stage.{k}.up",
            kernel_shape=[kernel],
            strides=[ratio],
            pads=[cut, max(rest, 0)],
            output_padding=[max(-rest, 0)],
        )

    def chain(self, x: str, k: int, j: int) -> str:
        """Residual blocks one after the other."""
        for i, dilation in enumerate(self.shape.dilations[j]):
            name = f"stage.{k}.chain.{j}.block.{i}"
            y = self.active(x, f"{name}.first.act")
            y = self.conv(y, f"{name}.first", dilation=dilation)
            if self.shape.settings.paired:
                y = self.conv(self.active(y, f"{name}.second.act"), f"{name}.second")
            x = self.graph.node("Add", [x, y], f"{name}.sum")
        return x

    def stage(self, x: str, k: int) -> str:
        """The mean of the chains."""
        x = self.up(self.active(x, f"stage.{k}.act"), k)
        chains = [self.chain(x, k, j) for j in range(len(self.shape.kernels))]
        return self.graph.node("Mean", chains, f"stage.{k}.mean")


def build(source: Source, opset: int) -> ModelProto:
    """The graph of a HiFi-GAN."""
    shape = HifiganShape.of(source.arrays, source.metadata)
    graph = Graph("hifigan", doc=_doc(source.metadata, shape), opset=opset)
    x = graph.input(
        "mel",
        ["batch", shape.bands, "frames"],
        doc=f"log mel spectrogram, at least {shape.least_frames} frames",
    )
    if shape.normalised:
        for op, name in (("Sub", "input.mean"), ("Mul", "input.scale")):
            values = np.asarray(source.arrays[name], np.float32)[:, None]
            x = graph.node(op, [x, graph.constant(f"{name}.value", values)], name)
    layers = _Builder(graph, source, shape)
    x = layers.conv(x, "conv_in")
    for k in range(len(shape.ratios)):
        x = layers.stage(x, k)
    x = layers.conv(layers.active(x, "conv_out.act", shape.settings.last_leak), "conv_out")
    graph.output(
        graph.node("Tanh", [x], "audio"),
        ["batch", 1, "samples"],
        doc=f"samples in -1..1, {shape.hop} for each frame",
    )
    return graph.model(
        {
            "pyvoc.architecture": "pyvoc.hifigan",
            "pyvoc.least_frames": str(shape.least_frames),
            **properties(source.metadata, "hifigan."),
        }
    )


def _doc(metadata: Mapping[str, Scalar], shape: HifiganShape) -> str:
    recipe = metadata.get("pyvoc.features.recipe", "custom")
    return (
        f"HiFi-GAN, {metadata.get('pyvoc.features.sample_rate')} Hz: mel [batch, {shape.bands}, "
        f"frames] of the recipe '{recipe}' to audio [batch, 1, {shape.hop} * frames]. At least "
        f"{shape.least_frames} frames."
    )


def examples(source: Source) -> list[dict[str, npt.NDArray[np.float32]]]:
    """Mels of about speech's level, of two lengths."""
    shape = HifiganShape.of(source.arrays, source.metadata)
    rng = np.random.default_rng(4)
    sizes = [(1, shape.bands, shape.least_frames + frames) for frames in _LENGTHS]
    return [{"mel": rng.uniform(-9.0, 0.5, size).astype(np.float32)} for size in sizes]


def render(path: Path, inputs: Arrays) -> npt.NDArray[np.float32]:
    """This runtime's samples [batch, 1, samples] for ``mel`` [batch, bands, frames]."""
    import pyvoc

    model = pyvoc.load(path)
    return np.stack([model.synthesize(np.ascontiguousarray(m.T)) for m in inputs["mel"]])[:, None]


EXPORTER = Exporter(build=build, examples=examples, render=render)
