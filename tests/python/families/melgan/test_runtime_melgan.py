"""MelGAN in the runtime against the float64 oracle on the tiny models, on every tier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import ROOT
from melgan_files import reference
from tier_worker import run, tiers
from voices import MELGAN, TREE, make_features, make_mel, voice

import pyvoc
from pyvoc.container import read_container
from pyvoc.families import spec_of
from pyvoc.families.melgan.bench import seeded
from pyvoc.quant import decode

TOLERANCE = 1e-5
FRAMES = (1, 2, 3, 4, 5, 17, 33)


def oracle(path: Path, mel: np.ndarray) -> np.ndarray:
    container = read_container(path)
    arrays = decode(spec_of(container, str(path)), container)
    return reference().Melgan(arrays, container.metadata).forward(mel).audio


@pytest.mark.parametrize("tier", tiers())
@pytest.mark.parametrize("path", MELGAN, ids=lambda p: p.stem)
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


def test_look_ahead_is_what_is_needed() -> None:
    """A frame beyond the look-ahead changes nothing, the one at its edge something."""
    model = voice(ROOT / "tests" / "golden" / "melgan" / "reflect.f32.gguf")
    ahead, hop = model.info.lookahead_frames, model.info.hop_length
    mel = make_mel(30, seed=3)
    whole = model.synthesize(mel)
    for beyond, same in ((ahead + 1, True), (ahead, False)):
        changed = mel.copy()
        changed[10 + beyond] += 1.0
        frame = slice(0, 11 * hop)
        assert np.array_equal(model.synthesize(changed)[frame], whole[frame]) == same


def test_bad_mels() -> None:
    model = voice(MELGAN[0])
    bands = model.info.feature_dims
    for value in (np.nan, np.inf, -2000.0):
        mel = make_mel(5, bands=bands)
        mel[3, 2] = value
        with pytest.raises(pyvoc.FeatureError, match="feature 2 of frame 3"):
            model.synthesize(mel)
    with pytest.raises(pyvoc.FeatureError):
        model.synthesize(make_mel(5, bands=bands + 1))


def test_batch_equals_single() -> None:
    """Utterances of different lengths side by side."""
    model = voice(MELGAN[0])
    bands = model.info.feature_dims
    mels = [make_mel(n, bands=bands, seed=n) for n in (1, 7, 40, 3)]
    for mel, audio in zip(mels, pyvoc.synthesize_batch(model, mels), strict=True):
        np.testing.assert_array_equal(audio, model.synthesize(mel))


@pytest.mark.parametrize("path", MELGAN, ids=lambda p: p.stem)
def test_tail_frames_are_silence_spoken_and_cut(path: Path) -> None:
    """The same as frames appended by hand, in one piece, in a batch, and in a stream."""
    model = voice(path)
    hop, bands = model.info.hop_length, model.info.feature_dims
    silence = pyvoc.features.extract(np.zeros(8 * hop + 1024, np.float32), model=model)[:1]
    mels = [make_mel(n, bands=bands, seed=n) for n in (1, 9, 40)]
    wanted = [
        model.synthesize(np.concatenate([mel, np.repeat(silence, 10, axis=0)]))[: len(mel) * hop]
        for mel in mels
    ]
    assert not np.array_equal(wanted[2], model.synthesize(mels[2]))
    batch = pyvoc.synthesize_batch(model, mels, tail_frames=10)
    with model.stream(tail_frames=10) as stream:
        for mel, expected, together in zip(mels, wanted, batch, strict=True):
            np.testing.assert_allclose(
                model.synthesize(mel, tail_frames=10), expected, rtol=0, atol=1e-6
            )
            np.testing.assert_array_equal(together, model.synthesize(mel, tail_frames=10))
            pieces = []
            for frame in mel:
                stream.push(frame[None])
                pieces.append(stream.pull())
            stream.flush()
            stream.flush()
            assert stream.available == len(mel) * hop - sum(map(len, pieces))
            pieces += [stream.pull(7), stream.pull(), stream.pull()]
            np.testing.assert_array_equal(np.concatenate(pieces), together)
            stream.reset()


def test_no_tail_is_no_option_and_a_wrong_one_is_refused() -> None:
    model, mel = voice(MELGAN[0]), make_mel(5, bands=voice(MELGAN[0]).info.feature_dims)
    np.testing.assert_array_equal(model.synthesize(mel, tail_frames=0), model.synthesize(mel))
    with model.stream(tail_frames=3) as stream:
        stream.flush()
        assert stream.available == len(stream.pull()) == 0
    for wrong in (-1, 1001, 2.5, "10", np.nan):
        with pytest.raises(pyvoc.Error, match=f"tail_frames is {wrong}"):
            model.synthesize(mel, tail_frames=wrong)
    with pytest.raises(pyvoc.OptionError, match="option of MelGAN"):
        voice(TREE).synthesize(make_features(3), tail_frames=10)


def test_threads_give_the_same_samples(tmp_path: Path) -> None:
    """A full-size model: the layers of the tiny ones are not worth dividing."""
    path = tmp_path / "full.f32.gguf"
    seeded.SEEDED.write(path, "f32")
    mel = make_mel(37)
    alone = pyvoc.load(path).synthesize(mel)
    for threads in (2, 3):
        model = pyvoc.load(path, threads=threads)
        np.testing.assert_array_equal(model.synthesize(mel), alone)
        for audio in pyvoc.synthesize_batch(model, [mel, mel[:20]]):
            np.testing.assert_array_equal(audio[: 10 * 256], alone[: 10 * 256])
