"""Whether the tensors of a checkpoint fit each other."""

from __future__ import annotations

from collections.abc import Mapping

from pyvoc.container.checks import shape_text
from pyvoc.container.tensors import AnyArray
from pyvoc.families.fargan.spec import FARGAN, size_problems


def check_shapes(arrays: Mapping[str, AnyArray]) -> list[str]:
    """Sentences about tensors of the spec whose shapes contradict others'; absent ones are not
    missed here."""
    layout = FARGAN.layout({name: array.shape for name, array in arrays.items()}, {})
    found = size_problems(layout.dims)
    for spec in layout.tensors:
        if spec.name not in arrays:
            continue
        shape, expected = arrays[spec.name].shape, spec.resolve(layout.dims)
        same = len(shape) == len(expected) and all(
            e is None or n == e for n, e in zip(shape, expected, strict=True)
        )
        if not same:
            found.append(
                f"'{spec.name}' would have shape {shape_text(shape)}, expected "
                f"{shape_text(expected)}"
            )
    return found
