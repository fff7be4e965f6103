"""What is in a file: models, checkpoints, features, audio. What ``pyvoc info FILE`` shows."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pyvoc import voices
from pyvoc.convert.bundle import checkpoints_in
from pyvoc.convert.describe import describe
from pyvoc.convert.tensors import UnknownNetwork, find_loader
from pyvoc.errors import Error
from pyvoc.files import audio, features
from pyvoc.files.doubts import collect
from pyvoc.files.kinds import kind_of
from pyvoc.files.whole import open_file
from pyvoc.pickles import HEAD
from pyvoc.runtime.model import load

__all__ = ["inspect"]

_AUDIO_MAGIC = (b"RIFF", b"fLaC", b"OggS", b"FORM")


def inspect(path: str | os.PathLike[str], *, layout: str | None = None) -> dict[str, Any]:
    """Describe a file; its kind is told by its content, then by its suffix.

    Parameters
    ----------
    path
        A voice by name, a model (GGUF), a checkpoint, an audio file, or a feature file.
    layout
        Of a feature file; None recognises it.

    Returns
    -------
    dict
        `kind` is ``model``, ``checkpoint``, ``checkpoints`` (an archive that holds several),
        ``audio``, ``features``, or ``other``: a file that pyvoc does not read and can name;
        `path`, `bytes`; the rest goes with the kind.

    Raises
    ------
    Error
        The file cannot be read, is damaged, or is nothing that is known.
    """
    source = Path(voices.resolve(path))
    try:
        with open_file(source) as stream:
            head = stream.read(HEAD)
        size = source.stat().st_size
    except OSError as error:
        raise Error(f"cannot read '{source}': {error.strerror}") from error
    suffix = source.suffix.lower()
    if head[:4] == b"GGUF":
        found = _model(source)
    elif head[:4] in _AUDIO_MAGIC or suffix in audio.AUDIO_SUFFIXES:
        found = _audio(source)
    else:
        rows = suffix in (".f32", ".npy") or not head
        other = None if rows else kind_of(source)
        held = checkpoints_in(source) if head[:2] == b"PK" and not rows else ()
        if len(held) > 1:
            found = {"kind": "checkpoints", "checkpoints": list(held)}
        elif held:
            found = _checkpoint(source, "an archive of tensors")
        elif rows or (other is None and find_loader(head, size) is None):
            found = _features(source, layout)
        elif other is None or other.checkpoint:
            found = _checkpoint(source, "tensors" if other is None else other.what)
        else:
            found = {"kind": "other", "what": other.what, "advice": other.advice}
    return {"path": str(source), "bytes": size, **found}


def _model(source: Path) -> dict[str, Any]:
    model = load(source)
    described = model.describe()
    facts = {k: v for k, v in asdict(model.info).items() if k != "path"}
    kept = ("packed_bytes", "metadata", "plan", "tensors")
    return {"kind": "model", **facts, **{key: described[key] for key in kept}}


def _checkpoint(source: Path, what: str) -> dict[str, Any]:
    try:
        return {"kind": "checkpoint", **describe(source)}
    except UnknownNetwork as error:
        what = f"{what}, no model that pyvoc reads: {error.contents}"
        return {"kind": "other", "what": what, "advice": ""}


def _audio(source: Path) -> dict[str, Any]:
    with collect() as doubts:
        samples, rate = audio.read(source)
    return {
        "kind": "audio",
        "warnings": list(doubts.messages),
        "sample_rate": rate,
        "samples": len(samples),
        "seconds": round(len(samples) / rate, 4),
        "peak": float(np.abs(samples).max()),
        "rms": float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))),
    }


def _features(source: Path, layout: str | None) -> dict[str, Any]:
    rows = features.load(source, layout=layout)
    found = features.layout_of(rows)
    groups = {
        "cepstrum": rows[:, :18],
        "pitch": rows[:, found.pitch],
        "correlation": rows[:, found.correlation],
    }
    if found.lpc is not None:
        groups["lpc"] = rows[:, found.lpc : found.lpc + 16]
    return {
        "kind": "features",
        "layout": found.name,
        "dims": found.dims,
        "frames": len(rows),
        "seconds": round(len(rows) * features.HOP_LENGTH / features.SAMPLE_RATE, 4),
        "ranges": {name: [float(v.min()), float(v.max())] for name, v in groups.items()},
    }
