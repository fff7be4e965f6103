"""What a WaveRNN training run may choose: the ``model:`` section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from pyvoc.families.wavernn.shape import WavernnShape
from pyvoc.families.wavernn.spec import BLOCKS, MAX_BITS, MOL_BITS, WavernnSettings
from pyvoc.train.mel_choice import MelChoice


@dataclass(frozen=True)
class WavernnModel(MelChoice):
    """Sizes, outputs and pruning; names and defaults of sizes are upstream's, without ``voc_``.

    Parameters
    ----------
    mode
        ``mol``: a mixture of logistics over 16-bit samples; ``raw``: labels.
    bits, mu_law
        Of labels, and whether they are mu-law codes; of ``raw`` only.
    mixtures
        Logistics of ``mol``.
    rnn_dims, fc_dims
        Units of the GRUs and of the two hidden layers.
    compute_dims, res_out_dims, res_blocks, pad
        Of the residual network: channels, outputs (four quarters), blocks, and frames that it sees
        on each side.
    upsample_factors
        Their product is the hop.
    recipe, mel
        See `MelChoice`.
    sparsity
        Fraction of the sample loop's weights that are zero at the end, in blocks of 8 x 4; 0: none.
    sparsify_from, sparsify_to, sparsify_every
        Updates between which, and how often, blocks are pruned.
    """

    mode: Literal["mol", "raw"] = "mol"
    bits: int = 9
    mu_law: bool = True
    mixtures: int = 10
    rnn_dims: int = 512
    fc_dims: int = 512
    compute_dims: int = 128
    res_out_dims: int = 128
    res_blocks: int = 10
    pad: int = 2
    upsample_factors: tuple[int, ...] = (5, 5, 11)
    recipe: str = "fatchord"
    sparsity: float = 0.0
    sparsify_from: int = 1000
    sparsify_to: int = 200_000
    sparsify_every: int = 500

    def __post_init__(self) -> None:
        """Raise ValueError for values that cannot be."""
        found = []
        if not 1 <= self.bits <= MAX_BITS:
            found.append(f"bits is {self.bits}, expected 1 to {MAX_BITS}")
        sizes = ("rnn_dims", "fc_dims", "compute_dims", "res_out_dims", "mixtures")
        found += [f"{name} is not positive" for name in sizes if getattr(self, name) < 1]
        if self.res_blocks < 1 or self.pad < 0 or not all(s > 0 for s in self.upsample_factors):
            found.append("res_blocks, pad or upsample_factors cannot be")
        if self.res_out_dims % 4:
            found.append(f"res_out_dims is {self.res_out_dims}, which has no four quarters")
        if not 0 <= self.sparsity < 1:
            found.append(f"sparsity is {self.sparsity:g}, expected 0 to below 1")
        if self.sparsity:
            rows, cols = BLOCKS[0]
            wrong = [n for n in (self.rnn_dims, self.fc_dims) if n % rows or n % cols]
            if wrong:
                found.append(
                    f"blocks of {rows} x {cols} do not divide {wrong[0]} units: no sparsity"
                )
        if not 0 <= self.sparsify_from <= self.sparsify_to or self.sparsify_every < 1:
            found.append("sparsify_from, sparsify_to and sparsify_every do not make a schedule")
        if found:
            raise ValueError("; ".join(found))

    def shape(self) -> WavernnShape:
        """The network's.

        Raises
        ------
        ValueError
            The factors do not make the recipe's hop.
        """
        recipe, hop = self.mel_recipe(), prod(self.upsample_factors)
        if hop != recipe.hop_length:
            raise ValueError(
                f"upsample_factors make a hop of {hop} samples, the mel's is {recipe.hop_length}"
            )
        raw = self.mode == "raw"
        return WavernnShape(
            settings=WavernnSettings(
                recipe, self.mode, self.bits if raw else MOL_BITS, raw and self.mu_law
            ),
            rnn=self.rnn_dims,
            fc=self.fc_dims,
            hidden=self.compute_dims,
            aux=self.res_out_dims // 4,
            blocks=self.res_blocks,
            stretches=self.upsample_factors,
            pad=self.pad,
            outputs=1 << self.bits if raw else 3 * self.mixtures,
        )
