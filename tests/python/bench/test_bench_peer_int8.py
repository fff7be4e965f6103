"""The int8 peers' weights: as many bits as the processor's products can add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyvoc._pyvoc")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

import pyvoc.bench.mel.graphs as mel_graphs
import pyvoc.families.wavernn.bench.graph as wavernn_graph
from pyvoc.bench import peer_int8
from pyvoc.container import read_container
from pyvoc.families.melgan.bench import seeded as melgan
from pyvoc.families.wavernn.bench import seeded as wavernn

MELGAN = Path(__file__).resolve().parents[2] / "golden" / "melgan" / "reflect.f32.gguf"


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        (["scalar"], True),
        (["avx2", "scalar"], True),
        (["avx512", "avx2", "scalar"], True),
        (["avxvnni", "avx2", "scalar"], False),
        (["avx512vnni", "avx512", "avx2", "scalar"], False),
        (["neon", "scalar"], False),
        (["neon_dotprod", "neon", "scalar"], False),
    ],
)
def test_where_products_saturate(tiers: list[str], expected: bool) -> None:
    assert peer_int8.saturates(tiers) is expected


def melgan_graph(folder: Path) -> Path:
    job = {"model": str(MELGAN), "mel": str(folder / "mel.npy"), "noise": None}
    np.save(job["mel"], melgan.mel(40, read_container(MELGAN).metadata))
    mel_graphs.write_f32({**job, "graph": str(folder / "f32.onnx")})
    paths = {"source": str(folder / "f32.onnx"), "graph": str(folder / "int8.onnx")}
    mel_graphs.write_int8({**job, **paths})
    return folder / "int8.onnx"


def wavernn_step(folder: Path) -> Path:
    state: Any = wavernn.state_dict()
    np.savez(folder / "state.npz", **state)
    paths = {kind: str(folder / f"{kind}.onnx") for kind in ("f32", "int8")}
    wavernn_graph.write({"state": str(folder / "state.npz"), **paths})
    return folder / "int8.onnx"


@pytest.mark.parametrize("saturates", [True, False])
@pytest.mark.parametrize("make", [melgan_graph, wavernn_step])
def test_the_weights_bits(
    make: Any, saturates: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_int8, "saturates", lambda tiers: saturates)
    graph = onnx.load(make(tmp_path)).graph
    weights = [
        onnx.numpy_helper.to_array(array).astype(int)
        for array in graph.initializer
        if array.data_type == onnx.TensorProto.INT8 and len(array.dims) > 1
    ]
    largest = max(np.abs(array).max() for array in weights)
    assert len(weights) > 5 and largest == (64 if saturates else 127)
    assert not saturates or 255 * largest * 2 < 2**15
