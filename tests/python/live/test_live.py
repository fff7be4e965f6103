"""Live sessions over files, the command line's refusals, and what is pinned of sounddevice."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
import wave
from dataclasses import replace
from pathlib import Path

import interrupts
import numpy as np
import pytest
from jack import environment, need_port_audio
from sounds import speechlike
from voices import MELGAN, TREE, WAVEGLOW, WAVERNN, voice

import pyvoc
from pyvoc import _pyvoc, audio, live
from pyvoc.cli import main
from pyvoc.live import latency
from pyvoc.live.stats import Stats


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    audio.write_wav(path, speechlike(1.3).astype(np.float32), 16000)
    return path


def run(*arguments: str | Path, code: int = 0) -> None:
    assert main([str(a) for a in arguments]) == code


@pytest.mark.parametrize("model", [TREE, MELGAN[0], WAVERNN[0], WAVEGLOW[0]], ids=lambda p: p.stem)
def test_a_file_gives_what_synth_gives(model: Path, speech: Path, tmp_path: Path) -> None:
    rate = voice(model).info.sample_rate
    samples = speechlike(1.3).astype(np.float32)
    audio.write_wav(speech, samples, rate)  # at the model's rate, whatever the sound is then
    features = pyvoc.features.extract(audio.read(speech)[0], model=voice(model))
    expected = voice(model).synthesize(features)
    run("live", "-m", model, "--from", speech, "--to", tmp_path / "out.wav")
    got, found = audio.read(tmp_path / "out.wav")
    assert found == rate
    assert np.array_equal(got, np.clip(np.floor(expected * 32768 + 0.5), -32768, 32767) / 32768)


def test_a_feature_file_and_another_pitch(speech: Path, tmp_path: Path) -> None:
    run("features", speech, "-o", tmp_path / "speech.f32")
    out = tmp_path / "out.wav"
    run("live", "-m", TREE, "--from", tmp_path / "speech.f32", "--to", out, "--pitch", "-5")
    rows = pyvoc.features.load(tmp_path / "speech.f32").copy()
    rows[:, 18] = np.clip((rows[:, 18] + 2) * 2 ** (5 / 12) - 2, -1.36, 3.1)
    expected = voice(TREE).synthesize(rows)
    assert (
        np.abs(audio.read(out)[0] - expected).max() < 0.5 / 32768 + 1e-6
        or np.corrcoef(audio.read(out)[0], expected)[0, 1] > 0.99
    )


def test_bypass_and_record(speech: Path, tmp_path: Path) -> None:
    out, both = tmp_path / "out.wav", tmp_path / "both.wav"
    run("live", "-m", TREE, "--bypass", "--from", speech, "--to", out, "--record", both)
    said = audio.read(speech)[0]
    assert np.array_equal(audio.read(out)[0], said)
    with wave.open(str(both)) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 16000)
        pairs = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2)
    left = pairs[: len(said), 0] / 32768
    assert np.array_equal(left, said[: len(left)])


def test_json_and_stats(speech: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run("live", "-m", TREE, "--from", speech, "--to", tmp_path / "a.wav", "--json")
    report = json.loads(capfd.readouterr().out)
    assert set(report) == set(Stats.__dataclass_fields__)
    assert report["times_real_time"] > 1
    assert report["work"]["count"] > 50
    run("live", "-m", TREE, "--from", speech, "--to", tmp_path / "a.wav", "--stats")
    assert "underruns 0" in capfd.readouterr().out


def test_other_rates_are_resampled(tmp_path: Path) -> None:
    samples = np.interp(np.arange(48000) / 48000, np.arange(16000) / 16000, speechlike(1.0))
    audio.write_wav(tmp_path / "a.wav", samples.astype(np.float32), 48000)
    with live.Session(voice(TREE), source=tmp_path / "a.wav", sink=tmp_path / "b.wav") as session:
        assert session.wait(30)
        assert session.done
    got, rate = audio.read(tmp_path / "b.wav")
    assert rate == 16000
    assert abs(len(got) - 16000) <= 320
    assert session.stats().underruns == 0


def test_hostile_files_leave_nothing(speech: Path, tmp_path: Path) -> None:
    (tmp_path / "noise.wav").write_bytes(b"RIFF" + bytes(100))
    for source in ("missing.wav", "noise.wav"):
        run("live", "-m", TREE, "--from", tmp_path / source, "--to", tmp_path / "o.wav", code=3)
        assert not (tmp_path / "o.wav").exists()
    run("live", "-m", TREE, "--from", speech, "--to", tmp_path / "no" / "o.wav", code=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["noise.wav", "speech.wav"]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"pitch": 25}, "pitch"),
        ({"formant": float("nan")}, "formant"),
        ({"block_ms": 0.1}, "block_ms"),
        ({"margin_ms": -1}, "margin_ms"),
        ({"chunk": 0}, "chunk"),
        ({"rate": 100}, "rate"),
        ({"channels": (0, 1)}, "channels"),
        ({"source": "a.f32", "bypass": True}, "features"),
        ({"source": "a.wav", "input": 0}, "exclude"),
        ({"sink": "a.wav", "output": 0}, "exclude"),
    ],
)
def test_options_are_checked(settings: dict[str, object], word: str) -> None:
    with pytest.raises(pyvoc.Error, match=word):
        live.Options(**settings)  # type: ignore[arg-type]


def test_formants_of_a_mel_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    audio.write_wav(tmp_path / "a.wav", speechlike(0.5).astype(np.float32), 22050)
    ends = ["--from", tmp_path / "a.wav", "--to", tmp_path / "b.wav"]
    run("live", "-m", MELGAN[0], "--formant", "2", *ends, code=4)
    assert "mel frames" in capfd.readouterr().err
    assert not (tmp_path / "b.wav").exists()
    run("live", "-m", MELGAN[0], "--pitch", "2", *ends)


def test_what_is_used_of_sounddevice() -> None:
    """Its private base takes a C function and its data: as documented for library authors."""
    need_port_audio()
    import sounddevice as sd

    given = inspect.signature(sd._StreamBase.__init__).parameters
    used = {"kind", "samplerate", "blocksize", "device", "channels", "dtype", "latency"}
    assert used | {"callback", "userdata", "wrap_callback"} <= set(given)
    assert given["wrap_callback"].default is None
    for name in ("start", "abort", "close", "latency"):
        assert hasattr(sd._StreamBase, name)
    callback = sd._ffi.typeof("PaStreamCallback*")
    assert callback.cname == (
        "int(*)(void *, void *, unsigned long, struct PaStreamCallbackTimeInfo *, unsigned long, "
        "void *)"
    )
    assert callable(sd._exit_handler)
    assert _pyvoc.live_callback_address() != 0


def test_without_sounddevice_or_port_audio(tmp_path: Path) -> None:
    for text, words in (
        ("raise OSError('PortAudio library not found')", ("libportaudio2", "PortAudio")),
        ("raise ImportError('no module')", ("pyvoc-vocoder[live]",)),
    ):
        (tmp_path / "sounddevice.py").write_text(text)
        env = environment()
        env["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{env['PYTHONPATH']}"
        for command in (["devices"], ["live", "-m", str(TREE)]):
            done = subprocess.run(
                [sys.executable, "-m", "pyvoc", *command],
                env=env,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 4, done.stderr
            assert all(word in done.stderr for word in words)


def test_without_devices() -> None:
    need_port_audio()
    env = environment(JACK_DEFAULT_SERVER="nobody-is-called-so")
    command = [sys.executable, "-m", "pyvoc"]
    listed = subprocess.run(
        [*command, "devices", "--json"], env=env, capture_output=True, text=True, check=False
    )
    if json.loads(listed.stdout):
        pytest.skip("this machine has audio devices")
    done = subprocess.run(
        [*command, "live", "-m", str(TREE)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "no input device: there are no audio devices" in done.stderr


def test_ctrl_c_ends_with_a_complete_file(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "long.wav", speechlike(400.0).astype(np.float32), 16000)
    process = subprocess.Popen(
        [sys.executable, "-m", "pyvoc", "live", "--from", "long.wav", "--to", "out.wav", "--json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interrupts.heard,
    )
    assert process.stderr is not None
    process.stderr.readline()  # it runs
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert json.loads(out)["seconds"] > 0
    got, _ = audio.read(tmp_path / "out.wav")
    assert 0 < len(got) <= 400 * 16000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["long.wav", "out.wav"]


def test_a_slow_model_is_refused_with_the_figure(tmp_path: Path) -> None:
    """MelGAN of four times the published size without vector instructions."""
    pytest.importorskip("gguf")
    from pyvoc.families.melgan.bench import seeded

    wide = replace(seeded.SHAPE, channels=tuple(2 * n for n in seeded.SHAPE.channels))
    seeded.SEEDED.write(tmp_path / "slow.gguf", "f32", seeded.tensors(wide))
    code = """if True:
        import pyvoc
        from pyvoc import _pyvoc
        model = pyvoc.load("slow.gguf")
        rest = (0, 0, 1, 1, 0, 1, 1, -1.0, 0.0, 0.0, 0)
        try:
            _pyvoc.Live(model._native, 0, *rest)
        except pyvoc.UnsupportedError as error:
            print(error)
        print(_pyvoc.Live(model._native, _pyvoc.LIVE_FORCE, *rest).stats()["times_real_time"])
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(PYVOC_ISA="scalar"),
        capture_output=True,
        text=True,
        check=True,
    )
    said, forced = done.stdout.splitlines()
    assert re.search(r"melgan .* 0\.\d\d times real time .* too slow for live sound", said)
    assert 0 < float(forced) < 1


def test_lag_by_correlation() -> None:
    sent = latency.probe(16000, seconds=1.0)
    for lag in (0, 1, 777):
        heard = np.concatenate([np.zeros(lag, np.float32), 0.5 * sent])[: len(sent)]
        found, strength = latency.lag_of(sent, heard)
        assert abs(found - lag) < 0.1
        assert strength > 0.9
    assert latency.lag_of(sent, np.zeros_like(sent))[1] == 0.0
