"""``pyvoc synth``: files, pipes, batches, and everything that can be wrong with them."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import wave
from pathlib import Path

import interrupts
import numpy as np
import pytest
import soundfile
from gguf_bytes import key, replaced
from voices import HOP, SOFTMAX, TREE, features_for, make_features, voice

import pyvoc
from pyvoc.cli import main

FULL = Path("/dev/full")
LOUD = np.eye(1, 55, dtype=np.float32) * 5  # c0 of speech


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected(rows: np.ndarray, path: Path = TREE, **settings: object) -> np.ndarray:
    samples = voice(path).synthesize(rows, **settings)
    return np.floor(samples * np.float32(32768) + np.float32(0.5)).astype(np.int16)


def read_wav(path: str | Path) -> np.ndarray:
    with wave.open(str(path), "rb") as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16000)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pyvoc", *arguments]


def save(name: str, rows: np.ndarray) -> str:
    rows.astype("<f4").tofile(name)
    return name


def test_features_to_wav_in_the_current_directory(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = make_features(70)
    (here / "in").mkdir()
    assert main(["synth", save("in/a.f32", rows), "-m", str(TREE)]) == 0
    np.testing.assert_array_equal(read_wav("a.wav"), expected(rows))
    out, err = capfd.readouterr()
    assert out == ""
    for word in ("a.wav", "70 frames", "0.70 s", "x real time", "int8", "latency 20 ms"):
        assert word in err
    assert "\r" not in err  # progress is for terminals


@pytest.mark.parametrize(
    ("name", "dims", "model"), [("a.npy", 36, TREE), ("a.f32", 20, TREE), ("a.f32", 55, SOFTMAX)]
)
def test_layouts(name: str, dims: int, model: Path) -> None:
    rows = make_features(33, dims=dims)
    pyvoc.features.save(name, rows)
    assert main(["synth", name, "-m", str(model), "-o", "x.s16", "--seed", "9"]) == 0
    pcm = np.fromfile("x.s16", "<i2")
    np.testing.assert_array_equal(pcm, expected(rows, model, seed=9))


def test_json_report(capfd: pytest.CaptureFixture[str]) -> None:
    name = save("a.f32", make_features(50))
    assert main(["synth", name, "-m", str(TREE), "-o", "b.raw", "--json", "--seed", "3"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["outputs"] == ["b.raw"]
    assert report["tier"] == pyvoc.system_info()["active_tier"]
    for name, value in {
        "frames": 50,
        "samples": 50 * HOP,
        "audio_seconds": 0.5,
        "layout": "lpcnet36",
        "precision": "int8",
        "latency_ms": 20.0,
        "seed": 3,
    }.items():
        assert report[name] == value, name
    assert report["times_real_time"] > 0
    assert report["synthesis_seconds"] > 0


def test_copy_synthesis() -> None:
    rng = np.random.default_rng(1)
    pcm = (3000 * rng.standard_normal(8000)).astype(np.int16)
    pcm.astype("<i2").tofile("a.s16")
    pyvoc.audio.write_wav("a.wav", pcm, 16000)
    for model, layout in ((TREE, "lpcnet36"), (SOFTMAX, "lpcnet55")):
        rows = pyvoc.features.extract(pcm, layout=layout)
        for source in ("a.s16", "a.wav"):
            assert main(["synth", source, "-m", str(model), "-o", "out.wav"]) == 0
            np.testing.assert_array_equal(read_wav("out.wav"), expected(rows, model))
    before = Path("a.wav").read_bytes()
    assert main(["synth", "a.wav", "-m", str(TREE)]) == 3  # would overwrite its input
    assert Path("a.wav").read_bytes() == before
    assert main(["synth", "a.wav", "-m", str(TREE), "--layout", "lpcnet55", "-o", "o.wav"]) == 3


def test_copy_synthesis_resamples() -> None:
    pytest.importorskip("soxr")
    t = np.arange(22050) / 22050
    pyvoc.audio.write_wav("a.wav", 0.3 * np.sin(2 * np.pi * 300 * t), 22050)
    assert main(["synth", "a.wav", "-m", str(TREE), "-o", "out.wav"]) == 0
    assert len(read_wav("out.wav")) == 16000


def test_draws_from_outside() -> None:
    rows = make_features(12)
    draws = np.random.default_rng(2).random(12 * HOP * 8, np.float32)
    name = save("a.f32", rows)
    save("d.f32", draws)
    assert main(["synth", name, "-m", str(TREE), "-o", "o.wav", "--draws", "d.f32"]) == 0
    np.testing.assert_array_equal(read_wav("o.wav"), expected(rows, draws=draws))
    save("d.f32", draws[:-1])
    assert main(["synth", name, "-m", str(TREE), "-o", "p.wav", "--draws", "d.f32"]) == 3
    assert not Path("p.wav").exists()


@pytest.mark.parametrize("threads", ["1", "2"])
def test_batch(threads: str, capfd: pytest.CaptureFixture[str]) -> None:
    items = {f"in{i}": make_features(5 + 3 * i, seed=i) for i in range(6)}
    names = [save(f"{name}.f32", rows) for name, rows in items.items()]
    assert main(["synth", *names, "-m", str(TREE), "-o", "out/", "--threads", threads]) == 0
    for name, rows in items.items():
        np.testing.assert_array_equal(read_wav(f"out/{name}.wav"), expected(rows))
    assert "6 files" in capfd.readouterr().err
    assert main(["synth", *names, "-m", str(TREE), "-o", "out", "--raw"]) == 0  # it exists
    np.testing.assert_array_equal(np.fromfile("out/in2.s16", "<i2"), expected(items["in2"]))
    assert main(["synth", *names, "-m", str(TREE)]) == 0  # to the current directory
    assert Path("in5.wav").exists()


def test_one_bad_file_of_a_batch_stops_it(capfd: pytest.CaptureFixture[str]) -> None:
    good, bad = save("a.f32", make_features(5)), save("b.f32", make_features(5)[:, :7])
    assert main(["synth", good, bad, "-m", str(TREE), "-o", "out/"]) == 3
    assert "'b.f32'" in capfd.readouterr().err
    assert not Path("out").exists()


def test_standard_output_is_raw_pcm() -> None:
    rows = make_features(20)
    name = save("a.f32", rows)
    done = subprocess.run(
        command("synth", name, "-m", str(TREE), "-o", "-"), capture_output=True, check=True
    )
    np.testing.assert_array_equal(np.frombuffer(done.stdout, "<i2"), expected(rows))
    assert b"x real time" in done.stderr


def test_a_wav_on_standard_output() -> None:
    """Its length is in the header where it is known, and "unknown" where it is not."""
    rows = make_features(20)
    name = save("a.f32", rows)
    options = ("-m", str(TREE), "-o", "-", "--format", "wav")
    done = subprocess.run(command("synth", name, *options), capture_output=True, check=True)
    Path("known.wav").write_bytes(done.stdout)
    np.testing.assert_array_equal(read_wav("known.wav"), expected(rows))
    piped = subprocess.run(
        command("synth", "-", *options), input=rows.tobytes(), capture_output=True, check=True
    )
    assert piped.stdout[40:44] == b"\xff" * 4
    assert piped.stdout[44:] == done.stdout[44:]
    samples, rate = pyvoc.audio.read(io.BytesIO(piped.stdout))
    assert rate == 16000
    np.testing.assert_array_equal(np.round(samples * 32768), expected(rows))


def test_audio_on_standard_input_is_as_from_a_file() -> None:
    """A header of its own, one that does not say how long, and none; two channels at 48 kHz."""
    pytest.importorskip("soxr")
    t = np.arange(24000) / 48000
    left = np.round(9000 * np.sin(2 * np.pi * (150 + 90 * t) * t)).astype("<i2")
    both = np.stack([left, left // 2], axis=1)
    soundfile.write("a.wav", both, 48000)
    Path("a.s16").write_bytes(both.tobytes())
    wav = Path("a.wav").read_bytes()
    at = wav.index(b"data") + 4
    pcm = ("--rate", "48000", "--channels", "2")
    assert main(["synth", "a.wav", "-m", str(TREE), "-o", "want.wav"]) == 0
    assert main(["synth", "a.s16", "-m", str(TREE), "-o", "raw.wav", *pcm]) == 0
    assert len(read_wav("want.wav")) == 8000
    np.testing.assert_array_equal(read_wav("raw.wav"), read_wav("want.wav"))
    for data, options in (
        (wav, ()),
        (wav[:at] + bytes(4) + wav[at + 4 :], ()),
        (wav[:at] + b"\xff" * 4 + wav[at + 4 :], ("--strict",)),
        (both.tobytes(), pcm),
    ):
        process = command("synth", "-", "-m", str(TREE), "-o", "got.wav", *options)
        done = subprocess.run(process, input=data, capture_output=True, check=True)
        assert b"warning" not in done.stderr
        np.testing.assert_array_equal(read_wav("got.wav"), read_wav("want.wav"))


@pytest.mark.parametrize(("model", "own"), [(TREE, 36), (SOFTMAX, 55)])
@pytest.mark.parametrize("dims", [20, 36, 55])
def test_every_layout_into_either_generation(model: Path, own: int, dims: int) -> None:
    """The twenty numbers are what is heard, whatever lies beside them."""
    twenty = make_features(9, dims=20)
    rows = {20: twenty}
    for width, pitch in ((36, 18), (55, 36)):
        rows[width] = make_features(9, dims=width, seed=7)
        rows[width][:, :18] = twenty[:, :18]
        rows[width][:, pitch : pitch + 2] = twenty[:, 18:]
    pyvoc.features.save("a.npy", rows[dims])
    assert main(["synth", "a.npy", "-m", str(model), "-o", "x.s16"]) == 0
    want = expected(rows[own], model)
    np.testing.assert_array_equal(np.fromfile("x.s16", "<i2"), want)
    process = command("synth", "-", "-m", str(model), "--layout", f"lpcnet{dims}")
    done = subprocess.run(process, input=rows[dims].tobytes(), capture_output=True, check=True)
    np.testing.assert_array_equal(np.frombuffer(done.stdout, "<i2"), want)


def test_doubtful_input_is_said_counted_and_refused(capfd: pytest.CaptureFixture[str]) -> None:
    tone = np.sin(np.arange(8000) * 0.1) * 0.4
    for name in ("a", "b"):
        pyvoc.audio.write_wav("whole.wav", tone, 16000)
        Path(f"{name}.wav").write_bytes(Path("whole.wav").read_bytes()[:9001])
    arguments = ["synth", "a.wav", "b.wav", "-m", str(TREE), "-o", "out/"]
    assert main([*arguments, "--json"]) == 0
    out, err = capfd.readouterr()
    report = json.loads(out)
    assert [w.split("'")[1] for w in report["warnings"]] == ["a.wav", "b.wav"]
    assert err.splitlines() == [
        *(f"pyvoc: warning: {sentence}" for sentence in report["warnings"]),
        "pyvoc: 2 warnings: 2 cut short",
    ]
    assert main([*arguments[:-1], "strict/", "--strict"]) == 3
    err = capfd.readouterr().err
    assert "'a.wav' is cut short" in err
    assert err.count("\n") == 1
    assert not Path("strict").exists()


def test_standard_input_streams() -> None:
    """What can be heard comes out before the input has ended."""
    rows = make_features(30)
    want = expected(rows).astype("<i2").tobytes()
    process = subprocess.Popen(
        command("synth", "-", "-m", str(TREE)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    data = rows.astype("<f4").tobytes()
    process.stdin.write(data[: 10 * 144 + 7])  # ten frames and a little
    process.stdin.flush()
    early = process.stdout.read(8 * HOP * 2)  # two are held back
    assert early == want[: len(early)]
    process.stdin.write(data[10 * 144 + 7 :])
    rest, err = process.communicate()
    assert early + rest == want
    assert process.returncode == 0
    assert b"30 frames" in err


def test_standard_input_to_a_file() -> None:
    rows = make_features(30, dims=20)
    data = rows.astype("<f4").tobytes()
    process = command("synth", "-", "-m", str(TREE), "-o", "o.wav", "--layout", "lpcnet20")
    subprocess.run(process, input=data, check=True, capture_output=True)
    np.testing.assert_array_equal(read_wav("o.wav"), expected(rows))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "holds no features"),
        (make_features(3).tobytes()[:-5], "ends within frame 2: 139 bytes of 144"),
        (make_features(3).tobytes()[:5], "ends within frame 0"),
        (np.full(72, np.nan, "<f4").tobytes(), "NaN"),
        (np.full(72, 1e30, "<f4").tobytes(), "no lpcnet36 features"),
        ((make_features(36, dims=55) + LOUD).tobytes(), "no lpcnet36 features"),
        (b"RIFF" + bytes(200), "standard input is no audio file"),
        (b"GGUF" + bytes(200), "starts like a GGUF model"),
        (make_features(6, dims=20).tobytes(), "--layout lpcnet20"),
    ],
)
def test_bad_standard_input(data: bytes, word: str) -> None:
    process = command("synth", "-", "-m", str(TREE), "-o", "o.wav")
    done = subprocess.run(process, input=data, capture_output=True, check=False)
    assert done.returncode == 3, done.stderr
    assert word in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1  # a sentence, no traceback
    assert not list(Path().iterdir())


ROWS = make_features(12)
BAD_FILES = {
    "empty.f32": (b"", "empty"),
    "odd.f32": (ROWS.tobytes()[:-1], "bytes"),
    "cut.f32": (ROWS.tobytes()[:-4], "floats"),
    "nan.f32": (np.where(np.arange(36) == 5, np.nan, ROWS).astype("<f4").tobytes(), "NaN"),
    "inf.f32": (np.where(np.arange(36) == 5, np.inf, ROWS).astype("<f4").tobytes(), "infinite"),
    "absurd.f32": ((ROWS * 1e6).astype("<f4").tobytes(), "no LPCNet features"),
    "sound.f32": (b"RIFF" + bytes(140), "audio (wav)"),
    "broken.npy": (b"\x93NUMPY\x01\x00", ".npy"),
    "text.wav": (b"no sound at all", "audio"),
    "odd.s16": (b"123", "odd"),
    "short.s16": (b"01" * 50, "'short.s16': 50 samples are too short"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_feature_and_audio_files(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, word = BAD_FILES[name]
    Path(name).write_bytes(data)
    assert main(["synth", name, "-m", str(TREE), "-o", "out.wav"]) == 3
    err = capfd.readouterr().err
    assert err.startswith("pyvoc: ")
    assert word in err
    assert err.count("\n") == 1
    assert not Path("out.wav").exists()
    assert not list(Path().glob("*tmp*"))


@pytest.mark.parametrize("source", ["missing.f32", ".", "missing.wav", "missing.s16"])
def test_inputs_that_are_no_files(source: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", source, "-m", str(TREE), "-o", "out.wav"]) == 3
    assert f"'{source}'" in capfd.readouterr().err


def test_bad_models(capfd: pytest.CaptureFixture[str]) -> None:
    name = save("a.f32", ROWS)
    data = TREE.read_bytes()
    version = key("pyvoc.format_version", 4, b"\1\0\0\0")
    files = {
        "empty.gguf": (b"", 3),
        "text.gguf": (b"hello, world", 3),
        "cut.gguf": (data[:-4096], 3),
        "other.gguf": (replaced(data, b"pyvoc.lpcnet", b"pyvoc.nobody"), 4),
        "newer.gguf": (replaced(data, version, version[:-4] + b"\2\0\0\0"), 4),
    }
    for model, (content, code) in files.items():
        Path(model).write_bytes(content)
        assert main(["synth", name, "-m", model]) == code, model
        assert model in capfd.readouterr().err
    for model in (".", "missing.gguf"):
        assert main(["synth", name, "-m", model]) == 3
    assert main(["synth", name, "-m", str(TREE), "--precision", "bf16"]) == 4
    assert "convert MODEL -o NEW.gguf --precision bf16" in capfd.readouterr().err
    assert not Path("a.wav").exists()


def test_outputs_that_cannot_be(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = save("a.f32", ROWS)
    Path("file").write_bytes(b"")
    for output in ("no/such/folder/x.wav", "file/x.wav", "file/"):
        assert main(["synth", name, "-m", str(TREE), "-o", output]) == 3, output
        assert "file" in (err := capfd.readouterr().err) or "no/such" in err
    assert main(["synth", save("b.f32", ROWS[:, :7]), "-m", str(TREE), "-o", "keep.wav"]) == 3
    Path("keep.wav").write_bytes(b"before")
    assert main(["synth", "b.f32", "-m", str(TREE), "-o", "keep.wav"]) == 3
    assert Path("keep.wav").read_bytes() == b"before"


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_a_full_disk(capfd: pytest.CaptureFixture[str]) -> None:
    name = save("a.f32", make_features(300))
    for style in ("wav", "s16"):
        assert main(["synth", name, "-m", str(TREE), "-o", str(FULL), "--format", style]) == 3
        assert "No space left" in capfd.readouterr().err
    with FULL.open("wb") as full:
        for source in (name, "-"):
            done = subprocess.run(
                command("synth", source, "-m", str(TREE), "-o", "-"),
                input=ROWS.tobytes(),
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
            assert done.returncode == 3
            assert b"No space left" in done.stderr
            assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="no SIGPIPE")
def test_a_broken_pipe_is_quiet() -> None:
    name = save("a.f32", make_features(2000))
    process = subprocess.Popen(
        command("synth", name, "-m", str(TREE), "-o", "-"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def test_interruption_is_quiet_and_leaves_nothing() -> None:
    process = subprocess.Popen(
        command("synth", "-", "-m", str(TREE), "-o", "o.wav"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=interrupts.heard,
    )
    assert process.stdin is not None and process.stderr is not None
    process.stdin.write(ROWS.tobytes())
    process.stdin.flush()
    while not list(Path().iterdir()):  # until the temporary file is there
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.f32", "b.f32", "-m", "m", "-o", "x.wav"],
        ["-", "a.f32", "-m", "m", "-o", "out/"],
        ["-", "-m", "m", "-o", "out/"],
        ["a.f32", "-m", "m", "-o", "x.mp3"],
        ["a.f32", "-m", "m", "-o", "-", "--json"],
        ["a.f32", "-m", "m", "--rate", "8000"],
        ["a.wav", "-m", "m", "--channels", "2"],
        ["a.s16", "-m", "m", "--rate", "0"],
        ["a.f32", "x/a.f32", "-m", "m", "-o", "out/"],
        ["a.f32", "b.f32", "-m", "m", "-o", "out/", "--draws", "d.f32"],
        ["a.f32", "-m", "m", "--seed", "-1"],
        ["a.f32", "-m", "m", "--threads", "0"],
        ["a.f32", "-m", "m", "--precision", "int4"],
        ["a.f32", "-m", "m", "--layout", "mel80"],
    ],
)
def test_usage(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["synth", *arguments])
    assert caught.value.code == 2
    assert "usage: pyvoc synth" in capfd.readouterr().err
    assert not list(Path().iterdir())


def test_same_result_as_the_library_on_threads() -> None:
    rows = [features_for(voice(TREE), 9, seed=i) for i in range(3)]
    names = [save(f"{i}.f32", array) for i, array in enumerate(rows)]
    assert main(["synth", *names, "-m", str(TREE), "-o", "o/", "--seed", "4"]) == 0
    for i, array in enumerate(rows):
        np.testing.assert_array_equal(read_wav(f"o/{i}.wav"), expected(array, seed=4))
