#!/usr/bin/env python3
"""Resample recordings for training: FOLDER/*.wav -> OUT/train and OUT/validation, 16 kHz s16 mono.

The last clips by name (three unless told otherwise) are held out for validation. Silences and
levels stay as they are; a sample that resampling takes past full scale is an error, not a clip
that nobody hears of. A second run writes the same files again.

Needs numpy, soundfile and soxr (the extra ``io`` of pyvoc).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16000  # Hz


def resampled(path: Path) -> np.ndarray:
    """The clip at 16 kHz, int16 [samples]; rounded to nearest, no dither, level unchanged."""
    audio, rate = soundfile.read(path, dtype="float64", always_2d=True)
    if audio.shape[1] != 1:
        raise ValueError(f"{path}: expected one channel, found {audio.shape[1]}")
    if rate < RATE:
        raise ValueError(f"{path}: expected at least {RATE} Hz, found {rate} Hz")
    if not np.isfinite(audio).all():
        raise ValueError(f"{path}: not a finite signal")
    samples = np.rint(32768.0 * soxr.resample(audio[:, 0], rate, RATE, quality="VHQ"))
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        raise ValueError(f"{path}: silent or empty")
    if peak > 32767.0:
        raise ValueError(
            f"{path}: {20 * np.log10(peak / 32768):.2f} dB over full scale at {RATE} Hz"
        )
    return samples.astype(np.int16)


def prepare(folder: Path, out: Path, *, held_out: int) -> dict[str, float]:
    """Seconds written per part."""
    paths = sorted(folder.glob("*.wav"))
    if len(paths) <= held_out:
        raise ValueError(f"{folder}: expected more than {held_out} *.wav, found {len(paths)}")
    split = len(paths) - held_out
    seconds = {}
    for part, clips in (("train", paths[:split]), ("validation", paths[split:])):
        (out / part).mkdir(parents=True, exist_ok=True)
        seconds[part] = 0.0
        for path in clips:
            samples = resampled(path)
            target = out / part / path.name
            soundfile.write(f"{target}.part", samples, RATE, format="WAV", subtype="PCM_16")
            os.replace(f"{target}.part", target)
            seconds[part] += len(samples) / RATE
    return seconds


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="recordings, mono, 16 kHz or more")
    parser.add_argument("out", type=Path, help="gets train/ and validation/")
    parser.add_argument("--held-out", type=int, default=3, help="clips (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        seconds = prepare(options.folder, options.out, held_out=options.held_out)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"prepare: {error}", file=sys.stderr)
        return 1
    for part, length in seconds.items():
        print(f"{options.out / part}: {length:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
