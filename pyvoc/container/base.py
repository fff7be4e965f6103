"""The language of specs: which tensors and metadata a model has.

A `ModelSpec` is data, but for one function: which tensors belong to a model may depend on what is
there (how many layers), so `ModelSpec.layout` tells it from the shapes and the metadata.
`ModelSpec.validate` compares a container with that and reports everything that is missing,
unexpected or misshapen in one error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pyvoc.container.checks import layout_problems
from pyvoc.container.layout import PRECISIONS, Layout, Shapes
from pyvoc.container.tensors import Container, Scalar
from pyvoc.errors import ModelError, listed

FORMAT_VERSION = 1


@dataclass(frozen=True)
class MetadataSpec:
    """One metadata entry: its Python type and, if given, the values that are accepted.

    A file may lack an entry that is not `required`.
    """

    key: str
    kind: type
    values: tuple[Scalar, ...] = ()
    least: float | None = None
    most: float | None = None
    required: bool = True

    def problem(self, metadata: Mapping[str, Scalar]) -> str | None:
        """A sentence, or None when the entry is as it should be."""
        if self.key not in metadata:
            if not self.required:
                return None
            return f"metadata '{self.key}' ({self.kind.__name__}) is missing"
        value = metadata[self.key]
        if type(value) is not self.kind:
            return f"metadata '{self.key}' is {type(value).__name__}, expected {self.kind.__name__}"
        if self.values and value not in self.values:
            expected = " or ".join(repr(v) for v in self.values)
            return f"metadata '{self.key}' is {value!r}, expected {expected}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = self.least is not None and not value >= self.least
            high = self.most is not None and not value <= self.most
            if low or high or not np.isfinite(value):
                return f"metadata '{self.key}' is {value!r}, expected {self.least} to {self.most}"
        return None


COMB = MetadataSpec("pyvoc.comb", float, least=0.0, most=1.0, required=False)
"""Strength of the pitch comb that the runtime puts behind a model that draws its samples."""

COMMON_METADATA = (
    MetadataSpec("general.name", str),
    MetadataSpec("general.alignment", int, values=(64,)),
    MetadataSpec("pyvoc.format_version", int, least=1, most=FORMAT_VERSION),
    MetadataSpec("pyvoc.precision", str, values=PRECISIONS),
    MetadataSpec("pyvoc.source.format", str),
    MetadataSpec("pyvoc.source.sha256", str),
)


@dataclass(frozen=True)
class ModelSpec:
    """Layout contract of one model architecture.

    Parameters
    ----------
    architecture
        Value of ``general.architecture``.
    revision
        Greatest ``pyvoc.spec_revision`` that is understood.
    prefix
        Prefix of the model's own metadata keys, with the dot.
    metadata
        Its entries, besides those of every model.
    layout
        The tensors that belong to a model, given the shapes of those that it has (as stored, or
        dense) and its metadata. Both are hostile: sizes are bounded here, complaints are `extra`'s.
    extra
        Model-specific checks, given the container and its layout; returns sentences.
    peak
        No sample of its audio is greater; more is not audio.
    prunable
        Conversion may make blocks of zeros in its matrices (`TensorSpec.blocks`).
    """

    architecture: str
    revision: int
    prefix: str
    metadata: tuple[MetadataSpec, ...]
    layout: Callable[[Shapes, Mapping[str, Scalar]], Layout]
    extra: Callable[[Container, Layout], list[str]] = field(default=lambda container, layout: [])
    peak: float = 1.0
    prunable: bool = False

    def layout_of(self, container: Container) -> Layout:
        """The tensors that belong to the model of a container."""
        shapes = {name: tensor.shape for name, tensor in container.tensors.items()}
        return self.layout(shapes, container.metadata)

    def validate(self, container: Container, source: str) -> None:
        """Check a container against the spec.

        Raises
        ------
        ModelError
            One error that lists every problem; `source` names the file.
        """
        found = self.problems(container)
        if found:
            raise_problems(source, found)

    def problems(self, container: Container) -> list[str]:
        """Everything that is wrong with a container, as sentences."""
        found: list[str] = []
        if container.architecture != self.architecture:
            found.append(
                f"architecture is '{container.architecture}', expected '{self.architecture}'"
            )
        revision = MetadataSpec("pyvoc.spec_revision", int, least=1, most=self.revision)
        entries = (*COMMON_METADATA, revision, *self.metadata)
        found += [p for entry in entries if (p := entry.problem(container.metadata))]
        known = {entry.key for entry in entries}
        for key in container.metadata:
            if key.startswith(self.prefix) and key not in known:
                found.append(f"metadata '{key}' is unexpected")
        layout = self.layout_of(container)
        return found + layout_problems(layout, container) + self.extra(container, layout)


def raise_problems(source: str, problems: Sequence[str]) -> None:
    """Raise one `ModelError` that names the source and lists the problems, of many the first."""
    # What is missing is often much, and says less than what is there and wrong.
    shown = listed(sorted(problems, key=lambda problem: problem.endswith("is missing")))
    if len(problems) == 1:
        raise ModelError(f"{source}: {shown[0]}")
    lines = "".join(f"\n  - {p}" for p in shown)
    raise ModelError(f"{source}: {len(problems)} problems:{lines}")
