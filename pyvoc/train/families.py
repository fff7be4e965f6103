"""The model families that can be trained (one line each), and the packages that training needs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyvoc.errors import Error, UnsupportedError

if TYPE_CHECKING:
    from pyvoc.train.config import TrainConfig
    from pyvoc.train.task import Data, Task

__all__ = ["FAMILIES", "build", "require", "require_torch"]

# name -> module with `build(config: TrainConfig) -> tuple[Task, Data]`
FAMILIES = {
    "lpcnet": "pyvoc.train.lpcnet.task",
}


def build(config: TrainConfig) -> tuple[Task, Data]:
    """The task and data of ``config.family``.

    Raises
    ------
    Error
        There is no such family, or it refuses its settings or its data.
    """
    if config.family not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise Error(f"there is no model family '{config.family}' to train; known are {known}")
    task: Task
    data: Data
    task, data = importlib.import_module(FAMILIES[config.family]).build(config)
    return task, data


def require(module: str, purpose: str, *, install: str = "'pyvoc[train]'") -> Any:
    """Import an optional package.

    Raises
    ------
    UnsupportedError
        It is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnsupportedError(
            f"{purpose} needs {module.partition('.')[0]}, which is not installed: "
            f"pip install {install}"
        ) from error


def require_torch() -> None:
    """Raise `UnsupportedError` where PyTorch is not installed."""
    require("torch", "training")
