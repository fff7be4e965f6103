"""The processors that this process may use."""

from __future__ import annotations

import os

__all__ = ["allowed"]


def allowed() -> list[int]:
    """The logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
