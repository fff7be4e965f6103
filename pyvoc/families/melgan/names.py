"""How three upstreams name the layers of MelGAN's generator, and whose names a checkpoint has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyvoc.convert import naming
from pyvoc.convert.layers import layer_of
from pyvoc.convert.naming import Naming
from pyvoc.families.melgan.spec import MAX_BLOCKS, MAX_STAGES


@dataclass(frozen=True)
class MelganNaming(Naming):
    """One upstream's names; `Naming.sure` is about layers, to their end.

    Parameters
    ----------
    count
        Stages and blocks from the layers' names.
    layers
        From our layers to theirs, for so many stages and blocks.
    """

    count: Callable[[Iterable[str]], tuple[int, int]]
    layers: Callable[[int, int], dict[str, str]]


Named = naming.Named[MelganNaming]


def _ours(stages: int, blocks: int, theirs: Callable[[str, int, int], str]) -> dict[str, str]:
    """Our layers to the names that `theirs` gives for a kind, a stage and a block."""
    found = {"conv_in": theirs("conv_in", 0, 0)}
    for k in range(stages):
        found[f"stage.{k}.up"] = theirs("up", k, 0)
        for j in range(blocks):
            for kind in ("conv", "out", "shortcut"):
                found[f"stage.{k}.block.{j}.{kind}"] = theirs(kind, k, j)
    found["conv_out"] = theirs("conv_out", stages, 0)
    return found


def _numbers(pattern: str, layers: Iterable[str]) -> list[tuple[int, ...]]:
    matches = (re.fullmatch(pattern, layer) for layer in layers)
    return [tuple(int(n) for n in m.groups()) for m in matches if m]


def _bounded(stages: int, blocks: int) -> tuple[int, int]:
    return min(max(stages, 1), MAX_STAGES), min(max(blocks, 1), MAX_BLOCKS)


def _seungwonpark_count(layers: Iterable[str]) -> tuple[int, int]:
    found = _numbers(r"generator\.(\d{1,4})\.(?:blocks|shortcuts)\.(\d{1,4})(?:\.[24])?", layers)
    last = max((n[0] for n in found), default=4)
    return _bounded((last - 4) // 3 + 1, max((n[1] for n in found), default=0) + 1)


def _seungwonpark(stages: int, blocks: int) -> dict[str, str]:
    def theirs(kind: str, k: int, j: int) -> str:
        at = 4 + 3 * k
        return (
            "generator."
            + {
                "conv_in": "1",
                "up": f"{at - 1}",
                "conv": f"{at}.blocks.{j}.2",
                "out": f"{at}.blocks.{j}.4",
                "shortcut": f"{at}.shortcuts.{j}",
                "conv_out": f"{at}",
            }[kind]
        )

    return _ours(stages, blocks, theirs)


def _descript_count(layers: Iterable[str]) -> tuple[int, int]:
    blocks = sorted({n[0] for n in _numbers(r"model\.(\d{1,4})\.(?:block\.[24]|shortcut)", layers)})
    run = 0
    while 4 + run in blocks:
        run += 1
    step = 2 + max(run, 1)
    return _bounded((max(blocks, default=4) - 4) // step + 1, run)


def _descript(stages: int, blocks: int) -> dict[str, str]:
    def theirs(kind: str, k: int, j: int) -> str:
        at = 3 + (2 + blocks) * k
        return (
            "model."
            + {
                "conv_in": "1",
                "up": f"{at}",
                "conv": f"{at + 1 + j}.block.2",
                "out": f"{at + 1 + j}.block.4",
                "shortcut": f"{at + 1 + j}.shortcut",
                "conv_out": f"{at + 1}",
            }[kind]
        )

    return _ours(stages, blocks, theirs)


def _mindspore_count(layers: Iterable[str]) -> tuple[int, int]:
    layers = list(layers)
    stacks = _numbers(r"(?:rses|conv1dtran)_(\d{1,4})(?:\..+)?", layers)
    blocks = _numbers(r"rses_\d{1,4}\.block(\d{1,4})\.[24]\.conv", layers)
    return _bounded(max((n[0] for n in stacks), default=1), max((n[0] for n in blocks), default=1))


def _mindspore(stages: int, blocks: int) -> dict[str, str]:
    def theirs(kind: str, k: int, j: int) -> str:
        return {
            "conv_in": "conv1d_1",
            "up": f"conv1dtran_{k + 1}",
            "conv": f"rses_{k + 1}.block{j + 1}.2",
            "out": f"rses_{k + 1}.block{j + 1}.4",
            "shortcut": f"rses_{k + 1}.shortcut{j + 1}",
            "conv_out": "conv1d_2",
        }[kind] + ".conv"

    return _ours(stages, blocks, theirs)


NAMINGS = (
    MelganNaming(
        "seungwonpark",
        re.compile(r"generator\.\d+(?:\..+)?"),
        re.compile(r"generator\.\d+\.(?:blocks\.\d+\.[24]|shortcuts\.\d+)$"),
        _seungwonpark_count,
        _seungwonpark,
    ),
    MelganNaming(
        "descript",
        re.compile(r"model\.\d+(?:\..+)?"),
        re.compile(r"model\.\d+\.(?:block\.[24]|shortcut)$"),
        _descript_count,
        _descript,
    ),
    MelganNaming(
        "mindspore",
        re.compile(r"(?:conv1d_|conv1dtran_|rses_)\d+(?:\..+)?"),
        re.compile(r"rses_\d+\.(?:block\d+\.[24]|shortcut\d+)\.conv$"),
        _mindspore_count,
        _mindspore,
    ),
)


def find_generator(names: Iterable[str]) -> Named | None:
    """The generator that the names of a state dict speak of, or None.

    None whose prefix is an optimiser's: its moments have the names of what they belong to.
    """
    return naming.find_named(names, NAMINGS, look_at=layer_of, avoid=naming.OPTIMISER)
