"""Bulk synthesis: what a manifest says is made once, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from voices import SOFTMAX, TREE, make_features

import pyvoc
from pyvoc import bulk
from pyvoc.bulk import processes
from pyvoc.cli import main
from pyvoc.errors import Error

COMMAND = [sys.executable, "-m", "pyvoc", "synth"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def features(name: str, frames: int, seed: int = 0) -> str:
    make_features(frames, seed=seed).astype("<f4").tofile(name)
    return name


def manifest(*entries: dict[str, Any]) -> str:
    Path("list.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return "list.jsonl"


def many(count: int, frames: int = 30) -> str:
    return manifest(
        *({"input": features(f"u{i}.f32", frames + i % 5, seed=i)} for i in range(count))
    )


def journal(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "journal.jsonl").read_text().splitlines()]


def waves(folder: str) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.suffix == ".wav"}


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_gives_what_synth_gives_and_does_nothing_twice(capfd: pytest.CaptureFixture[str]) -> None:
    entries = [
        {"input": features("a.f32", 30), "output": "deep/er/first.wav"},
        {"input": "a.f32", "output": "seeded.s16", "seed": 7},
        {"input": "a.f32", "output": "fast.wav", "speed": 1.25},
        {"input": features("b.f32", 20, seed=1)},
        {"input": "a.f32", "output": "other.wav", "voice": str(SOFTMAX)},
    ]
    Path("c.f32").write_bytes(b"")
    listed = manifest(*entries[:4], {"input": "absent.f32"}, {"input": "c.f32"})
    command = ["synth", "--manifest", listed, "--out", "out", "-m", str(TREE), "--json"]
    assert main(command) == 3
    printed = capfd.readouterr()
    report = json.loads(printed.out)
    assert report == json.loads(Path("out/report.json").read_text())
    assert report["done"] == 4 and [f["line"] for f in report["failed"]] == [5, 6]
    assert "cannot read 'absent.f32'" in report["failed"][0]["error"]
    assert "'c.f32' is empty" in report["failed"][1]["error"]
    assert "2 of 6 failed" in printed.err
    for more, output in (
        (["a.f32"], "deep/er/first.wav"),
        (["a.f32", "--seed", "7"], "seeded.s16"),
        (["a.f32", "--speed", "1.25"], "fast.wav"),
        (["b.f32"], "b.wav"),
    ):
        suffix = Path(output).suffix
        assert main(["synth", *more, "-m", str(TREE), "-o", f"alone{suffix}"]) == 0
        assert Path(f"alone{suffix}").read_bytes() == Path("out", output).read_bytes(), output

    # Again: only what is new, was changed or is gone; what failed is tried again.
    features("c.f32", 10)
    features("b.f32", 21)
    Path("out/fast.wav").unlink()
    before = os.stat("out/deep/er/first.wav").st_mtime_ns
    manifest(*entries, {"input": "c.f32"})
    capfd.readouterr()
    assert main(command) == 0
    again = json.loads(capfd.readouterr().out)
    assert (again["done"], again["done_before"], again["failed"]) == (4, 2, [])
    assert os.stat("out/deep/er/first.wav").st_mtime_ns == before
    assert main(command) == 0
    assert json.loads(capfd.readouterr().out)["done_before"] == 6


def test_kill_of_everything_loses_nothing_and_doubles_nothing() -> None:
    """Killed and started again; what a line that was cut short said is done again."""
    listed = many(60)
    command = [*COMMAND, "--manifest", listed, "-o", "out", "-m", str(TREE), "--workers", "1"]
    path = Path("out/journal.jsonl")
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(lambda: path.is_file() and path.stat().st_size > 0)
    run.kill()
    run.wait()
    noted = journal("out")
    assert 0 < len(noted) < 60
    with open(path, "ab") as file:
        file.write(b'{"output": "u59.wav", "of"')
    rest = bulk.run(listed, "out", defaults={"voice": str(TREE)}, workers=1)
    assert rest.done_before == len(noted) and rest.done == 60 - len(noted)
    names = [record["output"] for record in journal("out")]
    assert len(names) == len(set(names)) == 60
    model = pyvoc.load(TREE)
    for i in (0, 30, 59):
        rows = pyvoc.features.load(f"u{i}.f32")
        pyvoc.audio.write_wav("alone.wav", model.synthesize(rows), 16000)
        assert Path(f"out/u{i}.wav").read_bytes() == Path("alone.wav").read_bytes()


def test_a_killed_worker_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    class Watched(processes.Process):
        def ask(self, job: dict[str, Any]) -> dict[str, Any]:
            if not started:
                started.append(self.pid)
                os.kill(self.pid, signal.SIGKILL)
            return super().ask(job)

    monkeypatch.setattr("pyvoc.bulk.runner.Process", Watched)
    report = bulk.run(many(8), "out", defaults={"voice": str(TREE)}, workers=1)
    assert started and report.done == 8 and not report.failed
    assert len(waves("out")) == 8


def test_an_utterance_that_kills_workers_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fragile(processes.Process):
        def ask(self, job: dict[str, Any]) -> dict[str, Any]:
            if any("u3" in source for source, _ in job["pairs"]):
                os.kill(self.pid, signal.SIGKILL)
            return super().ask(job)

    monkeypatch.setattr("pyvoc.bulk.runner.Process", Fragile)
    report = bulk.run(many(6), "out", defaults={"voice": str(TREE)}, workers=1)
    assert report.done == 5
    assert [(f.line, f.error) for f in report.failed] == [
        (4, "its worker died over it: it was ended by SIGKILL")
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: it is no JSON object"),
        ("[" * 100000, "it is no JSON object"),
        ("[]", "it is no JSON object"),
        ('{"output": "a.wav"}', 'expected "input", the name of a file'),
        ('{"input": "a.f32", "output": "../a.wav"}', "leaves the folder of outputs"),
        ('{"input": "a.f32", "output": "/a.wav"}', "leaves the folder of outputs"),
        ('{"input": "a.f32", "output": "a.ogg"}', "which format is '.ogg'"),
        ('{"input": "a.f32", "sead": 1}', "'sead' is nothing that an utterance has"),
        ('{"input": "a.f32", "seed": -1}', "seed is -1, expected a whole number from 0"),
        ('{"input": "a.f32", "seed": true}', "seed is True"),
        ('{"input": "a.f32", "speed": NaN}', "speed is nan"),
        ('{"input": "a.f32", "speed": 9}', "9"),
        ('{"input": "a.f32", "layout": "x"}', "layout is 'x', expected"),
        ('{"input": "a.f32", "sigma": "x"}', "sigma is x"),
        ('{"input": "a.f32", "voice": "nobody"}', "'nobody' is no voice and no file"),
        ('{"input": "a.f32"}\n{"input": "b/a.f32"}', "'a.wav' is the output of line 1 too"),
        ('{"input": "\\ud800.f32"}', 'expected "input", the name of a file'),
        ('{"input": "a.f32", "output": "\\ud800.wav"}', 'expected "output" as the name of a file'),
        ('{"input": "a.f32", "voice": "a\\u0000b"}', "expected the name of a voice"),
        ('{"input": "a.f32", "seed": ' + "9" * 5000 + "}", "it is no JSON object"),
        ("", "lists no utterances"),
    ],
)
def test_bad_manifests_are_refused_before_the_work(line: str, message: str) -> None:
    features("a.f32", 5)
    Path("list.jsonl").write_text(line + "\n")
    with pytest.raises(Error) as caught:
        bulk.run("list.jsonl", "out")
    assert message in str(caught.value) and "list.jsonl" in str(caught.value)
    assert not Path("out").exists()


def test_messages_about_a_manifest_are_bounded() -> None:
    lines = [json.dumps({"input": "a.f32", "x" * 100_000: 1}) for _ in range(50)]
    Path("list.jsonl").write_text("\n".join(lines))
    with pytest.raises(Error, match="and 45 more") as caught:
        bulk.run("list.jsonl", "out")
    assert len(str(caught.value)) < 3000


def test_inputs_that_are_no_files_are_left_out() -> None:
    """A pipe would be waited for, and a device has no end; a name may be as odd as it likes."""
    os.mkfifo("pipe.f32")
    os.symlink("/dev/zero", "zero.f32")
    os.mkdir("folder.f32")
    os.symlink("circle.f32", "circle.f32")
    odd = features("a\n'\u00e9\udc80.f32", 5)
    names = ["pipe.f32", "zero.f32", "folder.f32", "circle.f32", "n" * 300 + ".f32", odd]
    text = manifest(
        *({"input": name, "output": f"{i}.wav", "voice": str(TREE)} for i, name in enumerate(names))
    )
    Path(text).write_bytes(b"\xef\xbb\xbf" + Path(text).read_bytes())
    report = bulk.run(text, "out", workers=1)
    assert [failed.output for failed in report.failed] == [f"{i}.wav" for i in range(5)]
    assert list(waves("out")) == ["5.wav"]
    assert "no ordinary file" in report.failed[0].error


def test_outputs_go_over_no_input_and_a_folder_is_one_runs() -> None:
    features("a.wav", 5)
    with pytest.raises(Error, match="would overwrite the input"):
        bulk.run(manifest({"input": "a.wav"}), ".", defaults={"voice": str(TREE)})
    with pytest.raises(Error, match="would overwrite the input"):
        listed = manifest({"input": "a.wav", "output": "report.json", "format": "s16"})
        bulk.run(listed, "out", defaults={"voice": str(TREE)})
    from pyvoc.files.lock import locked

    listed = many(1)
    message = "is speaking there; .* choose another --output"
    with locked(Path("out"), doing="speaking"), pytest.raises(Error, match=message):
        bulk.run(listed, "out", defaults={"voice": str(TREE)})


def test_who_speaks_is_chosen_by_what_they_read() -> None:
    report = bulk.run(many(2), "out", workers=1)
    assert report.done == 2
    samples, rate = pyvoc.audio.read("out/u0.wav")
    assert rate == 16000 and np.abs(samples).max() > 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["a.f32", "-o", "out"], "give no others"),
        ([], "needs the folder"),
        (["-o", "out", "--lookahead", "1"], "--lookahead does not go with --manifest"),
        (["-o", "out", "--threads", "2"], "--threads does not go with --manifest"),
    ],
)
def test_usage(more: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["synth", *more, "--manifest", "list.jsonl"])
    assert message in capfd.readouterr().err
