"""The network in PyTorch: what the runtime computes, and weights both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from hifigan_files import arrays, metadata
from voices import HIFIGAN as MODELS
from voices import make_mel, voice

from pyvoc.container import read_container
from pyvoc.families.hifigan.spec import HIFIGAN
from pyvoc.families.hifigan.torch_model import Hifigan
from pyvoc.quant import decode

TOLERANCE = 1e-5
"""Of samples in -1..1: float32 here and there."""


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_samples_are_the_runtimes(path: Path) -> None:
    container = read_container(path)
    for normed in (False, True):
        model = Hifigan.from_arrays(decode(HIFIGAN, container), container.metadata, normed=normed)
        for frames in (model.shape.least_frames, 19):
            mel = make_mel(frames, bands=voice(path).info.feature_dims, seed=1)
            with torch.inference_mode():
                found = model(torch.from_numpy(mel.T[None].copy())).numpy().ravel()
            expected = voice(path).synthesize(mel)
            assert np.ptp(expected) > 0.01
            np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["paired.f32", "odd.f32"])
def test_what_goes_in_comes_out(name: str) -> None:
    given = arrays(name)
    for normed, tolerance in ((False, 0.0), (True, 1e-6)):
        model = Hifigan.from_arrays(given, metadata(name), normed=normed)
        found = model.to_arrays()
        assert found.keys() == given.keys()
        for key, array in found.items():
            exact = given[key].astype(np.float32)
            np.testing.assert_allclose(array, exact, rtol=0, atol=tolerance * np.abs(exact).max())
        assert model.shape.settings.metadata().items() <= metadata(name).items()
