"""``pyvoc features`` and ``pyvoc dump-data``: the commands, on files good and bad."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pyvoc import audio, features
from pyvoc.cli import dump_data as cli_dump
from pyvoc.cli import features as cli_features
from pyvoc.errors import AudioError, Error
from pyvoc.families.lpcnet import dump

ROOT = Path(__file__).resolve().parents[4]


def command(*arguments: str | Path) -> int:
    """Parse and run as the main program does, without its mapping of exceptions."""
    parser = argparse.ArgumentParser(prog="pyvoc")
    subparsers = parser.add_subparsers(required=True)
    cli_features.add_parser(subparsers)
    cli_dump.add_parser(subparsers)
    args = parser.parse_args([str(a) for a in arguments])
    code: int = args.run(args)
    return code


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """0.5 s of raw PCM."""
    rng = np.random.default_rng(1)
    path = tmp_path / "speech.s16"
    np.rint(3000 * rng.standard_normal(8000)).astype("<i2").tofile(path)
    return path


# ---- pyvoc features ----


def test_one_file(speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.f32"
    assert command("features", speech, "-o", out, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["frames"] == 50
    assert report["layout"] == "lpcnet36"
    expected = features.extract(np.fromfile(speech, dtype="<i2"))
    np.testing.assert_array_equal(features.load(out), expected)


def test_many_files_are_one_signal(speech: Path, tmp_path: Path) -> None:
    pcm = np.fromfile(speech, dtype="<i2")
    audio.write_wav(tmp_path / "second.wav", pcm[:777], 16000)
    expected = features.extract(np.concatenate([pcm, pcm[:777], pcm]))
    out = tmp_path / "out.npy"
    assert command("features", speech, tmp_path / "second.wav", speech, "-o", out) == 0
    np.testing.assert_array_equal(features.load(out), expected)

    listing = tmp_path / "list.txt"
    listing.write_text("speech.s16\n\n# a comment\nsecond.wav\nspeech.s16\n")
    assert command("features", listing, "-o", tmp_path / "list.f32") == 0
    np.testing.assert_array_equal(features.load(tmp_path / "list.f32"), expected)


def test_directories(speech: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    pcm = np.fromfile(speech, dtype="<i2")
    pcm.tofile(corpus / "b.s16")
    pcm[:4000].tofile(corpus / "a.raw")
    (corpus / "notes.md").write_text("not audio")
    out = tmp_path / "rows"
    assert command("features", corpus, "-o", f"{out}/", "--layout", "lpcnet55") == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.f32", "b.f32"]
    expected = features.extract(pcm, layout="lpcnet55")
    np.testing.assert_array_equal(features.load(out / "b.f32"), expected)
    assert command("features", corpus, "-o", tmp_path / "all.f32") == 0
    whole = features.extract(np.concatenate([pcm[:4000], pcm]))
    np.testing.assert_array_equal(features.load(tmp_path / "all.f32"), whole)


def test_pipes(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.BytesIO()
    source = SimpleNamespace(buffer=io.BytesIO(speech.read_bytes()))
    monkeypatch.setattr(sys, "stdin", source)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=stdout))
    assert command("features", "-", "-o", "-", "--layout", "lpcnet20") == 0
    expected = features.extract(np.fromfile(speech, dtype="<i2"), layout="lpcnet20")
    assert stdout.getvalue() == expected.tobytes()


def test_bad_inputs_leave_no_output(speech: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.f32"
    (tmp_path / "odd.s16").write_bytes(b"abc")
    (tmp_path / "short.s16").write_bytes(np.full(159, 9000, "<i2").tobytes())
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.txt").write_text("# no files\n")
    (tmp_path / "wrong.txt").write_text("speech.s16\nabsent.wav\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for name, message in [
        ("odd.s16", "odd number"),
        ("short.s16", "159 samples are too short"),
        ("empty", "without audio files"),
        ("nothing.txt", "lists no files"),
        ("wrong.txt", "absent.wav.*No such file"),
        ("binary.txt", "UTF-8"),
        ("absent.wav", "No such file"),
        ("absent.txt", "No such file"),
    ]:
        with pytest.raises(Error, match=message):
            command("features", tmp_path / name, "-o", out)
    with pytest.raises(AudioError, match="both become"):
        command("features", speech, speech, "-o", f"{tmp_path / 'rows'}/")
    with pytest.raises(Error, match="No such file"):
        command("features", speech, "-o", tmp_path / "no" / "out.f32")
    assert not out.exists()
    assert not [p.name for p in tmp_path.iterdir() if ".tmp-" in p.name]


@pytest.mark.parametrize(
    "arguments",
    [
        ["features"],
        ["features", "a.wav"],
        ["features", "a.wav", "-o", "b.f32", "--layout", "lpcnet38"],
        ["features", "-", "-o", "rows/"],
        ["features", "a.wav", "-o", "-", "--json"],
        ["dump-data"],
        ["dump-data", "-train", "a", "b"],
        ["dump-data", "-test", "a", "b", "c"],
        ["dump-data", "-test", "a", "b", "--seed", "-1"],
        ["dump-data", "-test", "a", "b", "--seed", "4294967296"],
        ["dump-data", "-test", "a", "b", "--layout", "lpcnet20"],
        ["dump-data", "-train", "a", "b", "c", "--frames", "0"],
        ["dump-data", "-train", "a", "b", "c", "-test", "a", "b"],
    ],
)
def test_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command(*arguments)
    assert caught.value.code == 2


# ---- pyvoc dump-data ----


def test_dump_modes(speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, data = tmp_path / "rows", tmp_path / "data"
    assert command("dump-data", "-test", speech, rows, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == {"frames": 50, "rows": 50, "dims": 36, "passes": 1}
    assert rows.stat().st_size == 50 * 36 * 4
    arguments = ["dump-data", "-train", speech, rows, data, "--frames", "120"]
    assert command(*arguments, "--layout", "lpcnet55") == 0
    assert rows.stat().st_size == 120 * 55 * 4
    assert data.stat().st_size == 120 * 640


def test_python_and_binary_agree(speech: Path, tmp_path: Path) -> None:
    binary = Path(os.environ.get("PYVOC_DUMP_DATA", ROOT / "build/tools/dump_data/dump_data"))
    if not binary.is_file():
        pytest.skip("no dump_data binary: build the tools first")
    for layout in ("lpcnet36", "lpcnet55"):
        ours, theirs = tmp_path / "ours", tmp_path / "theirs"
        dump.dump_train(speech, ours, tmp_path / "d1", layout=layout, seed=9, frames=2900)
        run = [binary, "-train", speech, theirs, tmp_path / "d2", f"--layout={layout}"]
        subprocess.run([*run, "--seed", "9", "--frames=2900"], check=True)
        assert ours.read_bytes() == theirs.read_bytes()
        assert (tmp_path / "d1").read_bytes() == (tmp_path / "d2").read_bytes()


def test_binary_exit_codes(speech: Path, tmp_path: Path) -> None:
    binary = Path(os.environ.get("PYVOC_DUMP_DATA", ROOT / "build/tools/dump_data/dump_data"))
    if not binary.is_file():
        pytest.skip("no dump_data binary: build the tools first")

    def code(*arguments: str | Path) -> int:
        return subprocess.run([binary, *arguments], capture_output=True, check=False).returncode

    out = tmp_path / "out"
    assert code("--help") == code("-h") == 0
    assert code("-test", speech, out) == 0
    assert code() == code("-test", speech) == code("-train", speech, out) == 2
    assert code("-qtrain", speech, out, out) == 2
    assert code("-test", speech, out, "--seed", "x") == code("-test", speech, out, "--seed") == 2
    assert code("-test", speech, out, "--layout", "lpcnet20") == 2
    assert code("-test", speech, speech) == 2
    assert code("-test", tmp_path / "absent", out) == 3
    assert code("-test", tmp_path, out) == 3
    assert code("-test", speech, tmp_path / "no" / "out") == 3


def test_progress_and_interruption(speech: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    rows, data = tmp_path / "rows", tmp_path / "data"
    report = dump.dump_train(
        speech,
        rows,
        data,
        frames=9000,
        progress=lambda done, expected: seen.append((done, expected)),
    )
    assert report.passes == 181
    assert seen == [(4096, 9000), (8192, 9000), (9000, 9000)]

    def give_up(done: int, expected: int) -> None:
        raise KeyboardInterrupt

    before = rows.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        dump.dump_train(speech, rows, data, frames=20000, seed=3, progress=give_up)
    assert rows.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "rows", "speech.s16"]


def test_bad_speech(speech: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    odd = tmp_path / "odd.s16"
    odd.write_bytes(bytes(1601))
    with pytest.raises(AudioError, match="odd"):
        dump.dump_test(odd, out)
    silent = tmp_path / "silent.s16"
    silent.write_bytes(bytes(16000))
    with pytest.raises(AudioError, match="silent"):
        dump.dump_train(silent, out, tmp_path / "d", layout="lpcnet55", frames=10)
    with pytest.raises(Error, match="no such file"):
        dump.dump_test(tmp_path / "absent", out)
    with pytest.raises(Error, match="layout"):
        dump.dump_test(speech, out, layout="lpcnet20")
    assert not out.exists()
