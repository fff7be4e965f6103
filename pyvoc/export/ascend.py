"""What Ascend's tools are told about an exported graph: the lengths that it will meet.

ATC compiles a graph for lengths that are known beforehand, its "dynamic dims": one profile for
each, in which every dimension of the inputs that varies has its value. A clip's number of frames
follows from its number of samples, so nothing is extracted here.

CANN, "ATC command-line options": ``--input_shape``, ``--dynamic_dims``.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyvoc.container.mel import MelRecipe
from pyvoc.errors import Error, UnsupportedError
from pyvoc.export.registry import family_of
from pyvoc.files import audio
from pyvoc.files.mels import recipe_of
from pyvoc.runtime.info import ModelInfo
from pyvoc.runtime.model import load

__all__ = ["DynamicDims", "dynamic_dims"]

MOST_PROFILES = 100
"""That ATC takes."""


@dataclass(frozen=True)
class DynamicDims:
    """The lengths of some clips, as ATC and ais_infer take them.

    Attributes
    ----------
    model
        Model file whose graph it is.
    files, frames
        The clips, and how many frames each has.
    lengths
        Different numbers of frames, in ascending order.
    input_shape
        Of ``--input_shape``: -1 where lengths differ; numbers if there is one length only, since
        ATC wants two profiles or none.
    dynamic_dims
        Of ``--dynamic_dims``: profiles between semicolons, dimensions between commas.
    atc, ais_infer
        Commands with all that; the latter for the first clip.
    """

    model: str
    files: tuple[str, ...]
    frames: tuple[int, ...]
    lengths: tuple[int, ...]
    input_shape: str
    dynamic_dims: str
    atc: str
    ais_infer: str


def dynamic_dims(
    model: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    *,
    z_inside: bool = False,
) -> DynamicDims:
    """The lengths that a model's graph must be compiled for to take some clips.

    Parameters
    ----------
    model
        The model file that the graph was exported from; its mel recipe tells the frames.
    files
        Audio files. Another rate than the model's needs the ``soxr`` extra.
    z_inside
        The graph was exported so. It matters to models that start from noise.

    Returns
    -------
    DynamicDims

    Raises
    ------
    Error
        No clips; one that cannot be read, or is too short for a frame; more lengths than ATC takes.
    UnsupportedError
        The model's architecture has no graph, or starts from no noise that could be inside.
    """
    info = load(model).info
    family_of(f"pyvoc.{info.architecture}", info.path)
    if z_inside and not info.noise_channels:
        raise UnsupportedError(f"{info.path}: {info.architecture} starts from no noise")
    recipe = recipe_of(info.path)
    if not files:
        raise Error("no clips were given; expected audio files")
    frames = tuple(_frames(file, recipe) for file in files)
    lengths = tuple(sorted(set(frames)))
    if len(lengths) > MOST_PROFILES:
        raise Error(
            f"the {len(files)} clips have {len(lengths)} different lengths, {lengths[0]} to "
            f"{lengths[-1]} frames; ATC takes at most {MOST_PROFILES}: give fewer clips, or cut "
            "and pad them to a few lengths"
        )
    noise = not z_inside and bool(info.noise_channels)
    dims = ";".join(",".join(map(str, _varying(n, info, noise))) for n in lengths)
    single = len(lengths) == 1
    shape = _shape(lengths[0] if single else None, info, noise)
    name, first = Path(info.path).stem, Path(files[0])
    options = [
        f"--model={name}.onnx",
        f"--output={name}",
        "--framework=5",
        "--input_format=ND",
        f"--input_shape={shape}",
        *([] if single else [f"--dynamic_dims={dims}"]),
    ]
    mel, z = f"data/{first.stem}.bin", f"data/{first.stem}.z.bin"
    inference = [
        *("--model", f"{name}.om", "--input", f"{mel},{z}" if noise else mel),
        *([] if single else ["--dymDims", _shape(frames[0], info, noise)]),
        *("--output", "result", "--outfmt", "BIN", "--batchsize", "1"),
    ]
    return DynamicDims(
        model=info.path,
        files=tuple(str(file) for file in files),
        frames=frames,
        lengths=lengths,
        input_shape=shape,
        dynamic_dims=dims,
        atc=shlex.join(["atc", *options]) + " --soc_version=$SOC_VERSION",
        ais_infer=shlex.join(["python3", "ais_infer.py", *inference]),
    )


def _frames(file: str | os.PathLike[str], recipe: MelRecipe) -> int:
    samples = len(audio.read(file, rate=recipe.sample_rate)[0])
    frames = recipe.frames(samples)
    if frames < 1:
        raise Error(f"'{os.fspath(file)}' has {samples} samples: too short for a frame")
    return frames


def _varying(frames: int, info: ModelInfo, noise: bool) -> list[int]:
    """The dimensions of the inputs that depend on the number of frames, in their order."""
    return [frames, frames * info.hop_length // sum(info.noise_channels)] if noise else [frames]


def _shape(frames: int | None, info: ModelInfo, noise: bool) -> str:
    """The shapes of the inputs, as both tools spell them; None: any number of frames."""
    last = [-1, -1] if frames is None else _varying(frames, info, noise)
    shapes = [f"mel:1,{info.layout_dims},{last[0]}"]
    if noise:
        shapes.append(f"z:1,{sum(info.noise_channels)},{last[1]}")
    return ";".join(shapes)
