"""What the tensors of a mel-driven model do not say, as a dataclass and as metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from pyvoc.container.mel import MelRecipe
from pyvoc.container.tensors import Scalar

__all__ = ["MelSettings"]

S = TypeVar("S", bound="MelSettings")


@dataclass(frozen=True)
class MelSettings:
    """Settings of a family: a field of a subclass is an entry of that name after `prefix`.

    Parameters
    ----------
    recipe
        Of the mel spectrogram that the model reads.
    """

    prefix: ClassVar[str]
    recipe: MelRecipe

    @classmethod
    def from_metadata(cls: type[S], metadata: Mapping[str, Scalar]) -> S:
        """Those of a valid model file."""
        own: dict[str, Any] = {name: metadata[f"{cls.prefix}{name}"] for name in cls._own()}
        return cls(MelRecipe.from_metadata(metadata), **own)

    def metadata(self) -> dict[str, Scalar]:
        """The model's own metadata and the feature recipe."""
        own = {f"{self.prefix}{name}": getattr(self, name) for name in self._own()}
        floats = {f"{self.prefix}{f.name}" for f in fields(self) if f.type in ("float", float)}
        return {
            **self.recipe.metadata(),
            **{key: float(value) if key in floats else value for key, value in own.items()},
        }

    @classmethod
    def _own(cls) -> list[str]:
        return [f.name for f in fields(cls) if f.name != "recipe"]
