"""MelGAN as an ONNX graph: mel spectrogram in, samples out, any length.

The mel is as the model file's recipe makes it; the network's input scaling is inside.

Kumar et al., "MelGAN: Generative Adversarial Networks for Conditional Waveform Synthesis", 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc.export.mel_to_audio import MelGraph, render
from pyvoc.export.registry import Exporter, Source
from pyvoc.families.melgan.shape import MelganShape

if TYPE_CHECKING:
    from onnx import ModelProto

_LENGTHS = (23, 8)
"""Frames of the examples, beyond the least that the padding allows."""


def build(source: Source, opset: int) -> ModelProto:
    """The graph of a MelGAN."""
    shape = MelganShape.of(source.arrays, source.metadata)
    leak = float(source.metadata["melgan.leak"])
    layers = MelGraph("melgan", "MelGAN", source, shape, leak=leak, opset=opset)
    x = layers.mel
    for op, name, identity in (("Mul", "input_scale", 1.0), ("Add", "input_shift", 0.0)):
        value = source.metadata[f"melgan.{name}"]
        if value != identity:
            constant = layers.graph.constant(f"{name}.value", np.array(value, np.float32))
            x = layers.graph.node(op, [x, constant], name)
    x = layers.conv(x, "conv_in")
    for k, ratio in enumerate(shape.ratios):
        edge, extra = ratio // 2 + ratio % 2, ratio % 2
        x = layers.active(x, f"stage.{k}.act")
        x = layers.up(x, f"stage.{k}.up", ratio=ratio, pads=(edge, edge), extra=extra)
        for j in range(shape.blocks):
            x = _block(layers, x, f"stage.{k}.block.{j}", shape.dilation(j))
    return layers.finish(layers.conv(layers.active(x, "conv_out.act"), "conv_out"))


def _block(layers: MelGraph, x: str, name: str, dilation: int) -> str:
    inside = layers.conv(layers.active(x, f"{name}.act"), f"{name}.conv", dilation=dilation)
    inside = layers.conv(layers.active(inside, f"{name}.out.act"), f"{name}.out")
    return layers.graph.node("Add", [layers.conv(x, f"{name}.shortcut"), inside], f"{name}.sum")


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


EXPORTER = Exporter(build=build, examples=examples, render=render)
