"""Mel and sound of segments: alignment, draws, given mels, lists, memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from gan_files import RATE, write_corpus

pytest.importorskip("torch")

import torch

from pyvoc import AudioError, Error, FeatureError, features
from pyvoc.container.mel import DESCRIPT, FATCHORD, HIFIGAN, NVIDIA, MelRecipe
from pyvoc.files import mels
from pyvoc.files.doubts import collect
from pyvoc.files.listing import in_list
from pyvoc.train import from_mapping
from pyvoc.train.data import MelDataConfig, MelSegments, Source, load_corpus, open_mel_data
from pyvoc.train.spectra import MelSpectrogram

SEGMENT = 2048


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("speech") / "wavs")


def opened(
    speech: Path, recipe: MelRecipe = HIFIGAN, *, rows: int = 4, seed: int = 3, **values: Any
) -> MelSegments:
    more = {key: values.pop(key) for key in ("context", "others") if key in values}
    config = MelDataConfig(**{"path": str(speech), "segment": SEGMENT, **values})
    return open_mel_data(config, recipe, rows=rows, seed=seed, **more)


def pcm_of(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def place_of(audio: np.ndarray, speech: Path) -> tuple[np.ndarray, int]:
    """The clip that a segment is of, and where it begins."""
    for path in sorted(speech.glob("*.wav")):
        pcm = pcm_of(path)
        windows = np.lib.stride_tricks.sliding_window_view(pcm, 64)
        hits = np.flatnonzero((windows == audio[:64]).all(axis=1))
        for at in hits:
            if np.array_equal(pcm[at : at + audio.size], audio):
                return pcm, int(at)
    raise AssertionError("the segment is of no clip")


PADDED = replace(HIFIGAN, name="padded", pad=1024)
"""Its frames end where they are said to be: a segment's sound lasts longer than its frames."""


@pytest.mark.parametrize("recipe", [HIFIGAN, NVIDIA, DESCRIPT, PADDED], ids=lambda r: r.name)
@pytest.mark.parametrize("context", [0, 2])
def test_frames_are_those_of_the_clip(speech: Path, recipe: MelRecipe, context: int) -> None:
    """Segment and context against the mel of the clip from the segment's phase on."""
    data = opened(speech, recipe, context=context)
    batch = data.batch(5, range(4))
    frames = SEGMENT // recipe.hop_length + 2 * context
    assert batch["mel"].shape == (4, recipe.bands, frames)
    assert batch["audio"].shape == (4, SEGMENT)
    for mel, audio in zip(batch["mel"], batch["audio"], strict=True):
        pcm, at = place_of(audio, speech)
        phase, first = at % recipe.hop_length, at // recipe.hop_length - context
        whole = features.extract(pcm[phase:], recipe=recipe)
        np.testing.assert_array_equal(mel.T, whole[first : first + frames])


