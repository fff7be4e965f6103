"""MelGAN as an ONNX graph: mel spectrogram in, samples out, any length.

The orientation is upstream's: ``mel`` [batch, bands, frames] as the model file's recipe makes it,
``audio`` [batch, 1, frames * hop length]. The network's input scaling is inside.

Kumar et al., "MelGAN: Generative Adversarial Networks for Conditional Waveform Synthesis", 2019.
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
from pyvoc.families.melgan.shape import MelganShape

if TYPE_CHECKING:
    from onnx import ModelProto

_LENGTHS = (23, 8)
"""Frames of the examples, beyond the least that the padding allows."""


class _Builder:
    """The layers of one model, added to a graph."""

    def __init__(self, graph: Graph, source: Source, shape: MelganShape) -> None:
        self.graph, self.arrays, self.shape = graph, source.arrays, shape
        self.leak = float(source.metadata["melgan.leak"])

    def active(self, x: str, name: str) -> str:
        return self.graph.node("LeakyRelu", [x], name, alpha=self.leak)

    def parameters(self, name: str) -> list[str]:
        return [
            self.graph.constant(f"{name}.{kind}", self.arrays[f"{name}.{kind}"])
            for kind in ("weight", "bias")
        ]

    def conv(self, x: str, name: str, *, dilation: int = 1) -> str:
        """A convolution as long as its input."""
        kernel = self.arrays[f"{name}.weight"].shape[2]
        edge = dilation * (kernel - 1) // 2
        pads = [edge, edge]
        if edge and self.shape.reflect:
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

    def up(self, x: str, name: str, ratio: int) -> str:
        """A transposed convolution, `ratio` times as long as its input."""
        edge = ratio // 2 + ratio % 2
        return self.graph.node(
            "ConvTranspose",
            [x, *self.parameters(name)],
            name,
            kernel_shape=[2 * ratio],
            strides=[ratio],
            pads=[edge, edge],
            output_padding=[ratio % 2],
        )

    def block(self, x: str, name: str, dilation: int) -> str:
        inside = self.conv(self.active(x, f"{name}.act"), f"{name}.conv", dilation=dilation)
        inside = self.conv(self.active(inside, f"{name}.out.act"), f"{name}.out")
        return self.graph.node("Add", [self.conv(x, f"{name}.shortcut"), inside], f"{name}.sum")


def build(source: Source, opset: int) -> ModelProto:
    """The graph of a MelGAN."""
    shape = MelganShape.of(source.arrays, source.metadata)
    graph = Graph("melgan", doc=_doc(source.metadata, shape), opset=opset)
    x = graph.input(
        "mel",
        ["batch", shape.bands, "frames"],
        doc=f"log mel spectrogram, at least {shape.least_frames} frames",
    )
    for op, name, identity in (("Mul", "input_scale", 1.0), ("Add", "input_shift", 0.0)):
        value = source.metadata[f"melgan.{name}"]
        if value != identity:
            constant = graph.constant(f"{name}.value", np.array(value, np.float32))
            x = graph.node(op, [x, constant], name)
    layers = _Builder(graph, source, shape)
    x = layers.conv(x, "conv_in")
    for k, ratio in enumerate(shape.ratios):
        x = layers.up(layers.active(x, f"stage.{k}.act"), f"stage.{k}.up", ratio)
        for j in range(shape.blocks):
            x = layers.block(x, f"stage.{k}.block.{j}", shape.dilation(j))
    x = layers.conv(layers.active(x, "conv_out.act"), "conv_out")
    graph.output(
        graph.node("Tanh", [x], "audio"),
        ["batch", 1, "samples"],
        doc=f"samples in -1..1, {shape.hop} for each frame",
    )
    return graph.model(
        {
            "pyvoc.architecture": "pyvoc.melgan",
            "pyvoc.least_frames": str(shape.least_frames),
            **properties(source.metadata, "melgan."),
        }
    )


def _doc(metadata: Mapping[str, Scalar], shape: MelganShape) -> str:
    recipe = metadata.get("pyvoc.features.recipe", "custom")
    return (
        f"MelGAN, {metadata.get('pyvoc.features.sample_rate')} Hz: mel [batch, {shape.bands}, "
        f"frames] of the recipe '{recipe}' to audio [batch, 1, {shape.hop} * frames]. At least "
        f"{shape.least_frames} frames."
    )


def examples(source: Source) -> list[dict[str, npt.NDArray[np.float32]]]:
    """Mels whose values fill what the network's input is scaled to, of two lengths."""
    shape = MelganShape.of(source.arrays, source.metadata)
    scale, shift = (float(source.metadata[f"melgan.input_{k}"]) for k in ("scale", "shift"))
    scale = scale or 1.0  # the input does not matter then
    rng = np.random.default_rng(4)
    mels = []
    for frames in _LENGTHS:
        network = rng.uniform(-1.0, 1.0, (1, shape.bands, shape.least_frames + frames))
        mels.append({"mel": ((network - shift) / scale).astype(np.float32)})
    return mels


def render(path: Path, inputs: Arrays) -> npt.NDArray[np.float32]:
    """This runtime's samples [batch, 1, samples] for ``mel`` [batch, bands, frames]."""
    import pyvoc

    model = pyvoc.load(path)
    return np.stack([model.synthesize(np.ascontiguousarray(m.T)) for m in inputs["mel"]])[:, None]


EXPORTER = Exporter(build=build, examples=examples, render=render)
