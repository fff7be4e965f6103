"""What goes beside a checkpoint: the exported model, and speech from it.

A failure here does not end the run, for the checkpoint is on the disk already: it is reported and
logged. Only the last export, the run's result, must succeed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from pyvoc.errors import Error
from pyvoc.files.outputs import create_folder
from pyvoc.train.checkpoint import Checkpoint, Folder, read_bytes, save
from pyvoc.train.config import TrainConfig
from pyvoc.train.log import Log
from pyvoc.train.samples import write_samples
from pyvoc.train.task import Task

__all__ = ["Publisher"]


class Publisher:
    """Exports models and samples.

    Parameters
    ----------
    config, task
        The run's.
    log
        Where it is written down.
    say
        Shows a line of text to the user.
    """

    def __init__(
        self, config: TrainConfig, task: Task, log: Log, say: Callable[[str], None]
    ) -> None:
        self._config, self._task, self._log, self._say = config, task, log, say

    def export(self, target: Path, checkpoint: str, step: int) -> str:
        """Write the module as it is now; returns the file's name.

        Raises
        ------
        Error
            The family or the operating system refused.
        """
        metadata = {
            "general.name": f"{self._config.family} (pyvoc train)",
            "pyvoc.source.format": "pyvoc-train",
            "pyvoc.source.sha256": hashlib.sha256(read_bytes(checkpoint)).hexdigest(),
            "pyvoc.training.step": step,
        }
        create_folder(target.parent)
        self._task.export(str(target), precision=self._config.precision, metadata=metadata)
        return str(target)

    def publish(self, checkpoint: Path, step: int) -> None:
        """Model and samples of a checkpoint that was just written."""
        if not self._config.export_checkpoints:
            return
        try:
            model = self.export(checkpoint.with_suffix(".gguf"), str(checkpoint), step)
            if self._config.samples:
                samples = self._task.samples(model)
                write_samples(checkpoint.parent / "samples" / f"step-{step:09d}", samples)
                for sample in samples:
                    self._log.sample(sample.name, sample.audio, sample.rate, step)
        except Error as error:
            self._warn(step, f"'{checkpoint}' was written, but not its model or speech: {error}")

    def best(self, folder: Folder, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and its model, as the best so far.

        Raises
        ------
        Error
            The checkpoint could not be written; the best before it is intact.
        """
        save(folder.best, checkpoint)
        if not self._config.export_checkpoints:
            return
        try:
            self.export(folder.best.with_suffix(".gguf"), str(folder.best), checkpoint.step)
        except Error as error:
            message = f"'{folder.best}' was written, but not its model: {error}"
            self._warn(checkpoint.step, message)

    def _warn(self, step: int, message: str) -> None:
        self._log.write("warning", step, message=message)
        self._say(f"pyvoc train: {message}")
