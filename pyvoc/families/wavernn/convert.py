"""WaveRNN from the checkpoints of fatchord, torchaudio and geneing: one network, named thrice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyvoc.container.base import raise_problems
from pyvoc.container.mel import FATCHORD
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.layers import Layers
from pyvoc.convert.settings import NO_SETTINGS, Settings
from pyvoc.convert.tensors import NamedTensors
from pyvoc.convert.tree import levels
from pyvoc.families.wavernn.hoist import NORM, fold_batch_norm, hoist
from pyvoc.families.wavernn.names import Named, find_network, find_stranger
from pyvoc.families.wavernn.single_gru import RECIPE as SINGLE_GRU
from pyvoc.families.wavernn.single_gru import embed, has_single_gru
from pyvoc.families.wavernn.spec import (
    MAX_BITS,
    WAVERNN,
    WavernnSettings,
    output_problems,
    size_problems,
)
from pyvoc.pickles.stubs import Refused

"""What the outputs are: a mixture of logistics, mu-law labels, or labels on a linear scale."""


def pick_wavernn(tree: Any) -> tuple[dict[str, Any], Named] | None:
    """Find a network in a checkpoint's contents, be it a state dict or hold several.

    Returns
    -------
    tuple or None
        The network's tensors and names; None when there is none.

    Raises
    ------
    Refused
        There is a WaveRNN of another kind instead.
    """
    stranger = None
    for level in levels(tree):
        names = level.names()
        named = find_network(names)
        if named is not None:
            return {short: level.table[full] for short, full in named.names.items()}, named
        stranger = stranger or find_stranger(names)
    if stranger is not None:
        raise Refused(
            f"it is {stranger}, which is not supported: of WaveRNNs, the network of "
            "fatchord/WaveRNN and torchaudio is, and its form with a single GRU"
        )
    return None


def convert_wavernn(
    arrays: Mapping[str, AnyArray],
    named: Named,
    *,
    path: Path,
    container: str,
    settings: Settings = NO_SETTINGS,
    mode: str | None = None,
    sparsity: float | None = None,
    comb: float | None = None,
) -> Checkpoint:
    """Bring a network to the terms of our spec.

    Parameters
    ----------
    arrays, named
        What `pick_wavernn` found, the tensors read.
    path
        Of the checkpoint.
    container
        Name of the file's format, for ``pyvoc.source.format``.
    settings
        What is said of the model besides.
    mode
        ``mol``, ``raw`` or ``linear``; None: told from the number of outputs, labels being mu-law,
        but linear of a network with a single GRU.
    sparsity, comb
        For the checkpoint's.

    Raises
    ------
    ModelError
        Tensors are missing, unexpected, misshapen or not finite, or they are not those of `mode`;
        one error lists all.
    """
    reader = _Reader(arrays, named)
    dims = reader.check_shapes()
    problems = reader.problems
    if problems:
        raise_problems(str(path), problems)
    found = reader.tensors(dims)
    bits = dims["outputs"].bit_length() - 1
    if mode is None:
        labels = "linear" if reader.single else "raw"
        mode = labels if dims["outputs"] == 1 << bits and 1 <= bits <= MAX_BITS else "mol"
    elif mode == "raw" and reader.single:
        problems.append("mode is raw, expected linear or mol of a network with a single GRU")
    notes: list[str] = []
    if named.others:
        notes.append(f"{named.others} tensors that are not the network's were left out")
    if reader.single:
        notes.append(
            "one GRU: embedded in the network with two, without loss; it reads mels of 0..1, which "
            "are (m + 4) / 8 of upstream's in -4..4"
        )
    recipe, rate_from = settings.recipe(
        SINGLE_GRU if reader.single else FATCHORD,
        bands=dims["mels"],
        hop=dims["hop"],
        notes=notes,
        problems=problems,
        hops_per_window=4,
    )
    model = (
        WavernnSettings(recipe)
        if mode == "mol"
        else WavernnSettings(recipe, "raw", min(max(bits, 1), MAX_BITS), mode == "raw")
    )
    metadata = model.metadata()
    layout = WAVERNN.layout({name: a.shape for name, a in found.items()}, metadata)
    problems += size_problems(layout.dims) + output_problems(metadata, layout.dims)
    problems += [f"the mel recipe: {problem}" for problem in recipe.problems()]
    if problems:
        raise_problems(str(path), problems)
    upstream = "geneing" if reader.single else named.naming.upstream
    return Checkpoint(
        WAVERNN,
        found,
        metadata,
        f"{upstream}.{container}",
        notes=tuple(notes),
        rate_from=rate_from,
        sparsity=sparsity,
        comb=comb,
    )


class _Reader:
    """Takes the layers of a state dict and says what is wrong with them."""

    def __init__(self, arrays: Mapping[str, AnyArray], named: Named) -> None:
        self._layers = Layers(arrays, named.prefix)
        self._named = named
        self.blocks, self.stretches = named.naming.count(arrays)
        self.single = has_single_gru(named.names)
        self._found: dict[str, AnyArray] = {}
        for conv, norm in self._convolutions():
            self._take(f"{conv}.weight", 3)
            for leaf in NORM:
                self._take(f"{norm}.{leaf}", 1)
        self._take("conv_out.weight", 3)
        self._take("conv_out.bias", 1)
        for k in range(self.stretches):
            self._take(f"stretch.{k}.weight", 4)
        for gru in ("rnn1",) if self.single else ("rnn1", "rnn2"):
            for leaf, ndim in (("weight", 2), ("bias", 1)):
                self._take(f"{gru}.{leaf}_ih_l0", ndim)
                self._take(f"{gru}.{leaf}_hh_l0", ndim)
        for layer in ("input", "fc1", "fc3") if self.single else ("input", "fc1", "fc2", "fc3"):
            self._take(f"{layer}.weight", 2)
            self._take(f"{layer}.bias", 1)
        self._layers.finish()

    @property
    def problems(self) -> list[str]:
        """What was found so far."""
        return self._layers.problems

    def check_shapes(self) -> dict[str, int]:
        """Compare all shapes with each other.

        Returns
        -------
        dict
            Sizes, ``mels``, ``A`` (a quarter of the residual network's output, half of it with a
            single GRU), ``outputs`` and ``hop`` among them.
        """
        dims: dict[str, int] = {}
        for symbol, name, axis in (
            ("D", "conv_in.weight", 0),
            ("mels", "conv_in.weight", 1),
            ("taps", "conv_in.weight", 2),
            ("out", "conv_out.bias", 0),
            ("R", "input.bias", 0),
            ("F", "fc1.bias", 0),
            ("outputs", "fc3.bias", 0),
        ):
            if name in self._found:
                dims[symbol] = self._found[name].shape[axis]
        if "out" in dims:
            dims["A"] = dims["out"] // (2 if self.single else 4)
        for total, parts in (("input", ("mels", "A")), ("R+A", ("R", "A")), ("F+A", ("F", "A"))):
            if dims.keys() >= set(parts):
                dims[total] = sum(dims[part] for part in parts)
        if "input" in dims and not self.single:
            dims["input"] += 1  # the sample before, for which a single GRU gives up an aux channel
        if "R" in dims:
            dims["3R"] = 3 * dims["R"]
        expected: dict[str, tuple[str | int, ...]] = {
            "conv_out.weight": ("out", "D", 1),
            "input.weight": ("R", "input"),
            "rnn1.weight_ih_l0": ("3R", "R"),
            "rnn2.weight_ih_l0": ("3R", "R+A"),
            "fc1.weight": ("F", "R+A"),
            "fc2.weight": ("F", "F+A"),
            "fc2.bias": ("F",),
            "fc3.weight": ("outputs", "F"),
        }
        for gru in ("rnn1", "rnn2"):
            expected |= {
                f"{gru}.weight_hh_l0": ("3R", "R"),
                f"{gru}.bias_ih_l0": ("3R",),
                f"{gru}.bias_hh_l0": ("3R",),
            }
        for conv, norm in self._convolutions():
            expected |= {f"{norm}.{leaf}": ("D",) for leaf in NORM}
            if conv != "conv_in":
                expected[f"{conv}.weight"] = ("D", "D", 1)
        for name, symbols in expected.items():
            self._check(name, [n if isinstance(n, int) else dims.get(n) for n in symbols])
        dims["hop"] = 1
        for k in range(self.stretches):
            kernel = self._found.get(f"stretch.{k}.weight")
            if kernel is not None:
                self._check(f"stretch.{k}.weight", [1, 1, 1, None])
                dims["hop"] *= kernel.shape[3] // 2
        for _, norm in self._convolutions():
            variance = self._found.get(f"{norm}.running_var")
            if variance is not None and (variance < 0).any():
                name = f"{self._named.prefix}{self._theirs(norm)}.running_var"
                self.problems.append(f"'{name}' has negative variances")
        return dims

    def tensors(self, dims: Mapping[str, int]) -> dict[str, AnyArray]:
        """All tensors of our spec; only after `check_shapes` found nothing."""
        arrays: Mapping[str, AnyArray] = self._found
        if self.single:
            arrays = embed(arrays, mels=dims["mels"], aux=dims["A"])
        quarters = 4 * dims["A"]
        found: dict[str, AnyArray] = {}
        for conv, norm in self._convolutions():
            kind, _, number = conv.partition(".")
            ours = f"resnet.{number}.{kind[-1]}" if number else "resnet.in"
            folded = fold_batch_norm(
                arrays[f"{conv}.weight"], {leaf: arrays[f"{norm}.{leaf}"] for leaf in NORM}
            )
            found[f"{ours}.weight"], found[f"{ours}.bias"] = folded
        # Upstream cuts the output in four and forgets what is left over.
        found["resnet.out.weight"] = arrays["conv_out.weight"][:quarters]
        found["resnet.out.bias"] = arrays["conv_out.bias"][:quarters]
        for k in range(self.stretches):
            found[f"upsample.{k}.weight"] = np.ravel(arrays[f"stretch.{k}.weight"])
        return found | hoist(arrays, mels=dims["mels"], aux=dims["A"])

    def _convolutions(self) -> list[tuple[str, str]]:
        """The convolutions that a batch norm follows, and that."""
        pairs = [("conv_in", "norm_in")]
        for k in range(self.blocks):
            pairs += [(f"conv_{half}.{k}", f"norm_{half}.{k}") for half in "ab"]
        return pairs

    def _theirs(self, layer: str) -> str:
        kind, _, k = layer.partition(".")
        return self._named.naming.layer(kind, int(k or 0), self.blocks)

    def _take(self, name: str, ndim: int) -> None:
        layer, leaf = name.rsplit(".", 1)
        array = self._layers.take(f"{self._theirs(layer)}.{leaf}", ndim)
        if array is not None:
            self._found[name] = array

    def _check(self, name: str, expected: list[int | None]) -> None:
        array = self._found.get(name)
        if array is None:
            return
        if any(e is not None and e != n for e, n in zip(expected, array.shape, strict=True)):
            layer, leaf = name.rsplit(".", 1)
            self._layers.misshapen(f"{self._theirs(layer)}.{leaf}", array.shape, expected)


TENSORS = NamedTensors(pick_wavernn, convert_wavernn)
