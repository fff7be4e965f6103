"""WaveGlow as an ONNX graph: mel spectrogram and noise in, samples out, any length.

The orientation is upstream's: ``mel`` [batch, bands, frames] as the model file's recipe makes it,
``z`` [batch, groups, steps], ``audio`` [batch, samples]; a step is `groups` samples. ``z`` is what
the flows start from, sigma included: first the channels of the last flow, then those that join, in
the order in which they do. It is an input, or drawn inside, then of the length that ``mel`` has.

Prenger et al., "WaveGlow: A Flow-based Generative Network for Speech Synthesis", 2018.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc.export.graph import Graph, properties
from pyvoc.export.registry import Arrays, Exporter, Source
from pyvoc.families.waveglow.shape import WaveglowShape
from pyvoc.files import features

if TYPE_CHECKING:
    from onnx import ModelProto

_NOISE = "z"
_LENGTHS = (21, 4)
"""Frames of the examples."""


class _Builder:
    """The layers of one model, added to a graph."""

    def __init__(self, graph: Graph, source: Source, shape: WaveglowShape) -> None:
        self.graph, self.arrays, self.shape = graph, source.arrays, shape

    def conv(self, x: str, name: str, *, dilation: int = 1) -> str:
        """A convolution as long as its input, with zeros beyond its ends."""
        kernel = self.arrays[f"{name}.weight"].shape[2]
        edge = dilation * (kernel - 1) // 2
        return self.graph.node(
            "Conv",
            [x, self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias")],
            name,
            kernel_shape=[kernel],
            dilations=[dilation],
            pads=[edge, edge],
        )

    def parameter(self, name: str) -> str:
        return self.graph.constant(name, self.arrays[name])

    def condition(self, mel: str) -> str:
        """What all flows see of a mel: [batch, bands * groups, steps]."""
        graph, shape = self.graph, self.shape
        groups, hop = shape.settings.groups, shape.hop
        x = graph.node(
            "ConvTranspose",
            [mel, self.parameter("upsample.weight"), self.parameter("upsample.bias")],
            "upsample",
            kernel_shape=[shape.taps],
            strides=[hop],
            group=shape.bands if shape.apart else 1,
        )
        if shape.taps > hop:
            ends = map(graph.whole, (0, hop - shape.taps, 2))
            x = graph.node("Slice", [x, *ends], "upsample.cut")
        x = graph.node("Reshape", [x, graph.whole(0, shape.bands, -1, groups)], "upsample.steps")
        x = graph.node("Transpose", [x], "upsample.turned", perm=[0, 1, 3, 2])
        return graph.node("Reshape", [x, graph.whole(0, shape.bands * groups, -1)], "condition")

    def couple(self, fixed: str, condition: str, flow: str) -> str:
        """Shift and logarithm of the scale of the changed half: [batch, both, steps]."""
        graph, hidden = self.graph, self.shape.hidden
        x, skip = self.conv(fixed, f"{flow}.start"), ""
        for i in range(self.shape.layers):
            layer = f"{flow}.layer.{i}"
            pair = [
                self.conv(x, f"{layer}.conv", dilation=2**i),
                self.conv(condition, f"{layer}.cond"),
            ]
            y = graph.node("Add", pair, f"{layer}.sum")
            content = graph.channels(y, 0, hidden, f"{layer}.content")
            gate = graph.channels(y, hidden, 2 * hidden, f"{layer}.gate")
            gated = [
                graph.node("Tanh", [content], f"{layer}.tanh"),
                graph.node("Sigmoid", [gate], f"{layer}.sigmoid"),
            ]
            out = self.conv(graph.node("Mul", gated, f"{layer}.gated"), f"{layer}.out")
            if i < self.shape.layers - 1:
                residual = graph.channels(out, 0, hidden, f"{layer}.residual")
                out = graph.channels(out, hidden, 2 * hidden, f"{layer}.skip")
                x = graph.node("Add", [x, residual], f"{layer}.stream")
            skip = graph.node("Add", [skip, out], f"{layer}.skips") if skip else out
        return self.conv(skip, f"{flow}.end")

    def flow(self, x: str, condition: str, k: int, channels: int) -> str:
        """Undo flow k: [batch, channels, steps] of the same shape."""
        graph, flow, half = self.graph, f"flow.{k}", channels // 2
        halves = [
            graph.channels(x, 0, half, f"{flow}.first"),
            graph.channels(x, half, channels, f"{flow}.second"),
        ]
        changed = 0 if self.shape.reads_second(k) else 1
        both = self.couple(halves[1 - changed], condition, flow)
        shift = graph.channels(both, 0, half, f"{flow}.shift")
        log_s = graph.channels(both, half, channels, f"{flow}.log_s")
        moved = graph.node("Sub", [halves[changed], shift], f"{flow}.moved")
        scale = graph.node("Exp", [log_s], f"{flow}.scale")
        halves[changed] = graph.node("Div", [moved, scale], f"{flow}.changed")
        whole = graph.node("Concat", halves, f"{flow}.whole", axis=1)
        weight = graph.constant(
            f"{flow}.unmix.weight", self.arrays[f"{flow}.unmix.weight"][:, :, None]
        )
        return graph.node("Conv", [whole, weight], f"{flow}.unmix", kernel_shape=[1])


def build(source: Source, opset: int) -> ModelProto:
    """The graph of a WaveGlow."""
    shape = WaveglowShape.of(source.arrays, source.metadata)
    settings = shape.settings
    groups, size = settings.groups, settings.early_size
    graph = Graph("waveglow", doc=_doc(source, shape), opset=opset)
    mel = graph.input("mel", ["batch", shape.bands, "frames"], doc="log mel spectrogram")
    if source.sigma is None:
        graph.input(
            _NOISE,
            ["batch", groups, "steps"],
            doc=f"normal noise times sigma, {shape.hop // groups} steps for each frame",
        )
    layers = _Builder(graph, source, shape)
    condition = layers.condition(mel)
    if source.sigma is not None:
        like = graph.channels(condition, 0, groups, "noise.shape")
        noise = graph.node("RandomNormalLike", [like], "noise")
        sigma = graph.constant("sigma", np.array(source.sigma, np.float32))
        graph.node("Mul", [noise, sigma], _NOISE)
    channels = shape.channels
    used = channels[-1]
    x = graph.channels(_NOISE, 0, used, "noise.last")
    for k in reversed(range(shape.flows)):
        x = layers.flow(x, condition, k, channels[k])
        if shape.joins(k):
            early = graph.channels(_NOISE, used, used + size, f"noise.{k}")
            x = graph.node("Concat", [early, x], f"flow.{k}.joined", axis=1)
            used += size
    x = graph.node("Transpose", [x], "steps", perm=[0, 2, 1])
    graph.output(
        graph.node("Reshape", [x, graph.whole(0, -1)], "audio"),
        ["batch", "samples"],
        doc=f"samples, full scale -1..1, {shape.hop} for each frame",
    )
    metadata = dict(source.metadata)
    if source.sigma is not None:
        metadata["waveglow.sigma"] = source.sigma
    return graph.model(
        {"pyvoc.architecture": "pyvoc.waveglow", **properties(metadata, "waveglow.")}
    )


def _doc(source: Source, shape: WaveglowShape) -> str:
    metadata = source.metadata
    noise = (
        f"noise z [batch, {shape.settings.groups}, steps], sigma included,"
        if source.sigma is None
        else f"noise of sigma {source.sigma:g}, drawn inside,"
    )
    return (
        f"WaveGlow, {metadata.get('pyvoc.features.sample_rate')} Hz: mel [batch, {shape.bands}, "
        f"frames] of the recipe '{metadata.get('pyvoc.features.recipe', 'custom')}' and {noise} to "
        f"audio [batch, {shape.hop} * frames]."
    )


def examples(source: Source) -> list[dict[str, npt.NDArray[np.float32]]]:
    """Mels of a voice-like tone in noise, of two lengths, and z where that is an input."""
    settings = WaveglowShape.of(source.arrays, source.metadata).settings
    recipe, rng = settings.recipe, np.random.default_rng(4)
    seconds = (max(_LENGTHS) * recipe.hop_length + recipe.fft_length) / recipe.sample_rate
    time = np.arange(round(seconds * recipe.sample_rate)) / recipe.sample_rate
    pulses = sum(np.sin(2 * np.pi * 140 * h * time) / h for h in range(1, 16))
    pcm = 0.1 * pulses * (1 + np.sin(2 * np.pi * 5 * time)) + 0.003 * rng.standard_normal(time.size)
    rows = features.extract(pcm.astype(np.float32), recipe=recipe)
    found = []
    for frames in _LENGTHS:
        example = {"mel": np.ascontiguousarray(rows[:frames].T[None])}
        if source.sigma is None:
            steps = frames * recipe.hop_length // settings.groups
            noise = settings.sigma * rng.standard_normal((1, settings.groups, steps))
            example[_NOISE] = noise.astype(np.float32)
        found.append(example)
    return found


def render(path: Path, inputs: Arrays) -> npt.NDArray[np.float32]:
    """This runtime's samples [batch, samples] for ``mel`` [batch, bands, frames] and ``z``."""
    import pyvoc

    model = pyvoc.load(path)
    pairs = zip(inputs["mel"], inputs[_NOISE], strict=True)
    return np.stack([model.synthesize(m.T, draws=z.reshape(-1), sigma=1.0) for m, z in pairs])


EXPORTER = Exporter(build=build, examples=examples, render=render, noise=_NOISE)
