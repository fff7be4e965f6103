"""What this machine offers to the runtime."""

from __future__ import annotations

import json
from typing import Any

from pyvoc import _pyvoc

__all__ = ["system_info"]


def system_info() -> dict[str, Any]:
    """This machine: version, cpu, tiers, the kernel table slot by slot, backends.

    Raises
    ------
    UnsupportedError
        ``PYVOC_ISA`` names an unknown tier or one that this machine lacks.
    """
    info: dict[str, Any] = json.loads(_pyvoc.system_info())
    return info