def test_a_hop_that_is_no_power_of_two(speech: Path) -> None:
    data = opened(speech, FATCHORD, segment=275 * 6, context=2)
    batch = data.batch(0, range(4))
    pcm, at = place_of(batch["audio"][1], speech)
    whole = features.extract(pcm[at % 275 :], recipe=FATCHORD)
    np.testing.assert_array_equal(batch["mel"][1].T, whole[at // 275 - 2 :][:10])
    with pytest.raises(Error, match="'segment' is 1000 samples, no whole number of hops of 275; 1"):
        opened(speech, FATCHORD, segment=1000)


def test_batches_are_functions_of_seed_step_and_row(speech: Path) -> None:
    data = opened(speech, others=True, noise=2.0, gain=(0.5, 1.0), peak=0.9)
    whole = data.batch(7, range(4))
    assert set(whole) == {"mel", "audio", "other_mel", "other_audio", "step", "seed"}
    assert set(whole["step"]) == {7}
    for rows in (range(2), range(2, 4), range(3, 4)):
        part = opened(speech, others=True, noise=2.0, gain=(0.5, 1.0), peak=0.9).batch(7, rows)
        for name, array in part.items():
            np.testing.assert_array_equal(array, whole[name][rows.start : rows.stop])
    assert not np.array_equal(whole["audio"], whole["other_audio"])
    for other in (data.batch(8, range(4)), opened(speech, seed=4).batch(7, range(4))):
        assert not np.array_equal(other["audio"], whole["audio"])
    with pytest.raises(Error, match="are not in the batch of 4"):
        data.batch(0, range(3, 5))


def test_every_place_is_equally_likely(speech: Path) -> None:
    data = opened(speech, rows=400)
    found = [place_of(a, speech) for a in data.batch(0, range(400))["audio"]]
    lengths = np.array([p.size - SEGMENT + 1 for p in map(pcm_of, sorted(speech.glob("*.wav")))])
    shares = lengths / lengths.sum()
    sizes = sorted({pcm.size for pcm, _ in found})
    counts = np.array([sum(pcm.size == size for pcm, _ in found) for size in sizes])
    assert np.abs(counts / 400 - shares).max() < 0.08
    where = np.array([at / (pcm.size - SEGMENT) for pcm, at in found])
    assert abs(where.mean() - 0.5) < 0.06 and where.min() < 0.03 and where.max() > 0.97


def test_level_and_noise(speech: Path) -> None:
    plain, loud = opened(speech).batch(2, range(4)), opened(speech, peak=0.95).batch(2, range(4))
    for one, two in zip(plain["audio"], loud["audio"], strict=True):
        pcm, _ = place_of(one, speech)
        np.testing.assert_allclose(two, one * 0.95 / np.abs(pcm).max(), rtol=1e-5, atol=1e-7)
    assert np.median(loud["mel"] - plain["mel"]) > 0.3
    noisy = opened(speech, noise=1.0).batch(2, range(4))
    np.testing.assert_array_equal(noisy["mel"], plain["mel"])
    assert 0.9 < np.std(noisy["audio"] - plain["audio"]) * 32768 < 1.1


def test_short_clips_are_repeated_or_left_out(speech: Path, tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "short", clips=1, seconds=0.3)
    size = pcm_of(folder / "clip0.wav").size
    batch = opened(folder, segment=32 * 256).batch(0, range(4))
    pcm = pcm_of(folder / "clip0.wav")
    np.testing.assert_array_equal(batch["audio"][0], np.resize(pcm, 8192))
    assert size < 8192 and batch["mel"].min() > -11.6
    with pytest.raises(Error, match="no clip is as long as a segment"):
        opened(folder, segment=32 * 256, short="out")
    long = write_corpus(tmp_path / "short" / "long", clips=1, seconds=1.0)
    data = opened(folder, segment=32 * 256, short="out", rows=8)
    for audio in data.batch(0, range(8))["audio"]:
        place_of(audio, long)


def test_clips_that_do_not_fit_memory_are_read_again(speech: Path) -> None:
    held, read = opened(speech), opened(speech, memory_mb=0)
    assert all(clip.held is None for clip in read.corpus.train[0].clips)
    assert all(clip.held is not None for clip in held.corpus.train[0].clips)
    for name, array in held.batch(1, range(4)).items():
        np.testing.assert_array_equal(read.batch(1, range(4))[name], array)
    some = load_corpus([speech], rate=RATE, memory=50_000).train[0].clips
    assert 0 < sum(clip.held is None for clip in some) < len(some)


def test_a_clip_that_changes_while_it_is_trained_on(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "wavs", clips=1)
    data = opened(folder, memory_mb=0)
    soundfile.write(folder / "clip0.wav", np.full(9000, 0.1), RATE, "PCM_16")
    with pytest.raises(AudioError, match="has changed: 9000 samples, expected 19845"):
        data.batch(0, range(4))


def test_another_rate_is_resampled(tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    folder = write_corpus(tmp_path / "wavs", clips=2, rate=44100)
    data = opened(folder)
    assert data.corpus.report.resampled == {44100: 2}
    assert data.corpus.train[0].clips[0].samples == pytest.approx(0.9 * RATE, abs=2)


def test_validation_is_the_clip_itself(speech: Path) -> None:
    data = opened(speech, NVIDIA, validation_names=("clip2",), noise=5.0, gain=(0.1, 0.1))
    (batch,) = data.validation(4)
    pcm = pcm_of(speech / "clip2.wav")
    frames = pcm.size // 256
    np.testing.assert_array_equal(batch["audio"][0], pcm[: frames * 256])
    whole = features.extract(pcm, recipe=NVIDIA)
    np.testing.assert_array_equal(batch["mel"][0].T, whole[:frames])
    assert [name for name, _ in data.examples(5)] == ["clip2"]
    short = opened(speech, validation_names=("clip2",), validation_seconds=0.25)
    assert next(iter(short.validation(1)))["audio"].shape == (1, int(0.25 * RATE) // 256 * 256)
    assert data.steps_per_epoch == 1 and opened(speech, rows=2).steps_per_epoch == 2


def given(speech: Path, folder: Path, suffix: str, *, off: int = 0, **change: Any) -> Path:
    """Mels of the clips, as other programs would have made them."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in speech.glob("*.wav"):
        mel = features.extract(pcm_of(path), recipe=replace(NVIDIA, **change))
        mel = np.resize(mel, (len(mel) + off, mel.shape[1]))
        target = folder / f"{path.stem}{suffix}"
        if suffix == ".npy":
            np.save(target, mel.T)
        elif suffix == ".bin":
            mels.save(target, mel)
        else:
            torch.save(torch.from_numpy(mel.T[None].copy()), target)
    return folder


@pytest.mark.parametrize("suffix", [".npy", ".pt", ".mel", ".bin"])
def test_given_mels_are_cut_with_their_sound(speech: Path, tmp_path: Path, suffix: str) -> None:
    folder = given(speech, tmp_path / "gta", suffix)
    for memory in (100, 0):
        data = opened(speech, NVIDIA, mels=str(folder), context=1, memory_mb=memory)
        batch = data.batch(3, range(4))
        for mel, audio in zip(batch["mel"], batch["audio"], strict=True):
            pcm, at = place_of(audio, speech)
            assert at % 256 == 0, "mels of files have one phase"
            whole = features.extract(pcm, recipe=NVIDIA)
            np.testing.assert_array_equal(mel.T, whole[at // 256 - 1 : at // 256 + 9])


def test_given_mels_that_do_not_fit(speech: Path, tmp_path: Path) -> None:
    long = given(speech, tmp_path / "long", ".npy", off=7)
    with pytest.raises(FeatureError, match=r"clip0.npy' has 85 frames, but .*clip0.wav' lasts 77"):
        opened(speech, NVIDIA, mels=str(long))
    other = given(speech, tmp_path / "log10", ".npy", log="log10")
    with pytest.raises(FeatureError, match=r"does not look like the model's mel \(nvidia\): log"):
        opened(speech, NVIDIA, mels=str(other))
    few = given(speech, tmp_path / "few", ".npy")
    (few / "clip1.npy").unlink()
    with pytest.raises(Error, match=r"has no mel of '.*clip1.wav'"):
        opened(speech, NVIDIA, mels=str(few))
    twice = given(speech, tmp_path / "twice" / "a", ".npy")
    given(speech, tmp_path / "twice" / "b", ".npy")
    with pytest.raises(Error, match=r"could both be the mel of"):
        opened(speech, NVIDIA, mels=str(twice.parent))
    given(speech, tmp_path / "twice" / "wavs", ".npy")
    opened(speech, NVIDIA, mels=str(twice.parent))
    (tmp_path / "empty").mkdir()
    with pytest.raises(Error, match="holds no mels"):
        opened(speech, NVIDIA, mels=str(tmp_path / "empty"))


def test_lists_as_corpora_have_them(speech: Path, tmp_path: Path) -> None:
    """LJ Speech's metadata.csv, and ``NAME|text`` lists with or without folders and suffixes."""
    root = tmp_path / "LJSpeech-1.1"
    write_corpus(root / "wavs", clips=3)
    metadata = root / "metadata.csv"
    text = "Printing, in the only sense with which we are at present concerned, " * 9
    metadata.write_text(f"clip0|{text}|{text}\nclip2|in being|in being.\n")
    names = [root / "wavs" / "clip0.wav", root / "wavs" / "clip2.wav"]
    assert in_list(metadata) == names
    listed = root / "train.txt"
    listed.write_text("# the others\nwavs/clip1.wav|text\nclip2|more|text\n")
    assert in_list(listed) == [root / "wavs" / "clip1.wav", root / "wavs" / "clip2.wav"]
    plain = root / "plain.txt"
    plain.write_text("wavs/clip1\n")
    assert in_list(plain) == [root / "wavs" / "clip1"], "no corpus's list: taken at its word"
    data = opened(metadata, validation=str(listed))
    assert [clip.path.name for clip in data.corpus.train[0].clips] == ["clip0.wav"]
    assert len(data.corpus.validation) == 2
    listed.write_text("clip9|text\n")
    with collect() as doubts, pytest.raises(AudioError):
        opened(listed)
    assert "clip9" in doubts.messages[0]


def test_several_folders_with_shares(speech: Path, tmp_path: Path) -> None:
    other = write_corpus(tmp_path / "other", clips=1, seconds=2.0)
    sources = (Source(str(speech), 1.0), Source(str(other), 3.0))
    config = MelDataConfig(sources=sources, segment=SEGMENT)
    data = open_mel_data(config, HIFIGAN, rows=200, seed=1)
    long = pcm_of(other / "clip0.wav").size
    sizes = []
    for audio in data.batch(0, range(200))["audio"]:
        try:
            sizes.append(place_of(audio, other)[0].size)
        except AssertionError:
            sizes.append(0)
    assert 0.65 < np.mean(np.array(sizes) == long) < 0.85


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "give either 'path'"),
        ({"path": "a", "sources": [{"path": "b"}]}, "give either 'path'"),
        ({"path": "a", "peak": 2}, "'peak' is 2, expected 0 to 1"),
        ({"path": "a", "gain": [1, 0.5]}, "'gain' is 1 to 0.5"),
        ({"path": "a", "short": "pad"}, "'short' is 'pad', expected one of 'repeat', 'out'"),
        ({"path": "a", "segments": 1}, "did you mean 'segment'"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        from_mapping(MelDataConfig, values, "data")


@pytest.mark.parametrize("recipe", [HIFIGAN, NVIDIA, DESCRIPT, FATCHORD], ids=lambda r: r.name)
def test_the_losss_mel_is_the_extractors(speech: Path, recipe: MelRecipe) -> None:
    pcm = pcm_of(speech / "clip1.wav")
    expected = features.extract(pcm, recipe=recipe)
    found = MelSpectrogram(recipe)(torch.from_numpy(pcm)[None])[0].numpy().T
    assert found.shape == expected.shape
    scale = np.ptp(expected)
    assert np.abs(found - expected).max() < 2e-3 * scale
    assert np.abs(found - expected).mean() < 2e-5 * scale


def test_the_losss_mel_has_a_gradient() -> None:
    audio = torch.zeros(1, 4096, requires_grad=True)
    MelSpectrogram(HIFIGAN)(audio + 1e-3 * torch.sin(torch.arange(4096.0))).sum().backward()
    assert audio.grad is not None and bool(audio.grad.isfinite().all()) and audio.grad.any()


@pytest.mark.parametrize("recipe", [HIFIGAN, NVIDIA, DESCRIPT, FATCHORD], ids=lambda r: r.name)
def test_the_losss_mel_of_silence_has_a_gradient(recipe: MelRecipe) -> None:
    """A generator may say exactly nothing for a while, which must not end its training."""
    audio = torch.zeros(1, 8192)
    audio[0, 6000:] = 0.1 * torch.sin(torch.arange(2192.0))
    audio.requires_grad_()
    MelSpectrogram(recipe)(audio).sum().backward()
    assert audio.grad is not None and bool(audio.grad.isfinite().all()) and audio.grad.any()
