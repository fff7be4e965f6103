"""Training: one loop for every model family, on one device or many.

Importing this package loads nothing heavy; PyTorch (extra ``train``) is imported by the modules
that compute with it, which `train` does when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyvoc.train.config import TrainConfig
from pyvoc.train.mapping import from_mapping

if TYPE_CHECKING:
    from pyvoc.train.position import TrainResult

__all__ = ["TrainConfig", "from_mapping", "train"]


def train(config: TrainConfig, *, resume: str | None = None) -> TrainResult:
    """Train a model; the library call behind ``pyvoc train``.

    Parameters
    ----------
    config
        What to train, on what, how.
    resume
        A checkpoint to continue from, ``latest`` (that of ``config.model_dir``), ``auto`` (the same
        if there is one), or None to start.

    Returns
    -------
    TrainResult
        Where it ended, why, and how fast it was.

    Raises
    ------
    UnsupportedError
        PyTorch, the device or an optional package is not there.
    Error
        Settings, data or checkpoints are wrong, the loss became NaN, or the disk is full.
    """
    from pyvoc.train.requirements import require_torch

    require_torch()
    from pyvoc.train.session import run

    return run(config, resume=resume)
