"""The commands of docs/training.md are commands: the command line's own parser reads them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("yaml")

from pyvoc import families
from pyvoc.cli import BAD_INPUT, COMMANDS, _parser, main
from pyvoc.cli.train import _flags
from pyvoc.train.config import TrainConfig, layered

DOC = Path(__file__).resolve().parents[3] / "docs" / "training.md"
TEXT = DOC.read_text(encoding="utf-8")
RUN = re.compile(r"(?:torchrun --nproc-per-node (\d+) -m )?pyvoc ([a-z-]+ .*)")
SHELL = re.compile(r"\s(?:>|#|&|\().*")
"""What follows a command: redirection, a remark."""


def rows() -> list[tuple[str, str]]:
    """Of the table of guides: the family that a row is of, and what stands for upstream's."""
    found: list[tuple[str, str]] = []
    family = ""
    table = TEXT[TEXT.index("| upstream | here |") :].split("\n\n")[0]
    titles = {f.title: f.name for f in families.everyone()}
    for line in table.splitlines()[2:]:
        left, right = line.strip("|").split(" | ")
        family = titles.get(re.split(r"[ :,]", left.strip())[0], family)
        found.append((family, right))
    return found


def commands() -> list[tuple[str, str]]:
    """Every command, and its number of processes ("" for one)."""
    blocks = re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [span for _, right in rows() for span in re.findall(r"`([^`]+)`", right)]
    matches = [RUN.fullmatch(SHELL.sub("", line).strip()) for line in lines]
    return [(match[2], match[1] or "") for match in matches if match]


def settings(words: list[str]) -> TrainConfig:
    """What a training command sets; upstream's settings files are not at hand."""
    flags: dict[str, Any] = _flags(_parser("train").parse_args(words))
    flags.pop("config", None)
    return layered(flags)


def test_there_are_commands() -> None:
    assert len(commands()) > 40 and len(rows()) > 20
    families_here = set(families.names()) - {"fargan", "toy"}  # other tests may have one of theirs
    assert {family for family, _ in rows()} == families_here
    assert {number for _, number in commands()} == {"", "4", "8"}


@pytest.mark.parametrize(("command", "processes"), dict.fromkeys(commands()))
def test_commands_are_read(command: str, processes: str) -> None:
    """With the family's own checks; a batch can be divided among the processes."""
    words = shlex.split(command)
    assert words[0] in COMMANDS
    _parser(words[0]).parse_args(words)
    if words[0] == "train":
        config = settings(words)
        assert config.family == words[1]
        assert config.batch_size % int(processes or 1) == 0


@pytest.mark.parametrize(("family", "right"), rows())
def test_flags_beside_commands_are_read(family: str, right: str) -> None:
    known = _parser("train")._subparsers._group_actions[0].choices["train"]._option_string_actions
    for span in re.findall(r"`([^`]+)`", right):
        if not span.startswith("--"):
            continue
        assert shlex.split(span)[0].split("=")[0] in known, span
        if " " in span or "=" in span:
            assert settings(["train", family, *shlex.split(span)]).family == family


def test_what_is_not_taken_says_what_is(capsys: pytest.CaptureFixture[str]) -> None:
    refused = [
        (f.name, flag) for f in families.everyone() for flag in f.train_flags if flag.instead
    ]
    assert len(refused) >= 4
    for family, flag in refused:
        assert main(["train", family, f"--{flag.name}=1"]) == BAD_INPUT
        assert (
            f"--{flag.name} is not taken; here that is: {flag.instead}" in capsys.readouterr().err
        )
