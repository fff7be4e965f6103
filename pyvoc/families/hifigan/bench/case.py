"""The benchmark of HiFi-GAN."""

from __future__ import annotations

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
