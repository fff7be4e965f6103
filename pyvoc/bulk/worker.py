"""``python -m pyvoc.bulk.worker``: speaks groups of utterances, one after another.

A line of JSON on standard input is a group of one model and the same settings; a line of JSON on
standard output says what became of each. It ends when its input does, which is also when whoever
started it has died.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyvoc.errors import Error
from pyvoc.files.doubts import collect
from pyvoc.files.failures import Failures
from pyvoc.files.outputs import create_folder
from pyvoc.runtime import synthesis
from pyvoc.runtime.model import Model, load

__all__ = ["Speaker", "main"]

Pair = tuple[str, str]
"""Input and output."""


class Speaker:
    """Speaks groups; keeps the last model.

    Parameters
    ----------
    strict
        Nothing doubtful is spoken.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._loaded: tuple[str, str, Model] | None = None

    def speak(
        self, model: str, precision: str, settings: dict[str, Any], pairs: Sequence[Pair]
    ) -> dict[str, Any]:
        """Speak utterances of one model and the same settings, in lockstep.

        Returns
        -------
        dict
            ``results``, for each pair ``{"bytes": of the output}`` or ``{"error": sentence}``;
            ``audio_seconds``; ``warnings``.
        """
        results: dict[str, dict[str, Any]] = {}
        seconds = 0.0
        warnings: list[str] = []
        todo = [list(pairs)]
        while todo:
            group = todo.pop()
            try:
                report = self._once(model, precision, settings, group)
            except (Error, OSError, MemoryError) as error:
                if len(group) > 1:  # one of them, or its output: each for itself
                    todo += [[pair] for pair in group]
                    continue
                results[group[0][1]] = {"error": str(error) or "out of memory"}
                continue
            seconds += report.audio_seconds
            warnings += report.warnings
            failed = {failure.input: failure.error for failure in report.failed}
            for source, output in group:
                if output in report.outputs:
                    results[output] = {"bytes": os.stat(output).st_size}
                else:
                    results[output] = {"error": failed[source]}
        return {
            "results": [results[output] for _, output in pairs],
            "audio_seconds": seconds,
            "warnings": warnings,
        }

    def _once(
        self, model: str, precision: str, settings: dict[str, Any], group: Sequence[Pair]
    ) -> synthesis.Report:
        for folder in {Path(output).parent for _, output in group}:
            create_folder(folder)
        with collect(strict=self._strict):
            return synthesis.from_files(
                self._model(model, precision),
                [source for source, _ in group],
                [output for _, output in group],
                failures=Failures(keep_going=True),
                **settings,
            )

    def _model(self, path: str, precision: str) -> Model:
        if self._loaded is None or self._loaded[:2] != (path, precision):
            self._loaded = None  # two need not be in memory
            self._loaded = (path, precision, load(Path(path), precision=precision))
        return self._loaded[2]


def main() -> None:
    """Serve standard input; see the module."""
    # What is printed by accident must not come between the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    speaker: Speaker | None = None
    try:
        replies.write("{}\n")  # it has started
        replies.flush()
        for line in sys.stdin:
            job = json.loads(line)
            if speaker is None:
                speaker = Speaker(strict=job["strict"])
            pairs = [(source, output) for source, output in job["pairs"]]
            reply = speaker.speak(job["model"], job["precision"], job["settings"], pairs)
            replies.write(json.dumps(reply) + "\n")
            replies.flush()
    except BrokenPipeError:
        os._exit(1)  # whoever asked is gone; what waits in `replies` is nobody's


if __name__ == "__main__":
    main()
