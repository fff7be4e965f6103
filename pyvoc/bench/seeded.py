"""Model files with random weights, for measurements that need no download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyvoc.container import ModelSpec
from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.errors import UnsupportedError

__all__ = ["write_seeded"]


def write_seeded(
    path: Path,
    spec: ModelSpec,
    arrays: Mapping[str, AnyArray],
    *,
    name: str,
    settings: Mapping[str, Scalar],
    precision: str,
) -> None:
    """Write arrays as a model file.

    Parameters
    ----------
    path
        The file to write.
    spec
        The model's layout.
    arrays
        Every tensor of the spec.
    name
        ``general.name``.
    settings
        The model's own metadata and the feature recipe.
    precision
        One that needs no calibration.

    Raises
    ------
    UnsupportedError
        The extra ``convert`` is not installed.
    """
    try:
        from pyvoc.container import write_container
        from pyvoc.quant import encode

        metadata = {
            "general.name": name,
            "pyvoc.source.format": "seeded",
            "pyvoc.source.sha256": "none",
            **settings,
        }
        container = encode(spec, arrays, metadata=metadata, precision=precision)
        write_container(path, container, spec=spec)
    except ImportError as error:
        raise UnsupportedError(
            f"a benchmark without --model makes one, which needs {error.name}: "
            "pip install 'pyvoc-vocoder[convert]'"
        ) from error
