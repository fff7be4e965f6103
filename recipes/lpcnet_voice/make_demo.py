#!/usr/bin/env python3
"""Make the features that reports on precision speak: pyvoc/voices/demo.f32, layout lpcnet20.

One sentence that is not in the training text, read by flite's slt, which the voice did train on.
The file is the same on every machine with the same flite.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import make_speech

import pyvoc

SENTENCE = "This voice was made on an ordinary computer, from a few minutes of recorded speech."
VOICE = make_speech.Voice("slt", None, vary=False)
TARGET = Path(__file__).resolve().parents[2] / "pyvoc" / "voices" / "demo.f32"


def main(target: Path) -> int:
    try:
        flite = make_speech.find_flite("flite", [VOICE])
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "demo.wav"
            make_speech.speak(flite, VOICE, SENTENCE, wav, stretch=1.0, pitch=1.0)
            rows = pyvoc.features.extract(pyvoc.features.read_pcm(wav), layout="lpcnet20")
        pyvoc.features.save(target, rows)
    except (make_speech.SpeechError, pyvoc.Error) as error:
        print(f"make_demo: {error}", file=sys.stderr)
        return 1
    print(f"{target}: {len(rows)} frames, {len(rows) / 100:.1f} s, {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET))
