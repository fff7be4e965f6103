"""What one core of this machine can do; measured in a child process."""

from __future__ import annotations

import json
import math
from typing import Any

from pyvoc import _pyvoc

native: Any = _pyvoc
Job = dict[str, Any]

_PEAK_SECONDS = 0.5
_PEAKS = {
    "f32": (("conv_f32", 2, 256, 24),),
    "bf16": (("conv_bf16", 2, 256, 24), ("gated_conv_bf16", 2, 512, 24)),
    "int8": (("conv_i8", 4, 512, 24),),
}
"""Kernels, the faster of which counts: panels of 16 outputs, columns, rows. Weights stay in L1."""
_L1_SHAPE = (4, 96)
"""Panels and columns of a matrix that every L1 holds."""


def measure(job: Job) -> Job:
    """Peaks and bandwidths of this core; job: ``l2_bytes``."""
    system = json.loads(native.system_info())
    rate = native.testing.kernel_rate
    peaks = {
        precision: max(
            rate(slot, panels, cols, _PEAK_SECONDS, rows=rows) * 16 * panels * cols * rows
            for slot, panels, cols, rows in kernels
        )
        for precision, kernels in _PEAKS.items()
    }
    l1_rate = rate("dense_f32", *_L1_SHAPE, _PEAK_SECONDS)
    cols = 128
    panels = max(4, job["l2_bytes"] // 2 // (64 * cols) // 4 * 4)
    l2_rate = rate("dense_f32", panels, cols, _PEAK_SECONDS)
    return {
        "cpu": system["cpu"],
        "tier": system["active_tier"],
        "peak_gmacs": {precision: peak / 1e9 for precision, peak in peaks.items()},
        "l1_gbytes": l1_rate * 64 * math.prod(_L1_SHAPE) / 1e9,
        "l2_gbytes": l2_rate * 64 * cols * panels / 1e9,
    }
