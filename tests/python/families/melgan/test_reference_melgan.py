"""The float64 oracle against upstream's own activations and audio, through the converters."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from melgan_files import GOLDEN, TINY, reference

from pyvoc.container import read_container
from pyvoc.convert.detect import detect
from pyvoc.families.melgan.spec import MELGAN
from pyvoc.quant import decode

CHECKPOINTS = {
    folder: sorted(p for p in (GOLDEN / folder).glob("*") if p.suffix in (".pt", ".ckpt"))
    for folder in ("melgan", "melgan_descript", "melgan_mindspore")
}
ACTIVATIONS = sorted(GOLDEN.glob("melgan*/*activations*.npz"))
AUDIO = sorted([*GOLDEN.glob("melgan*/*_LJ*.npz"), *GOLDEN.glob("melgan_mindspore/*_io.npz")])
TOLERANCE = 5e-6
"""Upstream computes in float32."""
FRAMES = 150
"""Of a long utterance; beyond, the audio does not depend on the rest (six frames do)."""


@cache
def network(path: Path):
    checkpoint = detect(path)(path)
    return reference().Melgan(checkpoint.arrays, checkpoint.metadata)


def networks(file: Path) -> list:
    return [network(p) for p in CHECKPOINTS[file.parent.name]]


@pytest.mark.parametrize("path", ACTIVATIONS, ids=lambda p: p.stem)
def test_activations(path: Path) -> None:
    golden = np.load(path)
    for net in networks(path):
        found = net.forward(golden["mel"][0].T)
        layers = {"conv_in": found.conv_in, "audio": found.audio[None]}
        layers |= {f"up{k}_convT": x for k, x in enumerate(found.ups)}
        layers |= {f"stage{k}": x for k, x in enumerate(found.stages)}
        assert set(golden.files) == {*layers, "mel"}
        for name, values in layers.items():
            np.testing.assert_allclose(
                values, golden[name][0], rtol=TOLERANCE, atol=TOLERANCE, err_msg=name
            )


@pytest.mark.parametrize("path", AUDIO, ids=lambda p: p.stem)
def test_audio(path: Path) -> None:
    golden = np.load(path)
    audio = golden["audio_float" if "audio_float" in golden else "audio"].ravel()
    mel = golden["mel"][0].T
    hop = len(audio) // len(mel)
    for net in networks(path):
        head = net.forward(mel[: FRAMES + 6]).audio[: FRAMES * hop]
        whole = len(mel) <= FRAMES + 6
        kept = len(audio) if whole else FRAMES * hop
        head = net.forward(mel).audio if whole else head
        np.testing.assert_allclose(head[:kept], audio[:kept], rtol=0, atol=TOLERANCE)
        if not whole:
            tail = net.forward(mel[-46:]).audio[-40 * hop :]
            np.testing.assert_allclose(tail, audio[-40 * hop :], rtol=0, atol=TOLERANCE)


def test_there_is_something_in_the_golden_folder() -> None:
    if not GOLDEN.is_dir():
        pytest.skip("no golden data")
    assert ACTIVATIONS and AUDIO and all(CHECKPOINTS.values())


@pytest.mark.parametrize("path", sorted(TINY.glob("*.gguf")), ids=lambda p: p.stem)
def test_any_length_gives_audio(path: Path) -> None:
    container = read_container(path)
    net = reference().Melgan(decode(MELGAN, container), container.metadata)
    hop = container.metadata["pyvoc.features.hop_length"]
    rng = np.random.default_rng(4)
    mel = rng.uniform(-4, 0, (64, container.metadata["pyvoc.features.bands"]))
    long = net.forward(mel)
    assert 0.01 < long.audio.std() < 0.5 and np.abs(long.audio).max() < 0.95
    for frames in (1, 2, 3, 5):
        audio = net.forward(mel[:frames]).audio
        assert audio.shape == (frames * hop,) and np.isfinite(audio).all()
    middle = net.forward(mel[4:60]).audio  # far from the ends, these do not matter
    np.testing.assert_allclose(
        middle[24 * hop : 32 * hop], long.audio[28 * hop : 36 * hop], rtol=0, atol=1e-12
    )


def test_padding() -> None:
    pad = reference().pad
    x = np.array([[1.0, 2, 3]])
    np.testing.assert_array_equal(pad(x, 2, "reflect"), [[3, 2, 1, 2, 3, 2, 1]])
    np.testing.assert_array_equal(pad(x, 1, "zero"), [[0, 1, 2, 3, 0]])
    np.testing.assert_array_equal(pad(x[:, :1], 2, "reflect"), [[1] * 5])
    np.testing.assert_array_equal(pad(x[:, :2], 3, "reflect"), [[2, 1, 2, 1, 2, 1, 2, 1]])
