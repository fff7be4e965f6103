"""The tiny models of one family: what they were made of, and other files that are made so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from lpcnet_files import ROOT, load_module, make_tiny

from pyvoc.container import Container, ModelSpec, write_container
from pyvoc.container.layout import I8
from pyvoc.quant import Quantized, encode
from pyvoc.quant.convolution import quantize_sum

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class TinyFiles:
    """See ``tests/golden/tiny_FAMILY.py``.

    Parameters
    ----------
    family
        Its name, which is the folder's.
    spec
        Its layout contract.
    usual
        The model that is meant where none is named.
    """

    family: str
    spec: ModelSpec
    usual: str

    @property
    def folder(self) -> Path:
        return ROOT / "tests" / "golden" / self.family

    def maker(self) -> ModuleType:
        return load_module(ROOT / "tests" / "golden" / f"tiny_{self.family}.py")

    def reference(self) -> ModuleType:
        """The float64 oracle."""
        return load_module(ROOT / "tests" / "reference" / f"{self.family}.py")

    def tiny(self, name: str | None = None) -> Any:
        """Its sizes, settings and seed."""
        return self.maker().MODELS[name or self.usual][0]

    def arrays(self, name: str | None = None) -> Arrays:
        """The float tensors that a tiny model was made of."""
        return self.made(self.tiny(name))

    def made(self, tiny: Any) -> Arrays:
        """The float tensors of a tiny model."""
        arrays: Arrays = self.maker().make(tiny, make_tiny().Draws(tiny.seed))
        return arrays

    def settings(self, name: str | None = None) -> Any:
        return self.tiny(name).settings

    def metadata(self, name: str | None = None) -> dict[str, Any]:
        return entries(name or self.usual, self.settings(name))

    def write(
        self,
        path: Path,
        tiny: Any,
        precision: str = "f32",
        change: Callable[[Arrays], None] = lambda arrays: None,
    ) -> None:
        """Save a model of other sizes, or with changed tensors."""
        arrays = self.made(tiny)
        change(arrays)
        self.save(path, arrays, tiny.settings, precision)

    def save(self, path: Path, arrays: Arrays, settings: Any, precision: str = "f32") -> None:
        """Save float tensors as a model."""
        metadata = entries("made", settings)
        container = encode(self.spec, arrays, metadata=metadata, precision=precision)
        write_container(path, container, spec=self.spec)

    def quantised(self, weights: Arrays) -> dict[str, Quantized]:
        """A crude int8 form that keeps every rule: the same range for every input."""
        shapes = {name: a.shape for name, a in weights.items()}
        specs = self.spec.layout(shapes, self.metadata()).tensors
        found: dict[str, Quantized] = {}
        for spec in specs:
            if spec.type_for("int8") is not I8 or spec.partner is not None:
                continue
            together = {
                s.name: weights[s.name]
                for s in specs
                if s is spec or (s.partner == spec.name and s.type_for("int8") is I8)
            }
            axis = spec.int8.outputs
            inputs = {
                n: np.tile(np.array([[0.03], [100.0]], "<f4"), (1, w.shape[1 - axis]))
                for n, w in together.items()
            }
            found |= quantize_sum(together, inputs, axis=axis)
        return found

    def int8_container(self, name: str | None = None) -> Container:
        """The int8 form of a model whose family wants calibration."""
        weights = self.arrays(name)
        kept = self.quantised(weights)
        return encode(self.spec, weights, metadata=self.metadata(name), precision="int8", kept=kept)


def entries(name: str, settings: Any) -> dict[str, Any]:
    """Metadata for `encode`."""
    return {
        "general.name": name,
        "pyvoc.source.format": "seeded",
        "pyvoc.source.sha256": "none",
        **settings.metadata(),
    }
