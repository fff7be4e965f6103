"""How upstreams name the layers of HiFi-GAN's generator, and whose names a checkpoint has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pyvoc.convert import naming
from pyvoc.convert.layers import layer_of
from pyvoc.convert.naming import Naming

_BLOCK = r"resblocks\.\d+\.convs[12]?\.\d+"


@dataclass(frozen=True)
class HifiganNaming(Naming):
    """One upstream's names; `Naming.sure` is about layers, to their end.

    Parameters
    ----------
    conv_in, up, conv_out
        Names of layers; ``{k}`` is the stage.
    block
        Of a convolution of a chain: ``{n}`` counts the chains of all stages, ``{k}`` and ``{j}``
        are stage and chain, ``{which}`` is 1, 2 or nothing, and ``{i}`` the block.
    reflect
        Its convolutions mirror the signal at the ends.
    """

    conv_in: str
    up: str
    block: str
    conv_out: str
    reflect: bool = False

    def convolution(self, k: int, j: int, chains: int, i: int, which: str) -> str:
        """The name of a block's convolution."""
        return self.block.format(n=k * chains + j, k=k, j=j, i=i, which=which)


Named = naming.Named[HifiganNaming]


def _naming(
    upstream: str, sure: str, names: tuple[str, str, str, str], *, reflect: bool = False
) -> HifiganNaming:
    """A naming whose entries are those that begin as one of its layers does."""
    starts = {re.escape(name.partition("{")[0].partition(".")[0]) for name in names}
    pattern = re.compile(rf"(?:{'|'.join(sorted(starts))})\..+")
    return HifiganNaming(upstream, pattern, re.compile(sure), *names, reflect=reflect)


NAMINGS = (
    _naming(
        "speechbrain",
        r"resblocks\.\d+\.convs[12]?\.\d+\.conv$",
        (
            "conv_pre.conv",
            "ups.{k}.conv",
            "resblocks.{n}.convs{which}.{i}.conv",
            "conv_post.conv",
        ),
        reflect=True,
    ),
    _naming(
        "dle",
        r"resblocks\.\d+\.\d+\.convs[12]?\.\d+$",
        ("conv_pre", "ups.{k}", "resblocks.{k}.{j}.convs{which}.{i}", "conv_post"),
    ),
    _naming(
        "transformers",
        r"upsampler\.\d+$",
        ("conv_pre", "upsampler.{k}", "resblocks.{n}.convs{which}.{i}", "conv_post"),
    ),
    _naming(
        "jik876",
        rf"{_BLOCK}$",
        ("conv_pre", "ups.{k}", "resblocks.{n}.convs{which}.{i}", "conv_post"),
    ),
    _naming(
        "parallel_wavegan",
        r"blocks\.\d+\.convs[12]\.\d+\.1$",
        ("input_conv", "upsamples.{k}.1", "blocks.{n}.convs{which}.{i}.1", "output_conv.1"),
    ),
)

OTHERS = (
    (re.compile(r"(?:^|\.)(?:m_source|noise_convs)\."), "a source of harmonics (NSF-HiFiGAN)"),
    (re.compile(r"(?:^|\.)activations?\.\d+\.|(?:^|\.)activation_post\."), "BigVGAN's activations"),
    (
        re.compile(r"(?:^|\.)(?:cond|cond_layer|conds?\.\d+|global_conv)\.(?:weight|bias)"),
        "layers for a speaker or another condition (several speakers, VITS)",
    ),
    (
        re.compile(
            r"(?:^|\.)(?:emb_g|emb_spk|spk_?emb\w*|speaker_?emb\w*|spkr|f0_\w+|lf0_\w+|dict)\.weight$"
        ),
        "a table of speakers, pitches or units that its input comes from",
    ),
)
"""What other networks have beside HiFi-GAN's layers."""


def other_network(names: Iterable[str]) -> str | None:
    """What tells that a generator's neighbours are of another network, or None."""
    names = list(names)
    return next((what for p, what in OTHERS if any(p.search(name) for name in names)), None)


def find_generator(names: Iterable[str]) -> Named | None:
    """The generator that the names of a state dict speak of, or None.

    None whose prefix is an optimiser's: its moments have the names of what they belong to.
    """
    return naming.find_named(names, NAMINGS, look_at=layer_of, avoid=naming.OPTIMISER)


def count(named: Named, layers: Iterable[str]) -> tuple[int, list[int], bool]:
    """Stages, blocks of each chain, and whether blocks are paired, from the layers' names."""
    layers = set(layers)
    theirs = named.naming
    stages = 0
    while theirs.up.format(k=stages) in layers and stages < 8:
        stages += 1
    block = re.escape(theirs.block)
    for field in ("n", "k", "j", "which", "i"):
        block = block.replace(rf"\{{{field}\}}", rf"(?P<{field}>\d*)")
    matches = [m for layer in layers if (m := re.fullmatch(block, layer)) and m["i"]]
    if "{n}" in theirs.block:
        total = max((int(m["n"]) for m in matches if m["n"]), default=0) + 1
        chains = max(total // max(stages, 1), 1)
        chain_of = {m: int(m["n"]) % chains for m in matches if m["n"]}
    else:
        chains = max((int(m["j"]) for m in matches if m["j"]), default=0) + 1
        chain_of = {m: int(m["j"]) for m in matches if m["j"]}
    chains = min(chains, 8)
    blocks = [
        max((int(m["i"]) for m, c in chain_of.items() if c == chain), default=0) + 1
        for chain in range(chains)
    ]
    return stages, [min(n, 8) for n in blocks], any(m["which"] == "2" for m in matches)
