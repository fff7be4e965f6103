"""The main job from end to end: a recorded sentence -> acoustic features -> speech, by every voice.

    make demo        or        python examples/demo.py [FOLDER]

Nothing is downloaded. The sentence comes with the package; each voice is given the features that it
reads, extracted from the recording, and nothing else of it. Files go to demo_out/, or FOLDER:
a wav for the original and each voice, a picture, and index.html with players, to hear them in turn.
Exit code 1: a voice failed; the others have spoken.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import pyvoc
from pyvoc.evaluate.compare import Measure
from pyvoc.evaluate.page import Clip, Rendition, write_page
from pyvoc.files.loading import load_audio
from pyvoc.voices.shelf import Voice, describe

TEXT = "But there was also talk of witchcraft in the village."
MEASURES = (
    Measure("xrt", "x real time", "", 1, None),
    Measure("megabytes", "file", "MB", 2, None),
)

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Spoken:
    """What a voice said, and how many times faster than real time."""

    voice: Voice
    samples: Float32
    times_real_time: float


def speak(name: str, speech: str) -> Spoken:
    """Let a voice say the sentence, twice; the faster time counts."""
    model = pyvoc.load(name)
    features = load_audio(speech, model)
    spent = []
    for _ in range(2):
        started = time.perf_counter()
        samples = model.synthesize(features, seed=1)
        spent.append(time.perf_counter() - started)
    return Spoken(describe(name), samples, len(samples) / model.info.sample_rate / min(spent))


def draw(path: Path, sounds: dict[str, tuple[Float32, int]]) -> bool:
    """Save a picture of the sounds' spectra; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(sounds), 1, figsize=(10, 1 + 1.6 * len(sounds)), sharex=True, layout="constrained"
    )
    for axis, (name, (samples, rate)) in zip(np.atleast_1d(axes), sounds.items(), strict=True):
        length = rate // 50
        axis.specgram(
            samples + 1e-6, NFFT=length, Fs=rate, noverlap=length * 3 // 4, vmin=-130, vmax=-30
        )
        axis.set(title=name, ylabel="Hz", ylim=(0, 8000))
    axes[-1].set_xlabel("s")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def main(folder: Path) -> int:
    """Run the demo; files go to `folder`. Returns the exit code."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"{folder}: cannot be the demo's folder: {error.strerror}", file=sys.stderr)
        return 1
    speech = pyvoc.voices.demo_speech()
    original, rate = pyvoc.audio.read(speech)
    print(
        f'A sentence of {len(original) / rate:.2f} s, "{TEXT}"\n'
        "(CC0, a recording that no voice was trained on), through every bundled voice, on one "
        f"core,\nkernels: {pyvoc.system_info()['active_tier']}\n"
    )
    sounds = {"original": (original, rate)}
    renditions = [Rendition("original", original, rate, note="The recording.")]
    pyvoc.audio.write_wav(folder / "original.wav", original, rate)
    failed = []
    wide = max(len(name) for name in pyvoc.voices.bundled())
    print(f"{'voice':<{wide}}  family    kHz   type    MB  x real time")
    for name in pyvoc.voices.bundled():
        try:
            spoken = speak(name, speech)
        except Exception as error:  # the other voices are worth hearing all the same
            print(f"{name:<{wide}}  failed: {error}")
            failed.append(name)
            continue
        voice = spoken.voice
        print(
            f"{name:<{wide}}  {voice.family:<8}  {voice.sample_rate / 1000:<5g} "
            f"{voice.precision:<4}  {voice.bytes / 1e6:>5.2f}  {spoken.times_real_time:>11.1f}"
        )
        pyvoc.audio.write_wav(folder / f"{name}.wav", spoken.samples, voice.sample_rate)
        sounds[name] = (spoken.samples, voice.sample_rate)
        figures = {"xrt": spoken.times_real_time, "megabytes": voice.bytes / 1e6}
        about = f"{voice.family}, {voice.precision}: {voice.purpose}"
        renditions.append(Rendition(name, spoken.samples, voice.sample_rate, figures, about))
    drawn = draw(folder / "demo.png", sounds)
    write_page(
        folder / "index.html",
        [Clip("A sentence by every voice", renditions, text=TEXT)],
        title="pyvoc: the bundled voices",
        lead="The original first, then what each voice makes of its features alone.",
        measures=MEASURES,
        notes=[
            "x real time: seconds of sound in a second, on one core of the machine that made this "
            "page.",
            "The recording: data set kathleen of the Rhasspy project, CC0 1.0.",
        ],
    )
    print(f"\nto hear them in turn: {folder / 'index.html'}")
    files = [f"{name}.wav" for name in sounds] + (["demo.png"] if drawn else [])
    print(f"also in {folder}: {', '.join(files)}")
    if not drawn:
        print("no picture: it needs matplotlib (pip install 'pyvoc-vocoder[plot]')")
    print("the voices' origin, licences and figures: pyvoc voices show NAME")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo_out")))
