"""Between the twin's parameters and the spec's tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pyvoc.container.tensors import AnyArray
from pyvoc.families.lpcnet.spec import LEVELS
from pyvoc.families.lpcnet.train.model import Lpcnet
from pyvoc.families.lpcnet.train.settings import LpcnetModel
from pyvoc.families.lpcnet.train.sparsify import blocks

TABLES = ("gru_a.embed_sig", "gru_a.embed_pred", "gru_a.embed_exc")


def direct(model: Lpcnet) -> dict[str, Tensor]:
    """The parameters that are tensors of the spec, by the spec's names."""
    return {
        "embed_pitch.weight": model.embed_pitch.weight,
        "conv1.weight": model.conv1.weight,
        "conv1.bias": _bias(model.conv1.bias),
        "conv2.weight": model.conv2.weight,
        "conv2.bias": _bias(model.conv2.bias),
        "dense1.weight": model.dense1.weight,
        "dense1.bias": model.dense1.bias,
        "dense2.weight": model.dense2.weight,
        "dense2.bias": model.dense2.bias,
        "gru_a.cond.weight": model.cond_a.weight,
        "gru_a.bias_ih": model.cond_a.bias,
        "gru_a.weight_hh": model.gru_a.weight_hh,
        "gru_a.bias_hh": model.gru_a.bias_hh,
        "gru_b.weight_ih": model.input_b,
        "gru_b.bias_ih": model.cond_b.bias,
        "gru_b.cond.weight": model.cond_b.weight,
        "gru_b.weight_hh": model.gru_b.weight_hh,
        "gru_b.bias_hh": model.gru_b.bias_hh,
        "dual_fc.weight": model.dual_fc,
        "dual_fc.bias": model.dual_fc_bias,
        "dual_fc.factor": model.dual_fc_factor,
    }


def _bias(bias: Tensor | None) -> Tensor:
    assert bias is not None
    return bias


def to_arrays(model: Lpcnet) -> dict[str, AnyArray]:
    """Every tensor of the spec, float32, dense, as the model computes with it."""
    with torch.no_grad():
        arrays = {k: v.detach().float().cpu().numpy() for k, v in direct(model).items()}
        tables = model.tables().float().cpu().numpy()
    return {**arrays, **dict(zip(TABLES, tables, strict=True))}


def from_arrays(model: Lpcnet, arrays: Mapping[str, AnyArray]) -> float:
    """Fill the twin from the spec's tensors.

    The three tables are factored into one embedding and three kernels by singular
    values; upstream's tables have the embedding's rank, so nothing is lost but rounding.

    Returns
    -------
    float
        The largest error of a table entry through the factorisation, relative to the largest entry.

    Raises
    ------
    ValueError
        A tensor has another shape than the model's; names the first ones.
    """
    targets = direct(model)
    n = model.config.gru_a
    expected = {name: tuple(t.shape) for name, t in targets.items()}
    expected |= dict.fromkeys(TABLES, (LEVELS, 3 * n))
    wrong = [
        f"{name} is {list(arrays[name].shape)}, this model's is {list(shape)}"
        for name, shape in expected.items()
        if tuple(arrays[name].shape) != shape
    ]
    if wrong:
        raise ValueError("; ".join(wrong[:3]) + ("; ..." if len(wrong) > 3 else ""))
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(torch.from_numpy(np.array(arrays[name], np.float32)))
        tables = np.concatenate([np.asarray(arrays[t], np.float64) for t in TABLES], axis=1)
        u, s, vt = np.linalg.svd(tables, full_matrices=False)
        rank = min(model.config.embedding, len(s))
        # The embedding keeps the spread that training begins with; the kernels take the rest.
        share = np.sqrt(LEVELS * rank) * 0.14 / np.sqrt(rank)
        embed = np.zeros((LEVELS, model.config.embedding))
        kernels = np.zeros((model.config.embedding, tables.shape[1]))
        embed[:, :rank] = u[:, :rank] * share
        kernels[:rank] = (s[:rank, None] / share) * vt[:rank]
        model.embed.copy_(torch.from_numpy(embed.astype(np.float32)))
        split = kernels.T.reshape(3, 3 * n, model.config.embedding)
        model.kernels.copy_(torch.from_numpy(split.astype(np.float32)))
        _take_mask(model)
    peak = np.abs(tables).max(initial=1e-30)
    return float(np.abs(embed @ kernels - tables).max() / peak)


def _take_mask(model: Lpcnet) -> None:
    """What is zero in GRU A's recurrent matrix, outside its diagonals, stays zero."""
    weight = model.gru_a.weight_hh.detach()
    units = weight.shape[1]
    eye = torch.eye(units, dtype=torch.bool, device=weight.device).repeat(3, 1)
    used = blocks(weight.masked_fill(eye, 0.0)) != 0
    model.mask.copy_(used.any(3).any(1).to(torch.uint8))
    model.pruned = bool((model.mask == 0).any())


def sizes(arrays: Mapping[str, AnyArray], *, tree: bool) -> LpcnetModel:
    """The configuration that a set of tensors was trained with, as far as tensors say."""
    return LpcnetModel(
        generation="latest" if tree else "2019",
        gru_a=arrays["gru_a.bias_hh"].shape[0] // 3,
        gru_b=arrays["gru_b.bias_hh"].shape[0] // 3,
        cond=arrays["dense2.bias"].shape[0],
        pitch_embedding=arrays["embed_pitch.weight"].shape[1],
    )
