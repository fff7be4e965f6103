"""The tiny HiFi-GANs."""

from __future__ import annotations

import os
from pathlib import Path

from lpcnet_files import ROOT
from tiny_files import TinyFiles

from pyvoc.families.hifigan.spec import HIFIGAN

GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden")) / "hifigan"
FILES = TinyFiles("hifigan", HIFIGAN, "odd.f32")
TINY = FILES.folder
reference = FILES.reference
arrays, settings, metadata = FILES.arrays, FILES.settings, FILES.metadata
