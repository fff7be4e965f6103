"""WaveGlow from NVIDIA's checkpoints: pickled modules and state dicts, of either generation.

Upstream keeps the conditioning of all layers of a flow in one convolution and the residual and skip
parts of a layer in another; the older generation has a convolution for each. We store the second
one fused and the first one cut by layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.base import raise_problems
from pyvoc.container.layout import Layout
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.layers import Layers
from pyvoc.convert.settings import NO_SETTINGS, Settings
from pyvoc.convert.tensors import NamedTensors
from pyvoc.families.waveglow.names import Found, pick_waveglow
from pyvoc.families.waveglow.settings import settings_of
from pyvoc.families.waveglow.spec import (
    MAX_FLOWS,
    MAX_LAYERS,
    WAVEGLOW,
    inverse_problem,
    size_problems,
)

_OLD_LAYERS = re.compile(r"WN\.\d+\.(?:res|skip|cond)_layers\..+")


def convert_waveglow(
    arrays: Mapping[str, AnyArray],
    found: Found,
    *,
    path: Path,
    container: str,
    settings: Settings = NO_SETTINGS,
    halves: str = "auto",
) -> Checkpoint:
    """Bring a WaveGlow to the terms of our spec.

    Parameters
    ----------
    arrays, found
        What `pick_waveglow` found, the tensors read.
    path
        Of the checkpoint.
    container
        Name of the file's format, for ``pyvoc.source.format``.
    settings
        What is said of the model besides.
    halves
        ``auto``: what the file says, else ``first``; ``first`` or ``alternate``.

    Raises
    ------
    ModelError
        Tensors are missing, unexpected, misshapen or not finite, a 1x1 convolution has no inverse,
        or the settings contradict the tensors; one error lists all.
    """
    taker = _Taker(arrays, found.prefix)
    tensors = taker.take()
    problems = [*found.said.problems, *taker.layers.problems]
    if problems:
        raise_problems(str(path), problems)
    notes: list[str] = []
    if found.others:
        notes.append(f"{found.others} tensors that are not the model's were left out")
    old = any(_OLD_LAYERS.fullmatch(name) for name in arrays)
    model = settings_of(
        tensors, found, settings=settings, halves=halves, old=old, notes=notes, problems=problems
    )
    if model is None:
        raise_problems(str(path), problems)
    assert model is not None
    metadata, recipe = model[0].metadata(), model[0].recipe
    layout = WAVEGLOW.layout({n: a.shape for n, a in tensors.items()}, metadata)
    taker.check_shapes(tensors, layout)
    problems += taker.layers.problems
    problems += size_problems(layout.dims, recipe.hop_length)
    if not problems:
        problems += _add_inverses(tensors, layout.dims["flows"])
    if problems:
        raise_problems(str(path), problems)
    return Checkpoint(
        WAVEGLOW,
        tensors,
        metadata,
        f"nvidia.{container}",
        notes=tuple(notes),
        rate_from=model[1],
    )


class _Taker:
    """Takes upstream's layers and gives ours.

    Parameters
    ----------
    arrays
        Upstream's tensors without a prefix.
    prefix
        What was cut off, for messages.
    """

    def __init__(self, arrays: Mapping[str, AnyArray], prefix: str) -> None:
        self.layers = Layers(arrays, prefix)
        self._names = list(arrays)
        self._found: dict[str, AnyArray] = {}
        self._theirs: dict[str, str] = {}
        self._prefix = prefix

    def take(self) -> dict[str, AnyArray]:
        """All tensors of the spec but the inverses."""
        flows = self._count(r"(?:WN|convinv)\.(\d{1,3})\..+", MAX_FLOWS)
        layers = self._count(r"WN\.\d{1,3}\.in_layers\.(\d{1,3})\..+", MAX_LAYERS)
        self._layer("upsample", "upsample")
        for k in range(flows):
            wn, flow = f"WN.{k}", f"flow.{k}"
            mix = self.layers.weight(f"convinv.{k}.conv", 3)
            if mix is not None and mix.shape[2] != 1:
                self.layers.misshapen(f"convinv.{k}.conv.weight", mix.shape, (None, None, 1))
            elif mix is not None:
                self._put(f"{flow}.mix.weight", f"convinv.{k}.conv.weight", mix[:, :, 0])
            self._layer(f"{flow}.start", f"{wn}.start")
            self._layer(f"{flow}.end", f"{wn}.end")
            for i in range(layers):
                self._layer(f"{flow}.layer.{i}.conv", f"{wn}.in_layers.{i}")
            self._conditioning(flow, wn, layers)
            self._outputs(flow, wn, layers)
        self.layers.finish()
        return self._found

    def _count(self, pattern: str, most: int) -> int:
        """How many numbers the names have: what is counted wrongly is missing or unexpected."""
        numbers = {m[1] for name in self._names if (m := re.fullmatch(pattern, name))}
        return min(max(len(numbers), 1), most)

    def _has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self._names)

    def _put(self, ours: str, theirs: str, array: AnyArray | None) -> None:
        if array is not None:
            self._found[ours] = array
            self._theirs[ours] = theirs

    def _layer(self, ours: str, theirs: str) -> None:
        self._put(f"{ours}.weight", f"{theirs}.weight", self.layers.weight(theirs, 3))
        self._put(f"{ours}.bias", f"{theirs}.bias", self.layers.bias(theirs))

    def _conditioning(self, flow: str, wn: str, layers: int) -> None:
        """One convolution for all layers, cut; or one for each, as they are."""
        if self._has(f"{wn}.cond_layers."):
            for i in range(layers):
                self._layer(f"{flow}.layer.{i}.cond", f"{wn}.cond_layers.{i}")
            return
        theirs = f"{wn}.cond_layer"
        for leaf, array in (
            ("weight", self.layers.weight(theirs, 3)),
            ("bias", self.layers.bias(theirs)),
        ):
            if array is None:
                continue
            if array.shape[0] == 0 or array.shape[0] % layers:
                self.layers.problems.append(
                    f"'{self._prefix}{theirs}.{leaf}' has {array.shape[0]} outputs, which do not "
                    f"divide by the {layers} layers"
                )
                continue
            for i, part in enumerate(np.split(array, layers)):
                self._put(f"{flow}.layer.{i}.cond.{leaf}", f"{theirs}.{leaf}", part)

    def _outputs(self, flow: str, wn: str, layers: int) -> None:
        """Residual and skip in one convolution; or in two, which are put together."""
        if not self._has(f"{wn}.skip_layers."):
            for i in range(layers):
                self._layer(f"{flow}.layer.{i}.out", f"{wn}.res_skip_layers.{i}")
            return
        for i in range(layers):
            ours, theirs = f"{flow}.layer.{i}.out", f"{wn}.skip_layers.{i}"
            if i == layers - 1:
                self._layer(ours, theirs)
                continue
            names = (f"{wn}.res_layers.{i}", theirs)
            self._join(f"{ours}.weight", names, [self.layers.weight(n, 3) for n in names])
            self._join(f"{ours}.bias", names, [self.layers.bias(n) for n in names])

    def _join(self, ours: str, names: Sequence[str], arrays: Sequence[AnyArray | None]) -> None:
        leaf = ours.rsplit(".", 1)[1]
        first, second = arrays
        if first is None or second is None:
            return
        if first.shape != second.shape:
            self.layers.misshapen(f"{names[0]}.{leaf}", first.shape, second.shape)
            return
        self._put(ours, f"{names[1]}.{leaf}", np.concatenate([first, second]))

    def check_shapes(self, tensors: Mapping[str, AnyArray], layout: Layout) -> None:
        """Report what has another shape than the layout says, by upstream's names."""
        specs = {spec.name: spec for spec in layout.tensors}
        reported: set[str] = set()
        for name, array in tensors.items():
            expected = specs[name].resolve(layout.dims)
            theirs = self._theirs[name]
            if theirs.startswith("convinv"):
                expected = expected[:2]
            wrong = len(expected) != array.ndim or any(
                e is not None and e != n for e, n in zip(expected, array.shape, strict=False)
            )
            if wrong and theirs not in reported:
                reported.add(theirs)
                shape, cut = array.shape, "" if ".cond_layer." not in theirs else " of each layer"
                self.layers.misshapen(f"{theirs}{cut}", shape, expected)


def _add_inverses(tensors: dict[str, AnyArray], flows: int) -> list[str]:
    """Add ``unmix``, the inverse of the stored (single precision) ``mix`` in double precision."""
    found = []
    for k in range(flows):
        mix: NDArray[np.float64] = tensors[f"flow.{k}.mix.weight"].astype("<f4").astype(np.float64)
        problem: str | None
        try:
            unmix = np.linalg.inv(mix)
            problem = inverse_problem(k, mix, unmix.astype("<f4"))
        except np.linalg.LinAlgError:
            problem = "singular"
        if problem is not None:
            found.append(f"the 1x1 convolution of flow {k} ('convinv.{k}.conv') has no inverse")
            continue
        tensors[f"flow.{k}.mix.weight"], tensors[f"flow.{k}.unmix.weight"] = mix, unmix
    return found


TENSORS = NamedTensors(pick_waveglow, convert_waveglow)
