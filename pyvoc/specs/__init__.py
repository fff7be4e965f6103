"""The layout contract of every model, and the container's reader and writer."""

from __future__ import annotations

from pyvoc.errors import ModelError
from pyvoc.specs.base import ModelSpec
from pyvoc.specs.lpcnet import LPCNET
from pyvoc.specs.melgan import MELGAN
from pyvoc.specs.reader import read_container
from pyvoc.specs.tensors import Container, ElementType, Tensor
from pyvoc.specs.waveglow import WAVEGLOW
from pyvoc.specs.wavernn import WAVERNN
from pyvoc.specs.writer import write_container

SPECS = {spec.architecture: spec for spec in (LPCNET, MELGAN, WAVEGLOW, WAVERNN)}


def spec_of(container: Container, source: str) -> ModelSpec:
    """The spec that a container claims to follow.

    Raises
    ------
    ModelError
        The architecture is not one of `SPECS`.
    """
    spec = SPECS.get(container.architecture)
    if spec is None:
        raise ModelError(
            f"{source}: architecture '{container.architecture}' is unknown, expected one of "
            + ", ".join(SPECS)
        )
    return spec


__all__ = [
    "LPCNET",
    "MELGAN",
    "SPECS",
    "WAVEGLOW",
    "WAVERNN",
    "Container",
    "ElementType",
    "ModelSpec",
    "Tensor",
    "read_container",
    "spec_of",
    "write_container",
]
