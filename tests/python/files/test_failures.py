"""One bad input among many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyvoc.errors import AudioError, Error, FeatureError
from pyvoc.files.doubts import collect, doubt
from pyvoc.files.failures import Failure, Failures, look_first


def bad(name: str) -> None:
    if name.startswith("bad"):
        raise FeatureError("has no frames")


def test_without_keeping_going_the_first_ends_the_work_and_is_named() -> None:
    failures = Failures()
    with pytest.raises(FeatureError, match=r"^'bad1': has no frames$"), failures.attempt("bad1"):
        bad("bad1")
    with pytest.raises(AudioError, match=r"^'x' is empty$"), failures.attempt("x"):
        raise AudioError("'x' is empty")
    with pytest.raises(AudioError, match=r"^standard input is empty$"), failures.attempt("-"):
        raise AudioError("standard input is empty")
    assert failures.found == []


def test_kept_going_they_are_said_and_counted() -> None:
    said: list[str] = []
    failures = Failures(keep_going=True, say=said.append)
    done = []
    for name in ("a", "bad1", "b", "bad2"):
        with failures.attempt(name):
            bad(name)
            done.append(name)
    assert done == ["a", "b"]
    assert failures.found == [Failure(n, f"'{n}': has no frames") for n in ("bad1", "bad2")]
    assert said == [f"'{n}': has no frames" for n in ("bad1", "bad2")]
    with pytest.raises(ZeroDivisionError), failures.attempt("a"):  # a fault of ours is none of it
        raise ZeroDivisionError


def test_all_bad_ones_are_found_before_the_work() -> None:
    names = ["a", "bad1", "b"]
    with pytest.raises(FeatureError, match=r"^1 of 3 inputs cannot .*: 'bad1': has no frames$"):
        look_first(names, bad, Failures())
    names += [f"bad{i}" for i in range(2, 9)]
    with pytest.raises(Error, match=r"^8 of 10 inputs cannot be used .*'bad5'.*; and 3 more$"):
        look_first(names, bad, Failures())
    look_first(names, bad, Failures(keep_going=True))  # each when its turn comes
    look_first(["bad1"], bad, Failures())  # whose turn is now


def test_pipes_are_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "bad"
    os.mkfifo(pipe)
    look_first(["-", str(pipe)], lambda name: pytest.fail(f"{name} was looked at"), Failures())


def test_doubts_of_the_first_look_are_said_once_and_refused_when_strict() -> None:
    def doubtful(name: str) -> None:
        doubt("silent", f"'{name}' is silent")

    look_first(["a", "b"], doubtful, Failures())  # no warning
    with collect() as found:
        look_first(["a", "b"], doubtful, Failures())
        doubtful("a")
    assert len(found.messages) == 2
    with pytest.raises(Error, match="2 of 2 inputs"), collect(strict=True):
        look_first(["a", "b"], doubtful, Failures())
