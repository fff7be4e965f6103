"""The benchmark of MelGAN."""

from __future__ import annotations

from pyvoc.bench.mel.case import MelCase
from pyvoc.bench.mel.family import Family
from pyvoc.families.melgan.bench import seeded
from pyvoc.families.melgan.bench.work import melgan_macs


class Melgan(MelCase):
    """Synthesis, of a model file or of seeded models, as utterance and in chunks."""

    family = Family(
        name="melgan",
        title="MelGAN",
        peers=(
            ("onnxruntime", "f32"),
            ("onnxruntime", "int8"),
            ("torch", "f32"),
            ("torch", "bf16"),
            ("openvino", "f32"),
            ("openvino", "bf16"),
            ("openvino", "int8"),
        ),
        seeded=seeded.SEEDED,
        mel=seeded.mel,
        macs=melgan_macs,
    )
