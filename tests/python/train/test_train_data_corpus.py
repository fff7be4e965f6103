"""Corpora: what is found, held out, weighted, and what is left out and why."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from train_speech import RATE, speech_like, write_clips

from pyvoc import audio, doubts
from pyvoc.errors import AudioError, DoubtError, Error, UnsupportedError
from pyvoc.train.data import Holdout, Source, load_corpus


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of 0.6 to 1 s, one of them below."""
    folder = tmp_path_factory.mktemp("speech")
    write_clips(folder, [0.6, 0.7, 0.8, 0.9])
    (folder / "below").mkdir()
    speech_like(1.0, seed=9).astype("<i2").tofile(folder / "below" / "deep.s16")
    (folder / "notes.md").write_text("not audio")
    return folder


def test_a_folder_to_the_bottom(made: Path) -> None:
    corpus = load_corpus([made])
    assert [c.path.name for s in corpus.train for c in s.clips] == [
        "deep.s16",
        "clip0.wav",
        "clip1.wav",
        "clip2.wav",
        "clip3.wav",
    ]
    assert corpus.validation == ()
    assert corpus.report.clips == 5
    assert corpus.seconds == pytest.approx(4.0)
    np.testing.assert_array_equal(corpus.train[0].clips[0].pcm, speech_like(1.0, seed=9))
    np.testing.assert_array_equal(corpus.train[0].clips[1].pcm, speech_like(0.6, seed=0))


def test_lists_and_files(made: Path) -> None:
    (made / "some.txt").write_text("# a comment\nclip1.wav\n\nbelow/deep.s16\n")
    corpus = load_corpus([made / "some.txt", made / "clip0.wav"])
    assert [[c.path.name for c in s.clips] for s in corpus.train] == [
        ["clip1.wav", "deep.s16"],
        ["clip0.wav"],
    ]
    assert [s.share for s in corpus.train] == pytest.approx([1.7 / 2.3, 0.6 / 2.3])


def test_weights(made: Path) -> None:
    corpus = load_corpus([Source(made / "clip0.wav", 3.0), Source(made / "below", 1.0)])
    assert [s.share for s in corpus.train] == [0.75, 0.25]
    for weights in ((1.0, None), (1.0, 0.0), (1.0, -2.0), (float("nan"), 1.0)):
        with pytest.raises(Error, match="weight"):
            load_corpus([Source(made / "clip0.wav", weights[0]), Source(made, weights[1])])


def names(clips: tuple) -> set[str]:
    return {clip.path.name for clip in clips}


def test_held_out_clips_are_not_trained_on(made: Path, tmp_path: Path) -> None:
    by_name = load_corpus([made], Holdout(names=("clip1", "deep.s16")))
    assert names(by_name.validation) == {"clip1.wav", "deep.s16"}
    assert names(by_name.train[0].clips) == {"clip0.wav", "clip2.wav", "clip3.wav"}

    by_path = load_corpus([made, made / "clip0.wav"], Holdout(path=made / "below"))
    assert names(by_path.validation) == {"deep.s16"}
    assert "deep.s16" not in names(by_path.train[0].clips)

    one = load_corpus([made], Holdout(fraction=1e-9))
    assert len(one.validation) == 1, "one clip at least"
    some = load_corpus([made], Holdout(fraction=0.5))
    assert names(one.validation) <= names(some.validation)
    assert not names(some.validation) & names(some.train[0].clips)

    grown = tmp_path / "grown"
    shutil.copytree(made, grown)
    write_clips(grown / "more", [0.5])
    (grown / "more" / "clip0.wav").rename(grown / "more" / "new.wav")
    again = load_corpus([grown], Holdout(fraction=0.5))
    assert names(again.validation) - {"new.wav"} == names(some.validation)

    with pytest.raises(AudioError, match="clip77"):
        load_corpus([made], Holdout(names=("clip77",)))
    with pytest.raises(AudioError, match="leaves no speech to train on"):
        load_corpus([made / "below"], Holdout(names=("deep",)))
    with pytest.raises(Error, match="by two"):
        Holdout(names=("a",), fraction=0.1)
    with pytest.raises(Error, match=r"fraction is 1\.5"):
        Holdout(fraction=1.5)


def test_what_is_left_out_is_counted(made: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    good = speech_like(0.6)
    audio.write_wav(bad / "good.wav", good, RATE)
    audio.write_wav(bad / "short.wav", good[:4000], RATE)
    audio.write_wav(bad / "silent.wav", np.full(16000, 3, np.int16), RATE)
    audio.write_wav(bad / "zeros.wav", np.zeros(16000, np.int16), RATE)
    audio.write_wav(bad / "clipped.wav", np.clip(good * 30.0 / 32768, -1, 1), RATE)
    sick = good.astype(np.float32) / 32768
    sick[500] = np.nan
    soundfile.write(bad / "nan.wav", sick, RATE, subtype="FLOAT")
    (bad / "text.wav").write_text("this is no sound")
    (bad / "odd.s16").write_bytes(b"abc")
    corpus = load_corpus([bad])
    expected = {"too short": 1, "silent": 2, "clipped": 1, "not finite": 1, "unreadable": 2}
    assert corpus.report.counts == expected
    assert names(corpus.train[0].clips) == {"good.wav"}
    for name in ("short", "silent", "zeros", "clipped", "nan", "text", "odd"):
        assert any(f"left out: '{bad / name}." in warning for warning in corpus.report.warnings)
    assert str(corpus.report) == (
        "1 clips, 0.6 s; left out 7: 1 clipped, 1 not finite, 2 silent, 1 too short, 2 unreadable"
    )
    with pytest.raises(DoubtError, match=r"left out: .*clipped\.wav"), doubts.collect(strict=True):
        load_corpus([bad])
    (bad / "good.wav").unlink()
    with pytest.raises(AudioError, match=r"no speech to train on.*2 silent"):
        load_corpus([bad])
    with pytest.raises(AudioError, match="no clip is left for validation"):
        load_corpus([made], Holdout(path=bad))


def test_other_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fast.wav"
    t = np.arange(22050) / 22050
    audio.write_wav(path, 0.3 * np.sin(2 * np.pi * 440 * t), 22050)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "soxr", None)
        with pytest.raises(UnsupportedError, match=r"fast\.wav.*22050 Hz.*soxr"):
            load_corpus([path])
    pytest.importorskip("soxr")
    corpus = load_corpus([path])
    assert corpus.report.resampled == {22050: 1}
    assert "1 resampled from 22050 Hz" in str(corpus.report)
    pcm = corpus.train[0].clips[0].pcm
    assert abs(pcm.size - 16000) <= 1
    middle = pcm[4000:12000] / 32768
    tone = np.exp(-2j * np.pi * 440 * np.arange(8000) / RATE)
    assert abs(2 * np.mean(middle * tone)) == pytest.approx(0.3, abs=1e-3)


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for name, message in (
        ("empty", "directory without audio files"),
        ("empty.txt", "lists no files"),
        ("binary.txt", "UTF-8"),
        ("absent", "No such file"),
        ("absent.txt", "No such file"),
    ):
        with pytest.raises(Error, match=message):
            load_corpus([tmp_path / name])
    with pytest.raises(Error, match="no speech to train on"):
        load_corpus([])
