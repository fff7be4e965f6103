"""What a run leaves to read: ``log.jsonl`` always, TensorBoard and a progress bar when asked.

Each entry of the log is one line, written whole and at once, so a crash costs at most the last one.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pyvoc.errors import Error
from pyvoc.train.requirements import require

__all__ = ["Log", "Progress", "read_log"]


class Log:
    """Writes entries: ``{"event": ..., "step": ..., ...}``.

    Parameters
    ----------
    folder
        Where ``log.jsonl`` and ``tensorboard/`` go; None: entries are dropped (other ranks).
    tensorboard
        Whether figures also go to TensorBoard.

    Raises
    ------
    UnsupportedError
        TensorBoard is wanted and not installed.
    Error
        The log cannot be opened.
    """

    def __init__(self, folder: Path | None, *, tensorboard: bool = False, step: int = 0) -> None:
        self._handle: int | None = None
        self._board: Any = None
        if folder is None:
            return
        if tensorboard:
            require("tensorboard", "--enable-tensorboard", install="tensorboard")
            board = require("torch.utils.tensorboard", "--enable-tensorboard")
            self._boards = folder / "tensorboard"
            with _writing(self._boards):
                self._board = board.SummaryWriter(str(self._boards), purge_step=step or None)
        self.path = folder / "log.jsonl"
        with _writing(self.path):
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            size = os.fstat(self._handle).st_size
            if size and os.pread(self._handle, 1, size - 1) != b"\n":
                os.write(self._handle, b"\n")  # after a torn line

    def write(self, event: str, step: int, **values: Any) -> None:
        """Add an entry; NaN and infinities become null.

        Raises
        ------
        Error
            The operating system refused.
        """
        if self._handle is None:
            return
        line = json.dumps(_plain({"event": event, "step": step, **values})) + "\n"
        with _writing(self.path):
            content = line.encode()
            while content:
                content = content[os.write(self._handle, content) :]
        if self._board is not None:
            with _writing(self._boards):
                for name, value in values.items():
                    if isinstance(value, float | int) and not isinstance(value, bool):
                        self._board.add_scalar(f"{event}/{name}", value, step)

    def sample(self, name: str, audio: Any, rate: int, step: int) -> None:
        """Give TensorBoard something to play: float32 [samples]."""
        if self._board is not None:
            with _writing(self._boards):
                self._board.add_audio(name, audio, step, sample_rate=rate)

    def sync(self) -> None:
        """Bring everything to the disk.

        Raises
        ------
        Error
            The operating system refused.
        """
        if self._handle is not None:
            with _writing(self.path):
                os.fsync(self._handle)
        if self._board is not None:
            with _writing(self._boards):
                self._board.flush()

    def close(self) -> None:
        """Close the files."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._board is not None:
            self._board.close()
            self._board = None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Error(f"cannot write '{path}': {error.strerror or error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The entries of a log as they count: without a torn line, and without those that a resumed run
    repeated (everything after the step it continued from).

    Raises
    ------
    Error
        The operating system refused.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise Error(f"cannot read '{path}': {error.strerror}") from error
    entries: list[dict[str, Any]] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
            continue
        if entry.get("event") == "start":
            entries = [old for old in entries if old["step"] <= entry["step"]]
        entries.append(entry)
    return entries


class Progress:
    """A progress bar on a terminal's stderr; nothing elsewhere.

    Parameters
    ----------
    total, done
        Steps.
    shown
        Whether this process may show one.
    """

    def __init__(self, total: int, done: int, *, shown: bool, stream: TextIO | None = None) -> None:
        stream = stream or sys.stderr
        self._bar: Any = None
        if shown and stream.isatty():
            tqdm = require("tqdm", "the progress bar")
            width = shutil.get_terminal_size().columns  # 80 where a terminal does not say
            self._bar = tqdm.tqdm(
                total=total, initial=done, unit="step", file=stream, ncols=min(width, 120)
            )

    def update(self, **figures: float) -> None:
        """One step more; the figures are shown where they are new."""
        if self._bar is None:
            return
        self._bar.update()
        if figures:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in figures.items()}, refresh=False)

    def say(self, text: str) -> None:
        """A line of text: above the bar, or simply on stderr."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
