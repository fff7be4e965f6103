"""What the child process of the feature extraction's benchmark does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.bench.programs import differences
from pyvoc.bench.timing import in_turns, timed
from pyvoc.files.features import HOP_LENGTH, SAMPLE_RATE, Extractor

native: Any = _pyvoc
Job = dict[str, Any]

_HOPS = 2000


def measure(job: Job) -> Job:
    """Feature extraction; job: ``pcm`` (path of .npy, int16), ``repeats``, ``peer``."""
    pcm: npt.NDArray[np.int16] = np.load(job["pcm"])
    signal = pcm.astype(np.float32) / np.float32(32768)
    extractor = Extractor("lpcnet36")

    def extract() -> None:
        extractor.reset()
        extractor.push(signal)

    with differences(job["peer"], "-features", pcm.astype("<i2")) as peer:
        extract()
        ours, theirs = in_turns(lambda: timed(extract), peer, job["repeats"])
    extractor.reset()
    hops = [
        timed(lambda at=at: extractor.push(signal[at : at + HOP_LENGTH]))  # type: ignore[misc]
        for at in range(0, min(len(signal), _HOPS * HOP_LENGTH), HOP_LENGTH)
    ]
    audio = len(pcm) / SAMPLE_RATE
    return {
        "xrt": [audio / seconds for seconds in ours],
        "peer_xrt": [audio / seconds for seconds in theirs],
        "hops_ms": [1e3 * seconds for seconds in hops],
        "tier": json.loads(native.system_info())["slots"]["correlate_f32"],
    }
