"""Streams with less look-ahead than the model's: what they give, and what is said of it."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_golden_waveglow import GOLDEN, load, utterances
from test_runtime_waveglow import EARLY, EVERY, noise
from voices import MELGAN, SOFTMAX, TINY, WAVERNN, features_for, make_mel, voice
from waveglow_files import int8_container, tiny_waveglow, write

import pyvoc
from pyvoc import _pyvoc
from pyvoc.cli import main
from pyvoc.container import write_container
from pyvoc.container.mel import NVIDIA
from pyvoc.convert.run import convert
from pyvoc.families.waveglow.spec import WAVEGLOW, WaveglowSettings
from pyvoc.runtime import lookahead

PUSHES = (1, 3, 0, 2, 9, 1, 40, 4)


def streamed(
    model: pyvoc.Model,
    mel: np.ndarray,
    pushes: tuple[int, ...],
    *,
    ahead: int,
    limit: int | None = None,
) -> list[np.ndarray]:
    """What each push makes due, in pulls of at most `limit`; last, what the flush does."""
    found, at = [], 0
    with model.stream(lookahead=ahead) as stream:
        for n in (*pushes, None):
            if n is None:
                stream.flush()
            else:
                stream.push(mel[at : at + n])
                at += n
            pieces = [stream.pull(0)]
            while stream.available:
                pieces.append(stream.pull(limit))
            found.append(np.concatenate(pieces))
    assert at == len(mel)
    return found


def expected(
    model: pyvoc.Model, mel: np.ndarray, pushes: tuple[int, ...], *, ahead: int
) -> list[np.ndarray]:
    """The same, by synthesising an utterance that ends with each push."""
    hop, found, at, given = model.info.hop_length, [], 0, 0
    for n in pushes:
        at += n
        due = max(at - ahead, given)
        whole = model.synthesize(mel[:at]) if due > given else np.empty(0, np.float32)
        found.append(whole[given * hop : due * hop])
        given = due
    return [*found, model.synthesize(mel)[given * hop :]]


def check(model: pyvoc.Model, pushes: tuple[int, ...], *, ahead: int) -> None:
    mel = make_mel(sum(pushes), bands=model.info.feature_dims, seed=ahead)
    wanted = expected(model, mel, pushes, ahead=ahead)
    for limit in (None, 5, 3 * model.info.hop_length):
        found = streamed(model, mel, pushes, ahead=ahead, limit=limit)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


@EVERY
def test_what_is_due_is_as_if_the_stream_ended(path: Path) -> None:
    """Bit for bit, for every look-ahead and however it is pulled."""
    model = voice(path)
    for ahead in range(model.info.lookahead_frames):
        check(model, PUSHES, ahead=ahead)


@EVERY
def test_the_models_own_look_ahead_is_exact(path: Path) -> None:
    model = voice(path)
    mel = make_mel(sum(PUSHES), bands=model.info.feature_dims)
    for more in (0, 1, 1000):
        ahead = model.info.lookahead_frames + more
        found = np.concatenate(streamed(model, mel, PUSHES, ahead=ahead))
        np.testing.assert_array_equal(found, model.synthesize(mel))


def test_int8(tmp_path: Path) -> None:
    write_container(tmp_path / "model.gguf", int8_container(), spec=WAVEGLOW)
    for ahead in (0, 3):
        check(pyvoc.load(tmp_path / "model.gguf"), PUSHES, ahead=ahead)


def test_a_full_models_depth(tmp_path: Path) -> None:
    """12 flows of 8 layers, 96 frames: more rows are missing than flows take at a time."""
    deep = tiny_waveglow().TinyWaveglow(
        WaveglowSettings(replace(NVIDIA, bands=2)), 12, 8, 2, taps=512, seed=33
    )
    write(tmp_path / "deep.gguf", deep)
    model = pyvoc.load(tmp_path / "deep.gguf")
    assert model.info.lookahead_frames == 96
    for ahead in (0, 50, 95):
        check(model, (60, 24, 1, 30), ahead=ahead)


def test_frames_of_many_slices(tmp_path: Path) -> None:
    """A block of frames is more steps than a flow takes at a time."""
    settings = WaveglowSettings(replace(NVIDIA, bands=3), 2, 2, 0)
    write(tmp_path / "long.gguf", tiny_waveglow().TinyWaveglow(settings, 6, 5, 4, 256, seed=32))
    model = pyvoc.load(tmp_path / "long.gguf")
    assert model.info.lookahead_frames == 2
    for ahead in (0, 1):
        check(model, (2, 30, 1), ahead=ahead)


def test_pushes_count_when_nothing_is_pulled() -> None:
    """What a push makes due does not depend on when it is pulled."""
    model = voice(EARLY)
    mel = make_mel(sum(PUSHES), bands=model.info.feature_dims)
    eager = np.concatenate(streamed(model, mel, PUSHES, ahead=2))
    with model.stream(lookahead=2) as stream:
        at = 0
        for n in PUSHES:
            stream.push(mel[at : at + n])
            at += n
        stream.flush()
        np.testing.assert_array_equal(stream.pull(), eager)
    assert not np.array_equal(eager, model.synthesize(mel))


def test_accounting_and_reset() -> None:
    model, ahead = voice(EARLY), 3
    hop = model.info.hop_length
    mel = make_mel(20, bands=model.info.feature_dims)
    with model.stream(lookahead=ahead, sigma=0.9) as stream:
        rounds = []
        for _ in range(2):
            assert stream.latency_samples == ahead * hop
            pieces = []
            for n in range(1, 21):
                stream.push(mel[n - 1 : n])
                due = max(n - ahead, 0) * hop
                assert stream.available == due - sum(map(len, pieces))
                pieces.append(stream.pull())
            stream.flush()
            assert stream.available == ahead * hop
            pieces.append(stream.pull())
            rounds.append(np.concatenate(pieces))
            stream.reset()
        np.testing.assert_array_equal(*rounds)
    with model.stream(lookahead=100) as stream:
        assert stream.latency_samples == model.info.latency_samples


def test_lockstep_and_threads(tmp_path: Path) -> None:
    settings = WaveglowSettings(replace(NVIDIA, bands=12), 8, 2, 2)
    write(tmp_path / "wide.gguf", tiny_waveglow().TinyWaveglow(settings, 3, 4, 128, 512, seed=31))
    mel = make_mel(29, bands=12)
    singles = []
    for threads in (1, 2):
        model = pyvoc.load(tmp_path / "wide.gguf", threads=threads)
        singles.append(np.concatenate(streamed(model, mel, (11, 18), ahead=1)))
    np.testing.assert_array_equal(*singles)
    streams = [_pyvoc.Stream(model._native, 0, 1, None, ahead) for ahead in (1, 0, 50)]
    found: list[list[np.ndarray]] = [[], [], []]
    for rows in (mel[:11], mel[11:], None):
        for stream in streams:
            stream.flush() if rows is None else stream.push(rows)
        while any(stream.available for stream in streams):
            pieces = _pyvoc.pull_lockstep(streams, 300)
            for pulled, piece in zip(found, pieces, strict=True):
                pulled.append(piece)
    np.testing.assert_array_equal(np.concatenate(found[0]), singles[0])
    np.testing.assert_array_equal(np.concatenate(found[2]), model.synthesize(mel))
    np.testing.assert_array_equal(
        np.concatenate(found[1]), np.concatenate(streamed(model, mel, (11, 18), ahead=0))
    )


def measure(model: pyvoc.Model, mel: np.ndarray, ahead: int, **settings: object) -> float:
    """SNR in dB of pushes of 8 frames."""
    meter = lookahead.Meter(model, ahead, **settings)  # type: ignore[arg-type]
    meter.early(lookahead.synthesize_early(model, [mel], ahead, **settings)[0])  # type: ignore[arg-type]
    meter.push(mel)
    meter.end()
    found = meter.report(lookahead.PUSH_FRAMES)
    assert (found.snr_db is None) == (found.max_error == 0)
    return np.inf if found.snr_db is None else found.snr_db


def test_the_error_falls() -> None:
    model = voice(EARLY)
    mel = make_mel(400, bands=model.info.feature_dims)
    found = [measure(model, mel, ahead) for ahead in (0, 2, 4, 6, 7)]
    assert found == sorted(found)
    assert found[0] > 3
    assert found[3] > found[0] + 20
    assert found[4] == np.inf


def test_draws() -> None:
    model, frames = voice(EARLY), 30
    mel, draws = make_mel(frames, bands=model.info.feature_dims), noise(EARLY, frames)
    found = lookahead.synthesize_early(model, [mel], 7, draws=draws)[0]
    np.testing.assert_array_equal(found, model.synthesize(mel, draws=draws))
    assert measure(model, mel, 7, draws=draws, options={"sigma": 0.7}) == np.inf
    assert 0 < measure(model, mel, 1, draws=draws, options={"sigma": 0.7}) < np.inf


def test_memory_is_booked_when_a_stream_opens() -> None:
    """Minutes of frames, and not a page more."""
    pages = Path("/proc/self/statm")
    if not pages.exists():
        pytest.skip("no /proc")
    model = voice(EARLY)
    mel = make_mel(50, bands=model.info.feature_dims)
    with model.stream(lookahead=2) as stream:
        sizes = []
        for round_ in range(60):
            stream.push(mel)
            stream.pull()
            if round_ in (10, 59):
                sizes.append(int(pages.read_text().split()[0]))
    assert sizes[1] == sizes[0]


@pytest.mark.parametrize("path", [MELGAN[0], SOFTMAX, TINY[0], WAVERNN[0]], ids=lambda p: p.stem)
def test_models_that_cannot_do_with_less(path: Path) -> None:
    model = voice(path)
    own, rows = model.info.lookahead_frames, features_for(model, 12)
    assert own > 0
    with model.stream(lookahead=own) as stream:
        stream.push(rows)
        stream.flush()
        np.testing.assert_array_equal(stream.pull(), model.synthesize(rows))
    match = f"{model.info.architecture} looks ahead {own} frames? and cannot do with less"
    with pytest.raises(pyvoc.UnsupportedError, match=match):
        model.stream(lookahead=own - 1)


def test_bad_look_ahead() -> None:
    model = voice(EARLY)
    for bad in (-1, 65536, 10**30):
        with pytest.raises(
            pyvoc.Error, match=r"the look-ahead is -?\d+ frames, expected 0 to 65535"
        ):
            model.stream(lookahead=bad)
    for odd in (1.5, "3"):
        with pytest.raises(pyvoc.Error, match="expected the look-ahead as a whole number"):
            model.stream(lookahead=odd)  # type: ignore[arg-type]
    with pytest.raises(pyvoc.Error, match="the look-ahead is 65536 frames, expected 0 to 65535"):
        _pyvoc.Stream(model._native, 0, 1, None, 65536)


def test_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The samples are those of 8 frames at a time, the error is theirs, also of several files."""
    model = voice(EARLY)
    mels = [make_mel(n, bands=model.info.feature_dims, seed=n) for n in (50, 61)]
    names = []
    for n, mel in enumerate(mels):
        names.append(str(tmp_path / f"{n}.npy"))
        np.save(names[-1], mel)
    command = ["synth", "-m", str(EARLY), "--seed", "3", "--format", "s16", "-o", f"{tmp_path}/"]
    assert main([*command, *names, "--lookahead", "2", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    early = lookahead.synthesize_early(model, mels, 2, seed=3)
    exact = [model.synthesize(mel, seed=3) for mel in mels]
    for n, samples in enumerate(early):
        pcm = np.fromfile(tmp_path / f"{n}.s16", "<i2") / 32768
        np.testing.assert_allclose(pcm, np.clip(samples, -1, 1), rtol=0, atol=1 / 32768)
    a, b = (np.concatenate(x).astype(np.float64) for x in (exact, early))
    assert report["lookahead"]["frames"] == 2
    assert report["lookahead"]["push_frames"] == 8
    assert report["lookahead"]["max_error"] == pytest.approx(np.abs(a - b).max())
    snr = 10 * np.log10(np.square(a).sum() / np.square(a - b).sum())
    assert report["lookahead"]["snr_db"] == pytest.approx(snr)
    assert report["latency_ms"] == 1000 * 2 * model.info.hop_length / model.info.sample_rate

    assert main([*command, names[0], "--lookahead", "2"]) == 0
    err = capfd.readouterr().err
    assert "look-ahead 2 frames, pushed 8 at a time: against the exact samples SNR " in err
    assert main([*command, names[0], "--lookahead", "7", "--denoise", "0.5"]) == 0
    assert "look-ahead 7 frames, pushed 8 at a time: the exact samples" in capfd.readouterr().err
    assert main([*command, names[0], "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["lookahead"] is None


def test_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model = voice(EARLY)
    mel = make_mel(40, bands=model.info.feature_dims)

    class Pieces(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read(4 * 5 * 10)  # ten frames

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pieces(mel.tobytes())))
    target = tmp_path / "o.s16"
    command = ["synth", "-", "-m", str(EARLY), "-o", str(target), "--json", "--lookahead", "1"]
    assert main(command) == 0
    report = json.loads(capfd.readouterr().out)
    early = np.concatenate(streamed(model, mel, (10, 10, 10, 10), ahead=1))
    pcm = np.fromfile(target, "<i2") / 32768
    np.testing.assert_allclose(pcm, np.clip(early, -1, 1), rtol=0, atol=1 / 32768)
    gap = np.abs(early - model.synthesize(mel)).max()
    assert report["lookahead"]["max_error"] == pytest.approx(gap)
    assert report["lookahead"]["push_frames"] is None


def test_command_line_refuses(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = str(tmp_path / "mel.npy")
    np.save(name, make_mel(23, bands=voice(MELGAN[0]).info.feature_dims))
    command = ["synth", "-m", str(MELGAN[0]), name, "-o", str(tmp_path / "o.wav"), "--lookahead"]
    assert main([*command, "0"]) == 4
    assert "and cannot do with less" in capfd.readouterr().err
    assert not (tmp_path / "o.wav").exists()
    with pytest.raises(SystemExit):
        main([*command, "9", "--fold", "2000,100"])
    assert "--lookahead streams, --fold and --upstream-compat do not" in capfd.readouterr().err
    for bad in ("-1", "65536", "x", "1.5"):
        with pytest.raises(SystemExit):
            main([*command, bad])
        assert f"'{bad}' is no whole number in 0..65535" in capfd.readouterr().err


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no WaveGlow checkpoints in {GOLDEN}")
def test_upstreams_small_model(tmp_path: Path) -> None:
    """What is lost falls with the look-ahead, on speech."""
    checkpoint, utterance = next(p.values for p in utterances() if "small" in str(p.values[1]))
    convert(checkpoint, tmp_path / "model.gguf")
    mel, _, sigma, _ = load(utterance)
    model = pyvoc.load(tmp_path / "model.gguf")
    own = model.info.lookahead_frames
    found = [measure(model, mel, n, options={"sigma": sigma}) for n in (0, own)]
    assert found == sorted(found)
    assert found[-1] == np.inf
