"""What is done of a bulk synthesis: a file of JSON lines that only grows.

An output has its name before its line is written, so a process that is killed between the two
leaves an utterance that is done once more, with the same bytes; a line that was cut short is no
line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from pyvoc.errors import Error

__all__ = ["NAME", "Journal"]

NAME = "journal.jsonl"
"""Of the file in the folder of outputs."""


class Journal:
    """The journal of a folder, for the one process that holds the folder; a context manager.

    Parameters
    ----------
    folder
        Of the outputs.

    Attributes
    ----------
    done
        Output -> what was noted of it last: ``of`` (the utterance's identity), and ``bytes`` or
        ``error``.

    Raises
    ------
    Error
        The operating system refused.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.done: dict[str, dict[str, Any]] = {}
        try:
            self._file = open(self._path, "ab+")  # noqa: SIM115  (`__exit__` closes it)
            self._file.seek(0)
            whole = 0
            for line in self._file:
                if not line.endswith(b"\n"):
                    self._file.truncate(whole)
                    break
                whole += len(line)
                self._take(line)
        except OSError as error:
            raise Error(f"cannot write '{self._path}': {error.strerror}") from error

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            self.done[record["output"]] = record
        except (ValueError, RecursionError, TypeError, KeyError):
            pass  # a damaged line: what it stood for is done again

    def has(self, output: str, identity: str, path: Path) -> bool:
        """Whether an utterance is done, and its file as it was written."""
        record = self.done.get(output)
        if record is None or record.get("of") != identity or "bytes" not in record:
            return False
        try:
            return bool(path.stat().st_size == record["bytes"])
        except OSError:
            return False

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Note what became of utterances.

        Raises
        ------
        Error
            The operating system refused.
        """
        text = "".join(json.dumps(record) + "\n" for record in records)
        try:
            self._file.write(text.encode())
            self._file.flush()
        except OSError as error:
            raise Error(f"cannot write '{self._path}': {error.strerror}") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as failed:
            raise Error(f"cannot write '{self._path}': {failed.strerror}") from failed
