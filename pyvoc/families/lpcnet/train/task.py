"""LPCNet for the training loop: the network, its constraints, its model file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pyvoc.container import write_container
from pyvoc.convert.model_file import read_weights
from pyvoc.errors import ModelError
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.families.lpcnet.torch_model import Lpcnet
from pyvoc.families.lpcnet.train.data import LpcnetData, open_data
from pyvoc.families.lpcnet.train.dumped import DumpedLpcnet
from pyvoc.families.lpcnet.train.quantized import clip_pairs
from pyvoc.families.lpcnet.train.recordings import LpcnetWavs
from pyvoc.families.lpcnet.train.settings import LpcnetModel
from pyvoc.families.lpcnet.train.sparsify import block_mask, density_at, elements, is_due
from pyvoc.files.features import Extractor
from pyvoc.quant import encode
from pyvoc.train.config import TrainConfig
from pyvoc.train.mapping import from_mapping
from pyvoc.train.task import ONLY, Data, Loss, Measured, Sample, State, Task

BETAS = (0.5, 0.8)
"""Of Adam, as upstream's."""


class LpcnetTask:
    """See `pyvoc.train.task.Task`.

    Parameters
    ----------
    config
        Sizes, regularisation and schedules.
    speech
        Features of something to say at checkpoints, float32 ``[frames, dims]``; None for nothing.
    """

    def __init__(self, config: LpcnetModel, speech: NDArray[np.float32] | None = None) -> None:
        self.config = config
        self.module = Lpcnet(config)
        self._speech = speech

    def initial_state(self, rows: int) -> State:
        """Zeros."""
        return self.module.initial_state(rows)

    def optimizers(self, lr: float) -> Mapping[str, torch.optim.Optimizer]:
        """Adam."""
        return {ONLY: torch.optim.Adam(self.module.parameters(), lr=lr, betas=BETAS, eps=1e-7)}

    def losses(
        self, batch: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
    ) -> Iterator[Loss]:
        """The likelihood of the samples."""
        value, carried, metrics = self.module(batch, state)
        yield Loss(ONLY, value, metrics, carried)

    def measure(
        self, batch: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
    ) -> Measured:
        """The likelihood of held-out samples."""
        measured: Measured = self.module(batch, state)
        return measured

    def after_update(self, step: int) -> dict[str, float]:
        """Prune, clip, begin to quantise."""
        model, config = self.module, self.config
        with torch.no_grad():
            weight = model.gru_a.weight_hh
            if min(config.density) < 1.0 and is_due(config, step):
                model.mask.copy_(block_mask(weight, density_at(config, step), model.mask))
                model.pruned = True
            if model.pruned:
                weight.mul_(elements(model.mask))
            if config.clip > 0:
                for matrix in (weight, model.input_b, model.gru_b.weight_hh):
                    clip_pairs(matrix, config.clip)
        model.quantized = config.quantize_from is not None and step >= config.quantize_from
        return {"density": float(model.mask.float().mean())}

    def state_dict(self) -> dict[str, Any]:
        """Whether blocks are pruned and weights quantised; the mask is the module's."""
        return {"pruned": self.module.pruned, "quantized": self.module.quantized}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave."""
        flags = [state.get("pruned"), state.get("quantized")]
        if not all(isinstance(flag, bool) for flag in flags):
            raise ValueError("the checkpoint does not say whether its LPCNet is pruned")
        self.module.pruned, self.module.quantized = (bool(flag) for flag in flags)

    def load_weights(self, path: str) -> Sequence[str]:
        """Fill the network from a GGUF, a Keras .h5 or a DNNw blob of the same sizes."""
        checkpoint = read_weights(LPCNET, path)
        tree = checkpoint.metadata["lpcnet.sampling"] == "tree"
        if tree != self.config.tree:
            kind = "latest" if tree else "2019"
            raise ModelError(
                f"{path}: is an LPCNet of generation {kind}; "
                f"this run trains {self.config.generation}"
            )
        if checkpoint.metadata.get("lpcnet.end_to_end"):
            raise ModelError(f"{path}: is an end-to-end LPCNet, which cannot be trained here")
        self.module.go_on_from(checkpoint.arrays, path)
        return ()

    def export(self, path: str, *, precision: str, metadata: Mapping[str, Any]) -> None:
        """Write a GGUF."""
        container = encode(
            LPCNET,
            self.module.to_arrays(),
            metadata={**self.config.settings().metadata(), **metadata},
            precision=precision,
        )
        write_container(path, container, spec=LPCNET)

    def samples(self, gguf_path: str) -> Sequence[Sample]:
        """The held-out speech's features through the exported model."""
        if self._speech is None:
            return []
        import pyvoc

        audio = pyvoc.load(gguf_path).synthesize(self._speech)
        return [Sample("validation", audio, 16000)]


def build(config: TrainConfig) -> tuple[Task, Data]:
    """The task and data of a run (`pyvoc.train.requirements`)."""
    settings = dict(config.model)
    if isinstance(settings.get("generation"), int):  # 2019 in YAML is a number
        settings["generation"] = str(settings["generation"])
    model = from_mapping(LpcnetModel, settings, "model")
    wanted = from_mapping(LpcnetData, config.data, "data")
    data = open_data(wanted, generation=model.generation, rows=config.batch_size, seed=config.seed)
    return LpcnetTask(model, _speech(data)), data


def _speech(data: LpcnetWavs | DumpedLpcnet) -> NDArray[np.float32] | None:
    """Features of the shortest held-out clip, whole rows as in a feature file; None without one."""
    if isinstance(data, DumpedLpcnet) or not data.corpus.validation:
        return None
    clip = min(data.corpus.validation, key=lambda c: c.pcm.size)
    extractor = Extractor("lpcnet36" if data.generation == "latest" else "lpcnet55")
    rows = extractor.push(clip.pcm.astype(np.float32) / np.float32(32768.0))
    return np.ascontiguousarray(rows)
