"""Where a WaveGlow begins that learns from distances of what it says.

A network whose likelihood is learnt begins as a rotation of the sound. One that is to speak from
noise learns several times as fast when it begins with what a speaking one needs anyway: a mel of
mean 0, noise that the layers can hear, flows that change one half after the other, and a last
mixture whose halves are low and high frequencies.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyvoc.families.waveglow.torch_model import Apart, Flow, Waveglow
from pyvoc.train.spectra import MelSpectrogram

TYPICAL, SPREAD = -5.0, 2.0
"""Of speech: mean of the natural logarithm of a band's amplitude, and its standard deviation."""
HISTORY = 0.3
"""Of each band's upsampling: what is random, relative to the interpolation."""
HEARD = 0.4
"""Standard deviation of what the layers hear of the noise."""
SAID = 0.03
"""The same of what they add to it."""


def begin(network: Waveglow) -> None:
    """Set the weights from which learning begins; those within the layers stay as they are.

    Parameters
    ----------
    network
        Without weight norm.
    """
    shape = network.shape
    with torch.no_grad():
        if isinstance(network.upsample, Apart):
            _interpolate(network.upsample, MelSpectrogram(shape.settings.recipe))
        for k, channels in enumerate(shape.channels):
            flow = network.flow[k]
            assert isinstance(flow, Flow)
            half = channels // 2
            flow.mix.weight.copy_(
                cosines(channels) if k == 0 else torch.eye(channels).roll(half, 0)
            )
            flow.start.weight.normal_(0, HEARD / max(shape.settings.sigma, SAID) / math.sqrt(half))
            flow.end.weight.normal_(0, SAID / math.sqrt(shape.hidden))


def _interpolate(upsample: Apart, mel: MelSpectrogram) -> None:
    """Speech's mel as values of mean 0 and variance 1, between the last frames."""
    levels = mel.logarithm(torch.tensor([TYPICAL, TYPICAL + SPREAD]).exp() ** mel.recipe.power)
    mean, spread = float(levels[0]), float(levels[1] - levels[0])
    bands, _, taps = upsample.weight.shape
    history = taps // upsample.hop
    newest = (0.5 + (torch.arange(upsample.hop) + 0.5) / upsample.hop).clamp(max=1)
    smooth = torch.zeros(history, upsample.hop)
    smooth[0] = newest
    if history > 1:
        smooth[1] = 1 - newest
    rest = torch.randn(bands, history, upsample.hop)
    rest -= rest.mean(1, keepdim=True)
    upsample.weight.copy_(((smooth + HISTORY * rest) / spread).reshape(bands, 1, taps))
    upsample.bias.fill_(-mean / spread)


def cosines(size: int) -> Tensor:
    """The discrete cosine transform, orthonormal: ``[size, size]``, the lowest frequency first."""
    order = torch.arange(size)
    found = torch.cos(math.pi / size * (order + 0.5) * order[:, None]) * math.sqrt(2 / size)
    found[0] *= math.sqrt(0.5)
    return found
