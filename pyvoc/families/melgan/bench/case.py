"""The benchmark of MelGAN."""

from __future__ import annotations

from pyvoc.bench.mel.case import MelCase
from pyvoc.bench.mel.family import PEERS, Family
from pyvoc.families.melgan.bench import seeded
from pyvoc.families.melgan.bench.work import melgan_macs


class Melgan(MelCase):
    """Synthesis, of a model file or of seeded models, as utterance and in chunks."""

    family = Family(
        name="melgan",
        title="MelGAN",
        peers=PEERS,
        seeded=seeded.SEEDED,
        mel=seeded.mel,
        macs=melgan_macs,
    )
