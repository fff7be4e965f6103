"""What an LPCNet training run may choose: the ``model:`` section of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.families.lpcnet import tables
from pyvoc.families.lpcnet.spec import LpcnetSettings, derived_dimensions, size_problems

GENERATIONS = ("latest", "2019")


@dataclass(frozen=True)
class LpcnetModel:
    """Sizes and regularisation of an LPCNet.

    Parameters
    ----------
    generation
        ``latest``: 20 features, binary tree; ``2019``: 38 features, softmax.
    gru_a, gru_b
        Units.
    cond
        Units of the condition network.
    pitch_embedding, embedding
        Dimensions of the pitch and of the mu-law embedding.
    jitter
        Standard deviation of the noise on mu-law inputs, steps (upstream .3); only where inputs are
        interpolated.
    interpolate
        Whether embeddings are interpolated between mu-law levels; else inputs are rounded. None: as
        the generation's upstream does.
    state_noise
        Standard deviation of the noise on GRU A's output (upstream .005).
    clip
        Bound of ``|w[2i]| + |w[2i + 1]|`` over neighbouring inputs of the matrices that become int8
        (upstream .992); 0 for none.
    density
        Final densities of GRU A's recurrent matrix for the gates r, z, n (upstream .05, .05, .2);
        the diagonals are always kept. 1, 1, 1 for a dense model.
    sparsify_from, sparsify_to, sparsify_every
        Updates between which, and how often, blocks of 8 x 4 are pruned.
    quantize_from
        Update from which the int8 matrices are trained as they will be quantised; None for never.
    """

    generation: str = "latest"
    gru_a: int = 384
    gru_b: int = 16
    cond: int = 128
    pitch_embedding: int = 64
    embedding: int = 128
    jitter: float = 0.3
    interpolate: bool | None = None
    state_noise: float = 0.005
    clip: float = 0.992
    density: tuple[float, float, float] = (0.05, 0.05, 0.2)
    sparsify_from: int = 2000
    sparsify_to: int = 20000
    sparsify_every: int = 400
    quantize_from: int | None = None

    @classmethod
    def of(cls, arrays: Mapping[str, AnyArray], metadata: Mapping[str, Scalar]) -> LpcnetModel:
        """The configuration that a model was trained with, as far as its file tells.

        Raises
        ------
        ValueError
            It is an end-to-end model, which cannot be trained here.
        """
        if metadata.get("lpcnet.end_to_end"):
            raise ValueError("an end-to-end LPCNet cannot be trained here")
        return cls(
            generation="latest" if metadata["lpcnet.sampling"] == "tree" else "2019",
            gru_a=arrays["gru_a.bias_hh"].shape[0] // 3,
            gru_b=arrays["gru_b.bias_hh"].shape[0] // 3,
            cond=arrays["dense2.bias"].shape[0],
            pitch_embedding=arrays["embed_pitch.weight"].shape[1],
            embedding=tables.rank(arrays),
        )

    @property
    def tree(self) -> bool:
        """Whether symbols are sampled down a tree of binary decisions."""
        return self.generation == "latest"

    @property
    def features(self) -> int:
        """What the network sees of a frame."""
        return 20 if self.tree else 38

    @property
    def interpolates(self) -> bool:
        """Whether fractional mu-law inputs are interpolated."""
        return self.tree if self.interpolate is None else self.interpolate

    def settings(self) -> LpcnetSettings:
        """The spec's settings."""
        return LpcnetSettings(
            sampling="tree" if self.tree else "softmax", feature_dims=self.features
        )

    def __post_init__(self) -> None:
        """Raise ValueError for values that cannot be."""
        found = []
        if self.generation not in GENERATIONS:
            found.append(f"generation '{self.generation}' is not one of {', '.join(GENERATIONS)}")
        found += size_problems(
            derived_dimensions(
                {"N": self.gru_a, "M": self.gru_b, "C": self.cond, "P": self.pitch_embedding}
            )
        )
        if not 1 <= self.embedding <= 256:
            found.append(f"embedding is {self.embedding}, expected 1 to 256")
        if len(self.density) != 3 or not all(0 < d <= 1 for d in self.density):
            found.append(f"density is {self.density}, expected three numbers in (0, 1]")
        if not 0 <= self.sparsify_from <= self.sparsify_to or self.sparsify_every < 1:
            found.append("sparsify_from, sparsify_to and sparsify_every do not make a schedule")
        for name in ("jitter", "state_noise", "clip"):
            if not 0 <= getattr(self, name) <= 10:
                found.append(f"{name} is {getattr(self, name)}, expected 0 to 10")
        if found:
            raise ValueError("; ".join(found))
