"""Tasks of families from mel to sound: how a network leaves as a model file, and is heard.

What is left to a family is what it learns: optimizers, losses, the measure of held-out speech.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.container import ModelSpec, write_container
from pyvoc.container.settings import MelSettings
from pyvoc.container.tensors import Container
from pyvoc.errors import Error, ModelError, UnsupportedError
from pyvoc.files import mels
from pyvoc.quant import encode
from pyvoc.train.data.given import mel_files
from pyvoc.train.data.segments import MelDataConfig, MelSegments
from pyvoc.train.network import SpecNetwork
from pyvoc.train.task import Sample, State

__all__ = ["MelTask"]

_EXAMPLES = 2
_SPOKEN = 20
"""Mels of a folder that are spoken at a checkpoint."""


class MelTask:
    """The part of a `pyvoc.train.task.Task` that does not depend on the losses.

    Parameters
    ----------
    spec, settings
        The layout contract, and what the network's tensors do not say.
    network
        What is exported.
    precision
        Of the models that will be exported.

    Raises
    ------
    Error
        No model file can hold such a network, or not at that precision.
    """

    def __init__(
        self, spec: ModelSpec, settings: MelSettings, network: SpecNetwork, *, precision: str
    ) -> None:
        self.network = network
        self.spoken: Sequence[tuple[str, npt.NDArray[np.float32]]] = ()
        """Names and mels [frames, bands] that are spoken at checkpoints."""
        self._spec, self._settings = spec, settings
        probe = {"general.name": "probe", "pyvoc.source.format": "", "pyvoc.source.sha256": ""}
        try:
            spec.validate(self._container(precision, probe), "the network to be trained")
        except UnsupportedError as error:
            raise Error(
                "'precision' is int8, which needs calibration: train at f32 (or bf16), then "
                "pyvoc quantize"
            ) from error
        except ModelError as error:
            raise Error(f"settings: model: {error}") from error

    def choose_spoken(self, config: MelDataConfig, data: MelSegments) -> None:
        """Choose what is spoken at checkpoints: the mels of ``data.speak``, else speech's own.

        Raises
        ------
        Error
            The folder holds no mels, or one that is not the model's.
        """
        if not config.speak:
            self.spoken = data.examples(_EXAMPLES)
            return
        bands = self._settings.recipe.bands
        paths = mel_files(config.speak)[:_SPOKEN]
        self.spoken = [(path.stem, mels.load(path, bands=bands)) for path in paths]

    def initial_state(self, rows: int) -> State:
        """Nothing is carried from step to step."""
        return {}

    def after_update(self, step: int) -> dict[str, float]:
        """Weights are free."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """The module holds everything."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take."""

    def export(self, path: str, *, precision: str, metadata: Mapping[str, Any]) -> None:
        """Write the network as a GGUF."""
        write_container(path, self._container(precision, metadata), spec=self._spec)

    def samples(self, gguf_path: str) -> Sequence[Sample]:
        """The chosen mels through the exported model."""
        if not self.spoken:
            return []
        import pyvoc

        model = pyvoc.load(gguf_path)
        rate = self._settings.recipe.sample_rate
        return [Sample(name, model.synthesize(mel), rate) for name, mel in self.spoken]

    def _container(self, precision: str, metadata: Mapping[str, Any]) -> Container:
        return encode(
            self._spec,
            self.network.to_arrays(),
            metadata={**self._settings.metadata(), **metadata},
            precision=precision,
        )
