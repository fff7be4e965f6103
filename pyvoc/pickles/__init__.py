"""PyTorch's files read without PyTorch and without executing anything.

A pickle is a program. `machine.py` interprets the part of its language that data needs, on our own
stack; the names that tensors and plain data are made of (`names.py`) stand for functions of ours,
all others for inert placeholders. Nothing is imported or called because a file says so, and sizes,
depths and offsets are bounded before memory is asked for.
"""

from __future__ import annotations

from pyvoc.pickles.stubs import Inert
from pyvoc.pickles.tensors import LazyTensor
from pyvoc.pickles.torch_file import HEAD, is_torch, load_torch

__all__ = ["HEAD", "Inert", "LazyTensor", "is_torch", "load_torch"]
