"""Containers with a change."""

from __future__ import annotations

import dataclasses

import numpy as np

from pyvoc.container import Container, Tensor


def changed(container: Container, tensors=None, metadata=None, remove=()) -> Container:
    names = {**container.tensors, **(tensors or {})}
    entries = {**container.metadata, **(metadata or {})}
    return Container(
        {k: v for k, v in entries.items() if k not in remove},
        {k: v for k, v in names.items() if k not in remove},
    )


def replace_data(container: Container, name: str, data: np.ndarray) -> dict[str, Tensor]:
    return {name: dataclasses.replace(container.tensors[name], data=data)}
