"""HiFi-GAN in the runtime against the float64 oracle on the tiny models, on every tier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hifigan_files import TINY, reference
from tier_worker import run, tiers
from voices import HIFIGAN, make_mel, voice

import pyvoc
from pyvoc.container import read_container
from pyvoc.families import spec_of
from pyvoc.families.hifigan.bench import seeded
from pyvoc.quant import decode
from pyvoc.quant.calibrate import quantize

TOLERANCE = 1e-5
FRAMES = (1, 2, 3, 5, 17, 33)
EVERY = pytest.mark.parametrize("path", HIFIGAN, ids=lambda p: p.stem)


def oracle(path: Path, mel: np.ndarray) -> np.ndarray:
    container = read_container(path)
    arrays = decode(spec_of(container, str(path)), container)
    return np.asarray(reference().Hifigan(arrays, container.metadata).forward(mel))


@pytest.mark.parametrize("tier", tiers())
@EVERY
def test_audio_is_the_oracles(path: Path, tier: str, tmp_path: Path) -> None:
    """Every length from one frame up; a signal shorter than its padding is mirrored repeatedly."""
    bands = voice(path).info.feature_dims
    mels = {f"mel{n}": make_mel(n, bands=bands, seed=n) for n in FRAMES}
    found = run(path, tier, tmp_path, **mels)
    for n in FRAMES:
        expected = oracle(path, mels[f"mel{n}"])
        assert found[f"mel{n}"].shape == expected.shape
        np.testing.assert_allclose(found[f"mel{n}"], expected, rtol=0, atol=TOLERANCE)
        assert np.abs(expected).max() > 0.05  # not silence


def in_pieces(model: pyvoc.Model, mel: np.ndarray, step: int) -> np.ndarray:
    with model.stream() as stream:
        pieces = []
        for i in range(0, len(mel), step):
            stream.push(mel[i : i + step])
            pieces.append(stream.pull())
        stream.flush()
        return np.concatenate([*pieces, stream.pull()])


@EVERY
def test_every_cut_gives_the_same_samples(path: Path, tmp_path: Path) -> None:
    mel = make_mel(61, bands=voice(path).info.feature_dims, seed=4)
    models = [voice(path)]
    if path.stem.endswith("f32"):
        quantize(path, tmp_path / "int8.gguf", [mel], any_sound=True, min_snr_db=0)
        models.append(pyvoc.load(tmp_path / "int8.gguf"))
    for model in models:
        whole = model.synthesize(mel)
        for step in (1, 2, 7, 30):
            np.testing.assert_array_equal(in_pieces(model, mel, step), whole)


def test_int8_is_close(tmp_path: Path) -> None:
    path = TINY / "paired.f32.gguf"
    mel = make_mel(80, seed=5)
    report = quantize(path, tmp_path / "int8.gguf", [mel], any_sound=True, min_snr_db=0)
    model = pyvoc.load(tmp_path / "int8.gguf")
    assert model.info.precision == "int8"
    exact, found = voice(path).synthesize(mel), model.synthesize(mel)
    snr = 10 * np.log10(np.square(exact).sum() / np.square(exact - found).sum())
    assert snr > 25, report


def test_look_ahead_is_what_is_needed() -> None:
    """A frame beyond the look-ahead changes nothing, the one at its edge something."""
    for path in (TINY / "paired.f32.gguf", TINY / "odd.f32.gguf"):
        model = voice(path)
        ahead, hop = model.info.lookahead_frames, model.info.hop_length
        mel = make_mel(60, bands=model.info.feature_dims, seed=3)
        whole = model.synthesize(mel)
        frame = slice(0, 11 * hop)
        changed = mel.copy()
        changed[10 + ahead + 1] += 1.0
        assert np.array_equal(model.synthesize(changed)[frame], whole[frame])
        # What a frame at the edge does is far below a float's last place after so many layers.
        changed[10 + ahead - 2 :] += 2.0
        assert not np.array_equal(model.synthesize(changed)[frame], whole[frame])


def test_batch_equals_single() -> None:
    """Utterances of different lengths side by side."""
    model = voice(HIFIGAN[0])
    bands = model.info.feature_dims
    mels = [make_mel(n, bands=bands, seed=n) for n in (1, 7, 40, 3)]
    for mel, audio in zip(mels, pyvoc.synthesize_batch(model, mels), strict=True):
        np.testing.assert_array_equal(audio, model.synthesize(mel))


def test_bad_mels() -> None:
    model = voice(HIFIGAN[0])
    bands = model.info.feature_dims
    for value in (np.nan, np.inf, -2000.0):
        mel = make_mel(5, bands=bands)
        mel[3, 2] = value
        with pytest.raises(pyvoc.FeatureError, match="feature 2 of frame 3"):
            model.synthesize(mel)
    with pytest.raises(pyvoc.FeatureError):
        model.synthesize(make_mel(5, bands=bands + 1))


def test_threads_give_the_same_samples(tmp_path: Path) -> None:
    """A V2: the layers of the tiny ones are not worth dividing."""
    path = tmp_path / "v2.f32.gguf"
    seeded.SEEDED_V2.write(path, "f32")
    mel = make_mel(37)
    alone = pyvoc.load(path).synthesize(mel)
    for threads in (2, 3):
        model = pyvoc.load(path, threads=threads)
        np.testing.assert_array_equal(model.synthesize(mel), alone)
