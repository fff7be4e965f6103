"""The tiny MelGANs."""

from __future__ import annotations

import os
from pathlib import Path

from lpcnet_files import ROOT
from tiny_files import TinyFiles

from pyvoc.families.melgan.spec import MELGAN

GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden"))
FILES = TinyFiles("melgan", MELGAN, "odd.f32")
TINY = FILES.folder
tiny_melgan, reference = FILES.maker, FILES.reference
arrays, settings, metadata = FILES.arrays, FILES.settings, FILES.metadata
int8_container = FILES.int8_container
