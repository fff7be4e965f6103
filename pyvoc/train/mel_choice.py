"""The mel of a run: a preset, and what differs from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyvoc.container.mel import RECIPES, MelRecipe
from pyvoc.errors import Error
from pyvoc.train.mapping import from_mapping

__all__ = ["MelChoice"]


@dataclass(frozen=True)
class MelChoice:
    """A part of the settings of a family that reads mels.

    Parameters
    ----------
    recipe
        Name of the mel recipe.
    mel
        What differs from it, by `pyvoc.container.mel.MelRecipe`'s names.
    """

    recipe: str
    mel: Mapping[str, Any] = field(default_factory=dict)

    def mel_recipe(self) -> MelRecipe:
        """The recipe of the mels.

        Raises
        ------
        Error
            It has no such name, or its numbers are impossible.
        """
        base = RECIPES.get(self.recipe.removeprefix("mel-"))
        if base is None:
            known = ", ".join(RECIPES)
            raise Error(f"model: 'recipe' is {self.recipe!r}, expected one of {known}")
        values = {**dataclasses.asdict(base), **self.mel}
        recipe = from_mapping(MelRecipe, values, "model: mel")
        if not recipe.same_numbers(base) and "name" not in self.mel:
            recipe = dataclasses.replace(recipe, name="custom")
        problems = recipe.problems()
        if problems:
            raise Error("model: mel: " + "; ".join(problems))
        return recipe
