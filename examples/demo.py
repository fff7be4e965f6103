"""The main job from end to end: speech -> features -> model -> speech.

    make demo        or        python examples/demo.py [FOLDER]

Nothing is downloaded: the "speech" is made here, vowels and hisses that glide into each other. The
voice is the tiny model that comes with the package. It is NOT trained (its weights come from a
seed): what you hear is noise with the loudness and the colour of the input. Files go to
demo_out/, or FOLDER.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

import pyvoc
from pyvoc.health import bundled_model

RATE = 16000
# Vowels by their first three formants in Hz (Peterson & Barney 1952, men), and where they are.
VOWELS = {
    "a": (730, 1090, 2440),
    "i": (270, 2290, 3010),
    "u": (300, 870, 2240),
    "e": (530, 1840, 2480),
}
SCORE = "a-i-u-e-a-u-i-a"
BANDWIDTHS = (80, 100, 130)
SYLLABLE = 0.5  # s

Signal = npt.NDArray[np.float64]


def make_speech() -> Signal:
    """Something like speech, [samples] in -1..1: the same in every run."""
    vowels = np.array([VOWELS[name] for name in SCORE.split("-")], float)
    samples = int(len(vowels) * SYLLABLE * RATE)
    t = np.arange(samples) / RATE
    at = np.clip(t / SYLLABLE - 0.5, 0, len(vowels) - 1)
    glide = np.floor(at) + np.clip((at % 1 - 0.3) / 0.4, 0, 1)  # hold, glide, hold
    formants = [np.interp(glide, np.arange(len(vowels)), vowels[:, k]) for k in range(3)]
    pitch = 125 + 25 * np.sin(2 * np.pi * t / 1.7) - 8 * t
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voiced = np.zeros(samples)
    for harmonic in range(1, 45):
        f = harmonic * pitch
        gain = sum(
            1 / (1 + ((f - formant) / width) ** 2)
            for formant, width in zip(formants, BANDWIDTHS, strict=True)
        )
        voiced += np.where(f < 0.45 * RATE, (gain + 0.02) / harmonic**0.5, 0) * np.sin(
            harmonic * phase
        )
    place = t / SYLLABLE % 1
    envelope = np.clip(np.minimum(place, 1 - place) / 0.12, 0, 1)
    hiss = np.diff(np.random.Generator(np.random.PCG64(7)).standard_normal(samples + 1))
    speech = 0.16 * envelope * voiced + 0.03 * (1 - envelope) * hiss
    return speech * (0.6 / np.abs(speech).max())


def draw(path: Path, signals: dict[str, npt.NDArray[np.floating]]) -> bool:
    """Save spectrograms, one above the other; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(signals), 1, figsize=(10, 6), sharex=True, layout="constrained")
    for axis, (title, signal) in zip(axes, signals.items(), strict=True):
        axis.specgram(signal + 1e-6, NFFT=320, Fs=RATE, noverlap=240, vmin=-130, vmax=-30)
        axis.set(title=title, ylabel="Hz")
    axes[-1].set_xlabel("s")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def main(folder: Path) -> None:
    """Run the demo; files go to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    speech = make_speech()
    pyvoc.audio.write_wav(folder / "input.wav", speech, RATE)
    print(f"1. made {len(speech) / RATE:.1f} s of something like speech")

    started = time.perf_counter()
    features = pyvoc.features.extract(speech)
    spent = time.perf_counter() - started
    pyvoc.features.save(folder / "input.f32", features)
    print(
        f"2. extracted {len(features)} frames of {features.shape[1]} LPCNet features, "
        f"{len(speech) / RATE / spent:.0f} x real time"
    )

    model = pyvoc.load(bundled_model())
    tier = pyvoc.system_info()["active_tier"]
    print(
        f"3. loaded {Path(model.info.path).name} ({model.info.architecture}, "
        f"{model.info.precision}, kernels: {tier})\n"
        "   NOTE: a tiny test model with seeded weights. It is untrained, so the output is noise\n"
        "   with the loudness and colour of the input, not a voice."
    )

    started = time.perf_counter()
    samples = model.synthesize(features, seed=1)
    spent = time.perf_counter() - started
    seconds = len(samples) / model.info.sample_rate
    pyvoc.audio.write_wav(folder / "demo.wav", samples, model.info.sample_rate)
    print(
        f"4. synthesised {seconds:.1f} s in {spent:.3f} s: {seconds / spent:.0f} x real time on "
        "one core\n   (a full-size LPCNet is larger and slower: docs/performance.md)"
    )

    pictures = {"input": speech, "output of the untrained test model": samples}
    drawn = draw(folder / "demo.png", pictures)
    print("5. files:")
    for name in ("input.wav", "input.f32", "demo.wav", *(["demo.png"] if drawn else [])):
        print(f"   {folder / name}")
    if not drawn:
        print("   no picture: it needs matplotlib (pip install 'pyvoc[plot]')")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo_out"))
