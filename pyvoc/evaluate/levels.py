"""Level difference, and clicks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["CLICK_JUMP", "CLICK_RECIPE", "LEVEL_RECIPE", "clicks", "level_difference"]

Float64 = npt.NDArray[np.float64]

CLICK_JUMP = 0.5
"""Of full scale, between neighbouring samples."""
_NEAR_MS = 10
LEVEL_RECIPE = "level: 20 log10 of the output's rms over the reference's, whole aligned signals"
CLICK_RECIPE = (
    f"clicks: jumps of more than {CLICK_JUMP} of full scale between neighbouring samples of the "
    f"output with none in the reference within {_NEAR_MS} ms"
)


def level_difference(reference: Float64, output: Float64) -> float:
    """Level in dB of the output over the reference; neither may be silent."""
    return float(10 * np.log10((output**2).mean() / (reference**2).mean()))


def clicks(reference: Float64, output: Float64, rate: int) -> int:
    """Jumps of the output that the reference lacks; see :data:`CLICK_RECIPE`."""
    jumps = np.flatnonzero(np.abs(np.diff(output)) > CLICK_JUMP)
    known = np.flatnonzero(np.abs(np.diff(reference)) > CLICK_JUMP)
    near = rate * _NEAR_MS // 1000
    after = np.searchsorted(known, jumps - near)
    before = np.searchsorted(known, jumps + near, side="right")
    return int((after == before).sum())
