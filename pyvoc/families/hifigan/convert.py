"""HiFi-GAN's generator from the checkpoints of upstream and of what descends from it.

Kernels are in the tensors; upsampling rates and dilations are not: they come from the settings that
lie in or beside a checkpoint, or, where those are missing, are the published networks'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pyvoc.container.base import raise_problems
from pyvoc.container.mel import HIFIGAN as RECIPE
from pyvoc.container.mel import NVIDIA, MelRecipe
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.layers import Layers, layer_of, squeezed
from pyvoc.convert.settings import NO_SETTINGS, Settings
from pyvoc.convert.tensors import NamedTensors
from pyvoc.convert.tree import levels
from pyvoc.errors import Error
from pyvoc.families.hifigan.names import Named, count, find_generator, other_network
from pyvoc.families.hifigan.spec import HIFIGAN, HifiganSettings, size_problems, written
from pyvoc.files.npy import parse_npy
from pyvoc.files.whole import read_whole

_MOST_STATISTICS = 1 << 20  # bytes
_PAIRED, _SINGLE = [1, 3, 5], {3: [1, 2], 5: [2, 6], 7: [3, 12]}
"""Dilations of the published networks: with pairs of convolutions, and without by the kernel."""
PARALLEL_WAVEGAN = replace(
    RECIPE, name="custom", pad=512, epsilon=0.0, fmin=80.0, fmax=7600.0, log="log10", floor=1e-10
)


def pick_hifigan(tree: Any) -> tuple[dict[str, Any], Named, str] | None:
    """Find a generator in a checkpoint's contents.

    Returns
    -------
    tuple or None
        The generator's tensors and names, and why it is another network's (empty: it is not); None
        when there is no generator.
    """
    for level in levels(tree):
        names = list(level.names())
        named = find_generator(names)
        if named is not None:
            near = [name for name in names if name.startswith(named.prefix)]
            arrays = {short: level.table[full] for short, full in named.names.items()}
            for buffer in ("mean", "scale"):
                if f"{named.prefix}{buffer}" in names:
                    arrays[buffer] = level.table[f"{named.prefix}{buffer}"]
            return arrays, named, other_network(near) or ""
    return None


def convert_hifigan(
    arrays: Mapping[str, AnyArray],
    named: Named,
    other: str,
    *,
    path: Path,
    container: str,
    settings: Settings = NO_SETTINGS,
) -> Checkpoint:
    """Bring a generator to the terms of our spec.

    Parameters
    ----------
    arrays, named, other
        What `pick_hifigan` found, the tensors read.
    path
        Of the checkpoint; ``stats.npy`` is looked for beside it.
    container
        Name of the file's format, for ``pyvoc.source.format``.
    settings
        What is said of the model besides.

    Raises
    ------
    ModelError
        Tensors are missing, unexpected, misshapen or not finite, the settings contradict them, or
        the network is another one; one error lists all.
    """
    if other:
        raise_problems(str(path), [f"the generator has {other}: it is not a plain HiFi-GAN"])
    naming, arrays = named.naming, dict(arrays)
    statistics: dict[str, AnyArray] = {
        name: arrays.pop(name) for name in ("mean", "scale") if name in arrays
    }
    layers = Layers(squeezed(arrays) if naming.upstream == "dle" else arrays, named.prefix)
    stages, blocks, paired = count(
        named, [layer for name in arrays if (layer := layer_of(name)) is not None]
    )
    found: dict[str, AnyArray] = {}
    for ours, theirs in their_layers(named, stages, blocks, paired).items():
        weight, bias = layers.weight(theirs, 3), layers.bias(theirs)
        if weight is not None and bias is not None:
            found |= {f"{ours}.weight": weight, f"{ours}.bias": bias}
    layers.finish()
    problems = layers.problems
    if problems:
        raise_problems(str(path), problems)
    notes: list[str] = []
    if named.others - len(statistics):
        notes.append(
            f"{named.others - len(statistics)} tensors that are not the generator's were left out"
        )
    bands = int(found["conv_in.weight"].shape[1])
    found |= _statistics(statistics, naming.upstream, bands, path, settings, problems)
    model, rate_from = _settings(named, found, stages, blocks, paired, settings, notes, problems)
    if problems:
        raise_problems(str(path), problems)
    metadata = model.metadata()
    layout = HIFIGAN.layout({name: a.shape for name, a in found.items()}, metadata)
    problems += size_problems(layout.dims, metadata)
    if problems:
        raise_problems(str(path), problems)
    return Checkpoint(
        HIFIGAN,
        found,
        metadata,
        f"{naming.upstream}.{container}",
        notes=tuple(notes),
        rate_from=rate_from,
    )


def their_layers(named: Named, stages: int, blocks: Sequence[int], paired: bool) -> dict[str, str]:
    """From our layers to theirs."""
    theirs = named.naming
    found = {"conv_in": theirs.conv_in}
    for k in range(stages):
        found[f"stage.{k}.up"] = theirs.up.format(k=k)
        for j, many in enumerate(blocks):
            for i in range(many):
                block = f"stage.{k}.chain.{j}.block.{i}"
                single = "1" if theirs.upstream == "parallel_wavegan" else ""
                first = theirs.convolution(k, j, len(blocks), i, "1" if paired else single)
                found[f"{block}.first"] = first
                if paired:
                    found[f"{block}.second"] = theirs.convolution(k, j, len(blocks), i, "2")
    found["conv_out"] = theirs.conv_out
    return found


def _statistics(
    buffers: Mapping[str, AnyArray],
    upstream: str,
    bands: int,
    path: Path,
    settings: Settings,
    problems: list[str],
) -> dict[str, AnyArray]:
    """Mean and, inverted, standard deviation of the mel's bands, where the network wants them."""
    if upstream == "transformers" and settings.text("normalize_before") not in (None, "True"):
        return {}
    mean, deviation = buffers.get("mean"), buffers.get("scale")
    if mean is None and upstream == "parallel_wavegan":
        beside = path.with_name("stats.npy")
        if not beside.is_file():
            problems.append(
                "the network reads mels of mean 0 and variance 1, and neither it nor 'stats.npy' "
                "beside it says of which mean and variance they were (a 'stats.h5' can be saved "
                "as one: numpy.save('stats.npy', numpy.stack([mean, scale])))"
            )
            return {}
        try:
            statistics = parse_npy(read_whole(beside, most=_MOST_STATISTICS), beside)
        except Error as error:
            problems.append(str(error))
            return {}
        if statistics.dtype.kind != "f" or statistics.shape != (2, bands):
            problems.append(f"'{beside}' is {list(statistics.shape)}, expected [2, {bands}] floats")
            return {}
        mean, deviation = statistics
    if mean is None or deviation is None:
        return {}
    shape = (bands,)
    if mean.shape != shape or deviation.shape != shape:
        problems.append(f"the mel's mean and scale are not of {bands} bands")
        return {}
    mean, deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)
    if not np.isfinite(mean).all() or not (np.isfinite(deviation) & (deviation > 0)).all():
        problems.append("the mel's mean and scale are not finite and positive")
        return {}
    return {"input.mean": mean, "input.scale": 1.0 / deviation}


