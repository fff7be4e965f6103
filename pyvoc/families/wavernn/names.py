"""How fatchord and torchaudio name the layers of one WaveRNN, and whose names a checkpoint has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyvoc.convert import naming
from pyvoc.convert.naming import Naming
from pyvoc.convert.tree import MAX_NAME
from pyvoc.families.wavernn.spec import MAX_BLOCKS, MAX_STRETCHES


@dataclass(frozen=True)
class WavernnNaming(Naming):
    """One upstream's names.

    Parameters
    ----------
    block, stretch
        Of an entry of a residual block or a stretch; the group is its place in a list.
    first_block
        The place of the first block; stretches are at every other place.
    layer
        A layer's name, from what it is, its number, and the number of blocks.
    """

    block: re.Pattern[str]
    stretch: re.Pattern[str]
    first_block: int
    layer: Callable[[str, int, int], str]

    def count(self, names: Iterable[str]) -> tuple[int, int]:
        """Residual blocks and stretches that a state dict speaks of, at most as many as may be."""
        names = list(names)
        blocks = [int(m[1]) for name in names if (m := self.block.match(name))]
        stretches = [int(m[1]) for name in names if (m := self.stretch.match(name))]
        last = max(blocks, default=self.first_block - 1)
        return (
            min(max(last - self.first_block + 1, 0), MAX_BLOCKS),
            min(max(stretches, default=1) // 2 + 1, MAX_STRETCHES),
        )


Named = naming.Named[WavernnNaming]


def _fatchord(kind: str, k: int, blocks: int) -> str:
    block = f"upsample.resnet.layers.{k}"
    return {
        "conv_in": "upsample.resnet.conv_in",
        "norm_in": "upsample.resnet.batch_norm",
        "conv_a": f"{block}.conv1",
        "norm_a": f"{block}.batch_norm1",
        "conv_b": f"{block}.conv2",
        "norm_b": f"{block}.batch_norm2",
        "conv_out": "upsample.resnet.conv_out",
        "stretch": f"upsample.up_layers.{2 * k + 1}",
        "input": "I",
    }.get(kind, kind)


def _torchaudio(kind: str, k: int, blocks: int) -> str:
    model = "upsample.resnet.melresnet_model"
    block = f"{model}.{3 + k}.resblock_model"
    return {
        "conv_in": f"{model}.0",
        "norm_in": f"{model}.1",
        "conv_a": f"{block}.0",
        "norm_a": f"{block}.1",
        "conv_b": f"{block}.3",
        "norm_b": f"{block}.4",
        "conv_out": f"{model}.{3 + blocks}",
        "stretch": f"upsample.upsample_layers.{2 * k + 1}",
        "input": "fc",
    }.get(kind, kind)


NAMINGS = (
    WavernnNaming(
        "fatchord",
        re.compile(r"(?:upsample|I|rnn\d|fc\d)\..+"),
        re.compile(r"upsample\.resnet\.(?:conv_in|batch_norm|layers\.\d+|conv_out)\."),
        re.compile(r"upsample\.resnet\.layers\.(\d{1,4})\."),
        re.compile(r"upsample\.up_layers\.(\d{1,4})\."),
        0,
        _fatchord,
    ),
    WavernnNaming(
        "torchaudio",
        re.compile(r"(?:upsample|fc|rnn\d|fc\d)\..+"),
        re.compile(r"upsample\.resnet\.melresnet_model\.\d+\."),
        re.compile(r"upsample\.resnet\.melresnet_model\.(\d{1,4})\.resblock_model\."),
        re.compile(r"upsample\.upsample_layers\.(\d{1,4})\."),
        3,
        _torchaudio,
    ),
)
_BOOKKEEPING = re.compile(r"(?:.+\.)?(?:step|num_batches_tracked)")
_STRANGERS = (
    (
        re.compile(r"(?:^|\.)autoregressive\.gru\.weight_hh_l0$"),
        "a WaveRNN with a single GRU (gibiansky/wavernn)",
    ),
    (
        re.compile(r"(?:^|\.)(?:O4|I_coarse|I_fine)\.weight$"),
        "a WaveRNN with a single GRU and two softmax layers (deepmind_version)",
    ),
)


def find_network(names: Iterable[str]) -> Named | None:
    """The network that the names of a state dict speak of, or None.

    What training counts (``step``, ``num_batches_tracked``) belongs to nothing.
    """
    return naming.find_named(names, NAMINGS, ignore=_BOOKKEEPING)


def find_stranger(names: Iterable[str]) -> str | None:
    """What WaveRNN of another kind the names of a state dict speak of; None: of none."""
    for name in names:
        if type(name) is str and len(name) <= MAX_NAME:
            for pattern, what in _STRANGERS:
                if pattern.search(name):
                    return what
    return None
