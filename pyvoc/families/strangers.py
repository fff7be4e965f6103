"""Networks that people have and that no family here reads, told by the names of their tensors.

A family that learns to read one takes it off this list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NETWORKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("BigVGAN", (r"resblocks\.\d+\.activations\.",)),
    ("NSF-HiFiGAN (with a source of harmonics)", (r"m_source\.l_linear\.", r"conv_pre\.")),
    ("VITS (a text-to-speech model with a vocoder inside)", (r"dec\.conv_pre\.", r"enc_p\.")),
    ("MelGAN of ParallelWaveGAN", (r"melgan\.\d+\.",)),
    ("StyleMelGAN of ParallelWaveGAN", (r"noise_upsample\.", r"blocks\.\d+\.")),
    (
        "Parallel WaveGAN",
        (r"first_conv\.", r"conv_layers\.\d+\.conv1x1_aux", r"upsample_net\."),
    ),
    ("WaveNet (r9y9/wavenet_vocoder)", (r"first_conv\.", r"conv_layers\.\d+\.conv1x1_out")),
    ("Vocos", (r"backbone\.convnext\.\d+\.", r"head\.out\.")),
    ("DiffWave", (r"diffusion_embedding\.", r"residual_layers\.\d+\.")),
    ("UnivNet", (r"res_stack\.\d+\.kernel_predictor\.",)),
    ("EnCodec", (r"quantizer\.vq\.layers\.", r"decoder\.")),
    ("Tacotron 2 (from text to mels)", (r"decoder\.attention_rnn\.", r"encoder\.")),
    ("FastSpeech 2 (from text to mels)", (r"variance_adaptor\.",)),
)
_NETWORKS_COMPILED = tuple(
    (what, tuple(re.compile(rf"(?:^|\.){pattern}") for pattern in patterns))
    for what, patterns in _NETWORKS
)


def whose(names: Iterable[str]) -> str | None:
    """The network whose tensors have these names, or None."""
    names = [name for name in names if len(name) <= 300]
    for what, patterns in _NETWORKS_COMPILED:
        if all(any(pattern.search(name) for name in names) for pattern in patterns):
            return what
    return None
