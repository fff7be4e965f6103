"""Model files with random weights, for measurements that need no download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pyvoc.container import ModelSpec
from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.errors import UnsupportedError

__all__ = ["Seeded"]


class Settings(Protocol):
    """What a model's tensors do not say."""

    def metadata(self) -> Mapping[str, Scalar]:
        """As entries of a model file, with the feature recipe."""


@dataclass(frozen=True)
class Seeded:
    """A model of the published size with random weights.

    Parameters
    ----------
    title
        Of the family, for people.
    spec
        The model's layout.
    settings
        What its tensors do not say.
    tensors
        Makes every tensor of the spec.
    """

    title: str
    spec: ModelSpec
    settings: Settings
    tensors: Callable[[], Mapping[str, AnyArray]]

    def write(
        self, path: Path, precision: str, arrays: Mapping[str, AnyArray] | None = None
    ) -> None:
        """Write it as a model file.

        Parameters
        ----------
        path
            The file to write.
        precision
            One that needs no calibration.
        arrays
            Instead of what `tensors` makes.

        Raises
        ------
        UnsupportedError
            The extra ``convert`` is not installed.
        """
        try:
            from pyvoc.container import write_container
            from pyvoc.quant import encode

            metadata = {
                "general.name": f"seeded {self.title}",
                "pyvoc.source.format": "seeded",
                "pyvoc.source.sha256": "none",
                **self.settings.metadata(),
            }
            found = self.tensors() if arrays is None else arrays
            container = encode(self.spec, found, metadata=metadata, precision=precision)
            write_container(path, container, spec=self.spec)
        except ImportError as error:
            raise UnsupportedError(
                f"a benchmark without --model makes one, which needs {error.name}: "
                "pip install 'pyvoc-vocoder[convert]'"
            ) from error
