"""HiFi-GAN as an ONNX graph: mel spectrogram in, samples out, any length.

Kong, Kim, Bae, "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech
Synthesis", 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc.export.mel_to_audio import MelGraph, render
from pyvoc.export.registry import Exporter, Source
from pyvoc.families.hifigan.shape import HifiganShape

if TYPE_CHECKING:
    from onnx import ModelProto

_LENGTHS = (23, 8)
"""Frames of the examples, beyond the least that the padding allows."""


def build(source: Source, opset: int) -> ModelProto:
    """The graph of a HiFi-GAN."""
    shape = HifiganShape.of(source.arrays, source.metadata)
    settings = shape.settings
    layers = MelGraph("hifigan", "HiFi-GAN", source, shape, leak=settings.leak, opset=opset)
    x = layers.mel
    if shape.normalised:
        for op, name in (("Sub", "input.mean"), ("Mul", "input.scale")):
            values = np.asarray(source.arrays[name], np.float32)[:, None]
            x = layers.graph.node(op, [x, layers.graph.constant(f"{name}.value", values)], name)
    x = layers.conv(x, "conv_in")
    for k in range(len(shape.ratios)):
        x = _stage(layers, shape, x, k)
    x = layers.conv(layers.active(x, "conv_out.act", settings.last_leak), "conv_out")
    return layers.finish(x)


def _stage(layers: MelGraph, shape: HifiganShape, x: str, k: int) -> str:
    """Upsampling, then the mean of the chains."""
    ratio, cut = shape.ratios[k], shape.cuts[k]
    rest = shape.up_kernels[k] - ratio - cut
    x = layers.active(x, f"stage.{k}.act")
    x = layers.up(x, f"stage.{k}.up", ratio=ratio, pads=(cut, max(rest, 0)), extra=max(-rest, 0))
    chains = [_chain(layers, shape, x, k, j) for j in range(len(shape.kernels))]
    return layers.graph.node("Mean", chains, f"stage.{k}.mean")


def _chain(layers: MelGraph, shape: HifiganShape, x: str, k: int, j: int) -> str:
    """Residual blocks one after the other."""
    for i, dilation in enumerate(shape.dilations[j]):
        name = f"stage.{k}.chain.{j}.block.{i}"
        y = layers.active(x, f"{name}.first.act")
        y = layers.conv(y, f"{name}.first", dilation=dilation)
        if shape.settings.paired:
            y = layers.conv(layers.active(y, f"{name}.second.act"), f"{name}.second")
        x = layers.graph.node("Add", [x, y], f"{name}.sum")
    return x


def examples(source: Source) -> list[dict[str, npt.NDArray[np.float32]]]:
    """Mels of about speech's level, of two lengths."""
    shape = HifiganShape.of(source.arrays, source.metadata)
    rng = np.random.default_rng(4)
    sizes = [(1, shape.bands, shape.least_frames + frames) for frames in _LENGTHS]
    return [{"mel": rng.uniform(-9.0, 0.5, size).astype(np.float32)} for size in sizes]


EXPORTER = Exporter(build=build, examples=examples, render=render)
