"""The packages that training needs."""

from __future__ import annotations

import importlib
from typing import Any

from pyvoc.errors import UnsupportedError

__all__ = ["require", "require_torch"]


def require(module: str, purpose: str, *, install: str = "'pyvoc-vocoder[train]'") -> Any:
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
