"""The model file: what a layout contract is, reader, writer, checks, mel recipes.

Which contract a file follows is the families' to say: `pyvoc.families.spec_of`.
"""

from __future__ import annotations

from pyvoc.container.base import ModelSpec
from pyvoc.container.reader import read_container
from pyvoc.container.tensors import Container, ElementType, Tensor
from pyvoc.container.writer import write_container

__all__ = [
    "Container",
    "ElementType",
    "ModelSpec",
    "Tensor",
    "read_container",
    "write_container",
]
