"""Checkpoints: everything that the next step depends on, written atomically, read with suspicion.

A checkpoint is PyTorch's zip format with tensors, numbers and text only; it is read with
``weights_only``, after a check of every checksum. Randomness needs no place in it: data and noise
are functions of the step (`pyvoc.train.loop`).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pyvoc.errors import Error, ModelError, listed
from pyvoc.files.atomic import atomic_open
from pyvoc.files.whole import read_whole
from pyvoc.pickles import load_torch
from pyvoc.train.task import ONLY, State

__all__ = ["Checkpoint", "Folder", "is_checkpoint", "load_into", "parse", "read_bytes", "save"]

FORMAT = "pyvoc.train.checkpoint"
VERSION = 2
_ONE_OPTIMIZER = 1
"""The version in which ``optimizer`` was the state of the only one there could be."""
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Checkpoint:
    """What a run continues from.

    Parameters
    ----------
    family
        Model family.
    step
        Updates done, counted from epoch 1.
    config
        The run's settings.
    module, optimizers, task
        Their state dicts, those of the optimizers by name; ``task`` is what the module does not
        hold.
    state
        Carried recurrent state of every row of the global batch.
    progress
        Of the loop: the best validation loss and how long ago it was, the loss scale of fp16.
    """

    family: str
    step: int
    config: dict[str, Any]
    module: dict[str, torch.Tensor]
    optimizers: dict[str, dict[str, Any]]
    task: dict[str, Any]
    state: State
    progress: dict[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; it appears complete or not at all.

    Raises
    ------
    Error
        The operating system refused (no space, no permission); what was there before is intact.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        **{name: getattr(checkpoint, name) for name in ("family", "step", "module")},
        **{name: getattr(checkpoint, name) for name in ("optimizers", "task", "state", "progress")},
        "config": json.dumps(checkpoint.config),
    }
    memory = io.BytesIO()  # torch.save straight to a full disk may end the process
    torch.save(content, memory)
    with atomic_open(path) as file:
        file.write(memory.getbuffer())


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A file's content, or an `Error`."""
    return read_whole(path)


def is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a checkpoint of this program, or damaged so that it might be one.

    Raises
    ------
    Error
        The operating system refused to read.
    """
    try:
        with open(path, "rb") as file:
            if file.read(4) != _ZIP:
                return False
    except OSError as error:
        raise Error(f"cannot read '{path}': {error.strerror}") from error
    try:
        found = load_torch(path, select=lambda tree: isinstance(tree, dict) and tree.get("format"))
    except ModelError:
        return True
    return bool(found == FORMAT)


def parse(content: bytes, source: str) -> Checkpoint:
    """Read and check a checkpoint; nothing in it is executed.

    Parameters
    ----------
    content
        The file's.
    source
        Its name, for messages.

    Raises
    ------
    ModelError
        It is damaged, of another program or a newer version.
    """
    _check_archive(content, source)
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"'{source}' is refused: it holds more than tensors, numbers and text"
        ) from error
    except Exception as error:  # a damaged archive raises whatever its reader stumbles over
        raise ModelError(f"'{source}' is no readable checkpoint: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ModelError(f"'{source}' is a PyTorch file, but no checkpoint of pyvoc train")
    if found.get("version") == _ONE_OPTIMIZER:
        found = {**found, "version": VERSION, "optimizers": {ONLY: found.get("optimizer")}}
    if found.get("version") != VERSION:
        raise ModelError(
            f"'{source}' has checkpoint version {found.get('version')!r}, expected {VERSION}"
        )
    kinds = {"family": str, "step": int, "config": str}
    kinds |= dict.fromkeys(("module", "optimizers", "task", "state", "progress"), dict)
    for name, kind in kinds.items():
        if not isinstance(found.get(name), kind):
            raise ModelError(f"'{source}' is damaged: '{name}' is no {kind.__name__}")
    if not all(isinstance(state, dict) for state in found["optimizers"].values()):
        raise ModelError(f"'{source}' is damaged: 'optimizers' holds other things than states")
    for part in ("module", "state"):
        for name, tensor in found[part].items():
            if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
                raise ModelError(f"'{source}' is damaged: '{part}' holds other things than tensors")
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise ModelError(f"'{source}': tensor '{name}' is not finite")
    try:
        config = json.loads(found["config"])
    except ValueError as error:
        raise ModelError(f"'{source}' is damaged: its settings are no JSON") from error
    if not isinstance(config, dict) or found["step"] < 0:
        raise ModelError(f"'{source}' is damaged: its settings or its step are impossible")
    values = {name: found[name] for name in kinds}
    return Checkpoint(**{**values, "config": config})


def _check_archive(content: bytes, source: str) -> None:
    """Checksums and sizes of the zip archive, which PyTorch itself does not look at."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
            packed = any(entry.compress_type for entry in archive.infolist())
            broken = None if packed or total > len(content) else archive.testzip()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"'{source}' is no readable checkpoint: {error}") from error
    if packed or total > len(content):
        raise ModelError(f"'{source}' is refused: its archive is compressed, ours never are")
    if broken is not None:
        raise ModelError(f"'{source}' is damaged: the checksum of '{broken}' is wrong")