def _settings(
    named: Named,
    found: Mapping[str, AnyArray],
    stages: int,
    blocks: Sequence[int],
    paired: bool,
    settings: Settings,
    notes: list[str],
    problems: list[str],
) -> tuple[HifiganSettings, str]:
    """What the tensors do not say, and who says the sample rate."""
    upstream = named.naming.upstream
    kernels = [int(found[f"stage.{k}.up.weight"].shape[2]) for k in range(stages)]
    taps = [
        int(found[f"stage.0.chain.{j}.block.0.first.weight"].shape[2]) for j in range(len(blocks))
    ]
    channels, bands = (int(n) for n in found["conv_in.weight"].shape[:2])
    sizes = {"upsample_initial_channel": channels}
    own = settings.about(sizes, bands=bands)
    _inputs(settings.about(sizes), channels, bands, problems)
    ratios = own.numbers("upsample_rates", "upsample_scales", "upsample_factors")
    hop = own.whole("hop_size")
    if ratios is None:
        ratios = [kernel // 2 for kernel in kernels]
        notes.append(
            "nothing says the upsampling rates (no config beside the checkpoint): they are taken "
            f"for half the kernels, {written(ratios)}"
        )
    dilations = own.numbers("resblock_dilation_sizes", "resblock_dilations")
    if dilations is None:
        usual = [_PAIRED if paired else _SINGLE.get(tap, [1, 3]) for tap in taps]
        dilations = [
            [*chain, *range(len(chain), 99)][:n] for chain, n in zip(usual, blocks, strict=True)
        ]
        notes.append(
            "nothing says the dilations (no config beside the checkpoint): they are taken for the "
            f"published networks', {', '.join(map(written, dilations))}"
        )
    if not _fits(ratios, dilations, stages, blocks):
        problems.append(
            f"its settings say upsampling rates {ratios} and dilations {dilations}, but its "
            f"tensors have {stages} stages and chains of {list(blocks)} blocks"
        )
        return HifiganSettings(), ""
    if hop not in (None, math.prod(ratios)):
        problems.append(
            f"its settings say upsampling rates {ratios}, which make {math.prod(ratios)} samples "
            f"of a frame, and a hop_size of {hop}"
        )
        return HifiganSettings(), ""
    cuts = []
    for k, (ratio, kernel) in enumerate(zip(ratios, kernels, strict=True)):
        if upstream == "parallel_wavegan":
            cuts.append(ratio // 2 + ratio % 2)
            continue
        if (kernel - ratio) % 2:
            problems.append(
                f"stage {k} upsamples by {ratio} with a kernel of {kernel}: upstream's network "
                "makes one sample more than that, and no other has been seen; use a kernel that is "
                "odd where the rate is"
            )
        cuts.append(max(kernel - ratio, 0) // 2)
    recipe, rate_from = settings.recipe(
        _usual(upstream),
        bands=bands,
        hop=math.prod(ratios),
        notes=notes,
        problems=problems,
        sizes=sizes,
    )
    problems += [f"the mel recipe: {problem}" for problem in recipe.problems()]
    model = HifiganSettings(
        recipe,
        "reflect" if named.naming.reflect else "zero",
        paired,
        ratios=written(ratios),
        cuts=written(cuts),
        dilations=", ".join(map(written, dilations)),
    )
    return model, rate_from


def _inputs(settings: Settings, channels: int, bands: int, problems: list[str]) -> None:
    """Refuse a network that reads more than mels, where its own settings tell."""
    said = settings.whole("num_mels")
    if settings.whole("upsample_initial_channel") == channels and said is not None and said < bands:
        problems.append(
            f"its settings say {said} mel bands, but the network reads {bands} rows: what the "
            f"{bands - said} besides are (a pitch, a speaker) pyvoc cannot give it"
        )


def _usual(upstream: str) -> MelRecipe:
    return {"parallel_wavegan": PARALLEL_WAVEGAN, "speechbrain": NVIDIA}.get(upstream, RECIPE)


def _fits(ratios: Any, dilations: Any, stages: int, blocks: Sequence[int]) -> bool:
    """Whether settings are lists of positive numbers as long as the tensors want them."""

    def whole(values: Any, n: int) -> bool:
        return (
            isinstance(values, list)
            and len(values) == n
            and all(type(value) is int and 0 < value <= 1024 for value in values)
        )

    return (
        whole(ratios, stages)
        and isinstance(dilations, list)
        and len(dilations) == len(blocks)
        and all(whole(chain, n) for chain, n in zip(dilations, blocks, strict=True))
    )


TENSORS = NamedTensors(pick_hifigan, convert_hifigan)
