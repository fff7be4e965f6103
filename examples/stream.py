"""Streaming: frames in as they come, samples out as they are ready, with the delay that this costs.

    python examples/stream.py SPEECH.wav [MODEL]

Feeds 10 ms of speech at a time through extractor and model, as a live program would.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import pyvoc

BLOCK = 160  # samples, 10 ms


def main(speech: str, model_path: str) -> None:
    """Stream a file through a model and save ``<name>.streamed.wav``."""
    model = pyvoc.load(model_path)
    rate = model.info.sample_rate
    pcm = pyvoc.features.read_pcm(speech)
    extractor = pyvoc.features.Extractor(model=model)
    delay = extractor.latency_samples + model.info.latency_samples
    ahead = 1000 * model.info.latency_samples / rate
    print(f"delay: {1000 * delay / rate:.0f} ms, of which the model's look-ahead is {ahead:.0f} ms")

    blocks, slowest = [], 0.0
    with model.stream(seed=1) as stream:
        for start in range(0, len(pcm), BLOCK):
            started = time.perf_counter()
            stream.push(extractor.push(pcm[start : start + BLOCK]))
            blocks.append(stream.pull())
            slowest = max(slowest, time.perf_counter() - started)
        stream.push(extractor.flush())
        stream.flush()
        blocks.append(stream.pull())
    output = f"{Path(speech).stem}.streamed.wav"
    pyvoc.audio.write_wav(output, np.concatenate(blocks), rate)
    print(f"slowest block: {1000 * slowest:.2f} ms for {1000 * BLOCK / rate:.0f} ms of sound")
    print(output)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "default")
