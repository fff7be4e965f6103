"""Silence behind the last frame, for networks that look ahead: spoken, and then cut off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.files import mels
from pyvoc.runtime.info import ModelInfo

__all__ = ["tail_of"]


def tail_of(info: ModelInfo, options: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """The silent frames [n, dims] that checked options ask for behind the last one."""
    frames = options.get("tail_frames", 0)
    if info.mel is None:
        return np.empty((0, info.feature_dims), np.float32)
    return mels.of_amplitudes(np.zeros((frames, info.mel.bands)), info.mel)
