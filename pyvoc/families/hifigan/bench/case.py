"""The benchmark of HiFi-GAN."""

from __future__ import annotations

from pyvoc.bench.mel.case import MelCase
from pyvoc.bench.mel.family import Family
from pyvoc.families.hifigan.bench import seeded
from pyvoc.families.hifigan.bench.work import hifigan_macs


class Hifigan(MelCase):
    """Synthesis, of a model file or of seeded models, as utterance and in chunks."""

    family = Family(
        name="hifigan",
        title="HiFi-GAN",
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
        macs=hifigan_macs,
    )
