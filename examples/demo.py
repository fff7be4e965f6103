"""The main job from end to end: acoustic features -> speech, with the bundled voice.

    make demo        or        python examples/demo.py [FOLDER]

Nothing is downloaded and nothing else is installed. The features come with the package: a sentence
that the synthesiser flite read, and of which only 20 floats per 10 ms were kept. Files go to
demo_out/, or FOLDER.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import pyvoc

BANDS = 18  # cepstral coefficients: the cosine transform of as many band energies


def band_levels(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """What the model is told of the spectrum: log10 energies [bands, frames] from the cepstrum."""
    band, k = np.arange(BANDS)[:, None] + 0.5, np.arange(BANDS)
    basis = np.cos(np.pi * band * k / BANDS) * np.sqrt(2 / BANDS)
    basis[:, 0] *= np.sqrt(0.5)
    cepstrum = features[:, :BANDS].astype(np.float64)
    cepstrum[:, 0] += 4  # extraction takes 4 from the first
    return np.asarray(basis @ cepstrum.T)


def draw(
    path: Path, features: npt.NDArray[np.float32], samples: npt.NDArray[np.float32], rate: int
) -> bool:
    """Save a picture of what goes in and what comes out; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    seconds = len(samples) / rate
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 6), sharex=True, layout="constrained")
    top.imshow(band_levels(features), origin="lower", aspect="auto", extent=(0, seconds, 0, BANDS))
    top.set(title="input: the spectrum in the features, 18 bands", ylabel="band")
    bottom.specgram(samples + 1e-6, NFFT=320, Fs=rate, noverlap=240, vmin=-130, vmax=-30)
    bottom.set(title="output: speech", ylabel="Hz", xlabel="s", xlim=(0, seconds))
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def origin(model: pyvoc.Model) -> list[str]:
    """What voice it is and where it came from, as far as its file says."""
    metadata: dict[str, Any] = model.describe()["metadata"]
    lines = [f"{metadata.get('general.name', 'a voice without a name')}"]
    for key in ("description", "author", "license", "url"):
        if f"general.{key}" in metadata:
            lines.append(f"{key}: {metadata[f'general.{key}']}")
    return lines


def main(folder: Path) -> None:
    """Run the demo; files go to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    source = pyvoc.voices.demo_features()
    features = pyvoc.features.load(source, layout="lpcnet20")
    print(
        f"1. read {len(features)} frames of {features.shape[1]} features from {Path(source).name} "
        "(a sentence\n   read by flite's voice slt, a synthesiser; "
        f"{features[:, :20].nbytes / (len(features) / 100) / 1000:.0f} kB per second of speech)"
    )

    started = time.perf_counter()
    model = pyvoc.load("default")
    spent = time.perf_counter() - started
    info = model.info
    print(
        f"2. loaded the bundled voice in {1000 * spent:.0f} ms ({info.architecture}, "
        f"{info.precision}, kernels: {pyvoc.system_info()['active_tier']}):"
    )
    for line in origin(model):
        print(f"   {line}")
    print(f"   more: {pyvoc.voices.card()}")

    started = time.perf_counter()
    samples = model.synthesize(features, seed=1)
    spent = time.perf_counter() - started
    seconds = len(samples) / info.sample_rate
    pyvoc.audio.write_wav(folder / "demo.wav", samples, info.sample_rate)
    print(
        f"3. spoke {seconds:.2f} s in {spent:.3f} s: {seconds / spent:.1f} x real time on one core "
        f"(real-time factor {spent / seconds:.3f})"
    )

    drawn = draw(folder / "demo.png", features, samples, info.sample_rate)
    print("4. files:")
    for name in ("demo.wav", *(["demo.png"] if drawn else [])):
        print(f"   {folder / name}")
    if not drawn:
        print("   no spectrogram: it needs matplotlib (pip install 'pyvoc-vocoder[plot]')")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo_out"))
