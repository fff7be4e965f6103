#!/usr/bin/env python3
"""Make the training data of the bundled voices: OUT/{22050,16000}/{train,validation}/CORPUS.

* ``kathleen`` (CC0, one woman): brought to the level of LJ Speech by one gain for the speaker, its
  steady noise taken down by spectral subtraction (``--reduction 0`` leaves it); the last 50
  sentences are held out.
* ``ljspeech`` (public domain, one woman): as it is; the last three clips are held out.
* ``librispeech`` (CC BY 4.0, 105 speakers): as it is, at 16 kHz only, since there is nothing above
  8 kHz in it; the last 8 of the files are held out.

A second run writes the same files again. Needs numpy, soundfile and soxr.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATES = (22050, 16000)  # Hz
KATHLEEN_GAIN = 10.0 ** (9.0 / 20.0)  # its speech is 9.6 dB below LJ Speech's
PEAK = 0.98  # resampling may raise a peak: such a clip is turned down to this
FFT, HOP = 1024, 256  # of the spectral subtraction, samples at 24 kHz


def noise_spectrum(clips: Iterable[np.ndarray]) -> np.ndarray:
    """Power of a speaker's steady noise, float64 [FFT / 2 + 1]: mean over the quietest frames."""
    quiet = []
    for clip in clips:
        power = np.abs(_frames(clip)) ** 2
        level = power.sum(axis=1)
        quiet.append(power[level <= np.quantile(level, 0.05)])
    return np.concatenate(quiet).mean(axis=0)


def _window() -> np.ndarray:
    return np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT))


def _frames(clip: np.ndarray) -> np.ndarray:
    padded = np.pad(clip, FFT)
    view = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    return np.fft.rfft(view * _window(), axis=1)


def subtract(clip: np.ndarray, noise: np.ndarray, reduction: float) -> np.ndarray:
    """Spectral subtraction, float64 [samples] at 24 kHz; no bin falls by more than `reduction` dB.

    The signal-to-noise ratio that the gain follows is smoothed over time (decision-directed,
    Ephraim and Malah 1984), so that no musical tones are left.
    """
    spectra = _frames(clip)
    floor = 10.0 ** (-reduction / 20.0)
    posterior = np.abs(spectra) ** 2 / noise
    gains = np.empty_like(posterior)
    before = np.maximum(posterior[0] - 1.0, 0.0)
    for i, ratio in enumerate(posterior):
        prior = 0.96 * before + 0.04 * np.maximum(ratio - 1.0, 0.0)
        gains[i] = np.maximum(prior / (1.0 + prior), floor)
        before = gains[i] ** 2 * ratio
    blocks = np.fft.irfft(spectra * gains, axis=1) * _window()
    out = np.zeros(FFT + HOP * len(blocks))
    for i, block in enumerate(blocks):
        out[i * HOP : i * HOP + FFT] += block
    return out[FFT : FFT + len(clip)] * (2.0 * HOP / FFT)


def load(path: Path) -> tuple[np.ndarray, int]:
    """One channel as float64 and its rate in Hz."""
    audio, rate = soundfile.read(path, dtype="float64", always_2d=True)
    if audio.shape[1] != 1:
        raise ValueError(f"{path}: expected one channel, found {audio.shape[1]}")
    if not np.isfinite(audio).all() or not audio.any():
        raise ValueError(f"{path}: silent, empty or not a finite signal")
    return audio[:, 0], rate


def clips(folder: Path, pattern: str, held_out: int) -> list[Path]:
    """A corpus's files: more than are held out."""
    paths = sorted(folder.glob(pattern))
    if len(paths) <= held_out:
        raise ValueError(
            f"{folder}: expected more than {held_out} clips ({pattern}), found {len(paths)}"
        )
    return paths


def write(
    paths: list[Path], held_out: int, name: str, out: Path, rates: tuple[int, ...],
    treat: Callable[[np.ndarray], np.ndarray] = lambda clip: clip,
) -> None:  # fmt: skip
    """Every clip of a corpus, treated and resampled; the last ``held_out`` are for validation."""
    seconds = {"train": 0.0, "validation": 0.0}
    for i, path in enumerate(paths):
        clip, rate = load(path)
        clip = treat(clip)
        part = "train" if i < len(paths) - held_out else "validation"
        seconds[part] += len(clip) / rate
        for wanted in rates:
            samples = soxr.resample(clip, rate, wanted, quality="VHQ")
            samples *= min(1.0, PEAK / np.abs(samples).max())
            target = out / str(wanted) / part / name / f"{path.stem}.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            whole = np.rint(32768.0 * samples).astype(np.int16)
            unfinished = Path(f"{target}.part")
            try:
                soundfile.write(unfinished, whole, wanted, format="WAV", subtype="PCM_16")
                unfinished.replace(target)
            finally:
                unfinished.unlink(missing_ok=True)
    print(f"{name}: {seconds['train']:.0f} s, {seconds['validation']:.0f} s held out")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--kathleen", type=Path, help="folder of its clips at 24 kHz")
    parser.add_argument("--ljspeech", type=Path, help="folder of its clips at 22.05 kHz")
    parser.add_argument("--librispeech", type=Path, help="folder of clips at 16 kHz, one a speaker")
    parser.add_argument(
        "--reduction", type=float, default=10.0, help="dB of kathleen's noise (default: 10)"
    )
    options = parser.parse_args(arguments)
    if not (options.kathleen or options.ljspeech or options.librispeech):
        parser.error("no corpus: --kathleen, --ljspeech or --librispeech")
    if not 0 <= options.reduction <= 100:
        parser.error("--reduction: expected 0 to 100")
    try:
        if options.kathleen:
            paths = clips(options.kathleen, "*.flac", 50)
            noise = noise_spectrum(load(path)[0] for path in paths[::4])

            def treat(clip: np.ndarray) -> np.ndarray:
                quieter = subtract(clip, noise, options.reduction) if options.reduction else clip
                return KATHLEEN_GAIN * quieter

            write(paths, 50, "kathleen", options.out, RATES, treat)
        if options.ljspeech:
            paths = clips(options.ljspeech, "*.wav", 3)
            write(paths, 3, "ljspeech", options.out, RATES)
        if options.librispeech:
            paths = clips(options.librispeech, "*.flac", 8)
            write(paths, 8, "librispeech", options.out, (16000,))
    except (ValueError, OSError, RuntimeError) as error:
        print(f"prepare: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
