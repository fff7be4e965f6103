"""Write a container as a GGUF file, atomically."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from pyvoc.container.base import ModelSpec
from pyvoc.container.reader import read_container
from pyvoc.container.tensors import Container
from pyvoc.errors import Error, UnsupportedError
from pyvoc.files.atomic import atomic_path

ALIGNMENT = 64
MAX_NAME = 63


def write_container(path: str | os.PathLike[str], container: Container, *, spec: ModelSpec) -> None:
    """Check a container against its spec and save it.

    The file appears under its name only when it is complete and on the disk; on failure nothing is
    left behind and a file that was there before is untouched.

    Parameters
    ----------
    path
        Where to save.
    container
        Metadata and tensors.
    spec
        The model's layout.

    Raises
    ------
    ModelError
        The container does not follow the spec; lists every problem.
    UnsupportedError
        The `gguf` package is not installed.
    Error
        The operating system refused to write.
    """
    target = Path(path)
    spec.validate(container, str(target))
    with atomic_path(target) as temporary:
        _write(temporary, container)
        _verify(temporary, container, spec)


def _write(path: Path, container: Container) -> None:
    try:
        import gguf
    except ImportError as error:
        raise UnsupportedError(
            "writing models needs the gguf package: pip install pyvoc-vocoder[convert]"
        ) from error
    writer = gguf.GGUFWriter(path, container.architecture)
    try:
        writer.add_custom_alignment(ALIGNMENT)
        for key, value in container.metadata.items():
            if key in ("general.architecture", "general.alignment"):
                continue
            if isinstance(value, bool):
                writer.add_bool(key, value)
            elif isinstance(value, int):
                writer.add_uint32(key, value)
            elif isinstance(value, float):
                writer.add_float32(key, value)
            else:
                writer.add_string(key, value)
        for name, tensor in container.tensors.items():
            if not 1 <= tensor.data.ndim <= 4 or 0 in tensor.shape:
                raise ValueError(f"tensor '{name}' has shape {tensor.shape}")
            if not 0 < len(name.encode()) <= MAX_NAME:
                raise ValueError(f"tensor name '{name}' is not 1 to {MAX_NAME} bytes long")
            writer.add_tensor(
                name,
                np.ascontiguousarray(tensor.data),
                raw_dtype=gguf.GGMLQuantizationType(tensor.type.value),
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _verify(path: Path, container: Container, spec: ModelSpec) -> None:
    """Read the file back: what is saved is what was meant."""
    found = read_container(path)
    spec.validate(found, str(path))
    same = found.tensors.keys() == container.tensors.keys() and all(
        np.array_equal(found.tensors[name].data, tensor.data)
        for name, tensor in container.tensors.items()
    )
    if not same:
        raise Error(f"{path}: the saved tensors differ from those that were to be saved")
