"""The tiny WaveGlows, and the denoiser's oracle."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from lpcnet_files import ROOT, load_module
from tiny_files import TinyFiles

from pyvoc.families.waveglow.spec import WAVEGLOW

GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden")) / "waveglow"
FILES = TinyFiles("waveglow", WAVEGLOW, "early.f32")
TINY = FILES.folder
tiny_waveglow, reference, write = FILES.maker, FILES.reference, FILES.write
arrays, settings, metadata = FILES.arrays, FILES.settings, FILES.metadata
int8_container = FILES.int8_container


def denoiser() -> ModuleType:
    return load_module(ROOT / "tests" / "reference" / "denoiser.py")
