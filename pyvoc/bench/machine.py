"""What one core of this machine can do; measured in a child process."""

from __future__ import annotations

import json
from typing import Any

from pyvoc import _pyvoc

native: Any = _pyvoc
Job = dict[str, Any]

_PEAK_SECONDS = 0.5
_PEAK_SHAPES = {"f32": (4, 96), "bf16": (4, 192), "int8": (3, 512)}
"""Panels of 16 rows, and columns: 24 KB each, which every L1 holds."""
_SLOTS = {"f32": "dense_f32", "bf16": "dense_bf16", "int8": "dense_i8"}


def measure(job: Job) -> Job:
    """Peaks and bandwidths of this core; job: ``l2_bytes``."""
    system = json.loads(native.system_info())
    rates = {
        precision: native.testing.kernel_rate(_SLOTS[precision], *shape, _PEAK_SECONDS)
        for precision, shape in _PEAK_SHAPES.items()
    }
    macs = {name: 16 * panels * cols for name, (panels, cols) in _PEAK_SHAPES.items()}
    cols = 128
    panels = max(4, job["l2_bytes"] // 2 // (64 * cols) // 4 * 4)
    l2_rate = native.testing.kernel_rate("dense_f32", panels, cols, _PEAK_SECONDS)
    return {
        "cpu": system["cpu"],
        "tier": system["active_tier"],
        "peak_gmacs": {name: rates[name] * macs[name] / 1e9 for name in rates},
        "l1_gbytes": rates["f32"] * macs["f32"] * 4 / 1e9,
        "l2_gbytes": l2_rate * 64 * cols * panels / 1e9,
    }
