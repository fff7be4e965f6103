"""The benchmarks of HiFi-GAN: of the sizes V1 and V2."""

from __future__ import annotations

from dataclasses import replace

from pyvoc.bench.mel.case import MelCase
from pyvoc.bench.mel.family import PEERS, Family
from pyvoc.families.hifigan.bench import seeded
from pyvoc.families.hifigan.bench.work import hifigan_macs


class Hifigan(MelCase):
    """Synthesis, of a model file or of seeded models, as utterance and in chunks."""

    family = Family(
        name="hifigan",
        title="HiFi-GAN",
        peers=PEERS,
        seeded=seeded.SEEDED,
        mel=seeded.mel,
        macs=hifigan_macs,
    )


class HifiganV2(MelCase):
    """The same of the small one."""

    family = replace(Hifigan.family, size="v2", seeded=seeded.SEEDED_V2)