def load_into(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Fill a module; every tensor must be there, with its shape and type.

    Raises
    ------
    ModelError
        Lists what is missing, unexpected or of another size; the module is unchanged.
    """
    own = module.state_dict()
    problems = [f"'{name}' is missing" for name in own if name not in tensors]
    problems += [f"'{name}' is unexpected" for name in tensors if name not in own]
    for name in own.keys() & tensors.keys():
        found, expected = tensors[name], own[name]
        if found.shape != expected.shape or found.dtype != expected.dtype:
            problems.append(
                f"'{name}' is {found.dtype} {list(found.shape)}, "
                f"expected {expected.dtype} {list(expected.shape)}"
            )
    if problems:
        shown = "".join(f"\n  - {problem}" for problem in listed(sorted(problems)))
        raise ModelError(f"'{source}' is a checkpoint of another model:{shown}")
    module.load_state_dict(tensors)


class Folder:
    """The checkpoints of a run: ``checkpoint-<step>.pt``, ``best.pt`` and the pointer ``latest``.

    Parameters
    ----------
    path
        ``model_dir``.
    keep
        How many checkpoints stay beside the best.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        self._keep = keep

    def name(self, step: int) -> Path:
        """File name of the checkpoint after a step."""
        return self.path / f"checkpoint-{step:09d}.pt"

    @property
    def best(self) -> Path:
        """File name of the checkpoint with the best validation loss."""
        return self.path / "best.pt"

    def checkpoints(self) -> list[Path]:
        """Those there are, oldest first."""
        return sorted(self.path.glob("checkpoint-?????????.pt"))

    def latest(self) -> Path | None:
        """The checkpoint that ``latest`` names; where it names none the newest, then the best.

        Raises
        ------
        Error
            ``latest`` cannot be read.
        """
        pointer = self.path / "latest"
        if pointer.exists():
            name = read_bytes(pointer)[:256].decode(errors="replace").strip()
            target = self.path / Path(name).name
            if name and target.is_file():
                return target
        found = self.checkpoints()
        if found:
            return found[-1]
        return self.best if self.best.is_file() else None

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, point ``latest`` to it and remove what is old.

        Raises
        ------
        Error
            The operating system refused; the checkpoints that were there are intact.
        """
        path = self.name(checkpoint.step)
        save(path, checkpoint)
        with atomic_open(self.path / "latest") as file:
            file.write(f"{path.name}\n".encode())
        older = [p for p in self.checkpoints() if p != path]
        for old in older[: max(0, len(older) - self._keep + 1)]:
            for suffix in (".pt", ".gguf"):
                with contextlib.suppress(OSError):
                    old.with_suffix(suffix).unlink()
        return path
