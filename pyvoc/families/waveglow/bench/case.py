"""The benchmark of WaveGlow."""

from __future__ import annotations

from pyvoc.bench.mel.case import MelCase
from pyvoc.bench.mel.family import Family
from pyvoc.families.waveglow.bench import seeded
from pyvoc.families.waveglow.bench.work import waveglow_macs


class Waveglow(MelCase):
    """Synthesis, of a model file or of seeded models, as utterance and in chunks."""

    family = Family(
        name="waveglow",
        title="WaveGlow",
        peers=(
            ("onnxruntime", "f32"),
            ("onnxruntime", "int8"),
            ("torch", "f32"),
            ("openvino", "f32"),
            ("openvino", "bf16"),
            ("openvino", "int8"),
        ),
        seeded=seeded.SEEDED,
        mel=seeded.mel,
        macs=waveglow_macs,
        noise=seeded.noise,
        kernel="gated_conv",
    )
