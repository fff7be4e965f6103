"""The likelihood of many files in the processes of torchrun: what one process tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gan_files import torchrun, write_corpus
from voices import WAVEGLOW, voice

torch = pytest.importorskip("torch")

from pyvoc.cli import main  # noqa: E402
from pyvoc.errors import AudioError  # noqa: E402
from pyvoc.evaluate.shares import in_shares  # noqa: E402
from pyvoc.files.doubts import collect, doubt  # noqa: E402
from pyvoc.files.failures import Failures  # noqa: E402

MODEL = WAVEGLOW[0]


def test_two_processes_tell_what_one_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of five clips, one of which is half a file: every figure, bit for bit, and the warning."""
    rate = voice(MODEL).info.sample_rate
    folder = write_corpus(tmp_path / "wavs", clips=5, seconds=0.4, rate=rate)
    half = folder / "clip3.wav"
    half.write_bytes(half.read_bytes()[:9000])
    arguments = ["--nll", str(MODEL), str(folder), "--json"]
    assert main(["evaluate", *arguments]) == 0
    one = json.loads(capsys.readouterr().out)
    assert len(one["files"]) == 5 and len(one["warnings"]) == 1
    done = torchrun(arguments, command="evaluate")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == one
    assert done.stderr.count("clip3.wav") == 1


class Both:
    """Stands for the processes of torchrun: this one, and one that has found `other`."""

    size = 2
    other: Any

    def __init__(self, device: torch.device) -> None:
        self.rank = 0

    def __enter__(self) -> Both:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def gather(self, value: Any) -> list[Any]:
        return [value, self.other]


@pytest.mark.parametrize("keep_going", [True, False])
def test_what_fails_elsewhere_counts(monkeypatch: pytest.MonkeyPatch, keep_going: bool) -> None:
    def work(path: str) -> int:
        if path == "c":
            raise AudioError("'c' is silent")
        return ord(path)

    there = Failures(keep_going=True)
    there.take("d", AudioError("'d' is short"))
    with collect() as doubted:
        doubt("half", "'b' is half a file")
    Both.other = ({1: ord("b")}, there.found, doubted.found, None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("pyvoc.train.distributed.Ranks", Both)
    failures = Failures(keep_going=keep_going)
    with collect() as doubts:
        if not keep_going:
            with pytest.raises(AudioError, match="'c' is silent"):
                in_shares("abcd", work, failures)
            Both.other = ({}, [], [], AudioError("'b' is clipped"))
            with pytest.raises(AudioError, match="'b' is clipped"):
                in_shares("ab", work, failures)
            return
        found = in_shares("abcde", work, failures)
    assert list(found.items()) == [(0, 97), (1, 98), (4, 101)]
    assert [failure.input for failure in failures.found] == ["c", "d"]
    assert doubts.messages == ("'b' is half a file",)
