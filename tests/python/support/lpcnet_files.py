"""Upstream-like LPCNet checkpoints made from random weights, and where the other test data lies."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden")) / "lpcnet"


def load_module(path: Path) -> ModuleType:
    """Import a file of the tests that is not in a package."""
    name = f"pyvoc_tests_{path.parent.name}_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def reference() -> ModuleType:
    return load_module(ROOT / "tests" / "reference" / "lpcnet.py")


def make_tiny() -> ModuleType:
    return load_module(ROOT / "tests" / "golden" / "make_tiny.py")


@dataclass
class Upstream:
    """Weights in upstream's plain layout, gates z, r, h."""

    n: int = 32
    m: int = 16
    c: int = 8
    p: int = 4
    e: int = 8
    features: int = 20
    seed: int = 1
    block: tuple[int, int] | None = (8, 4)
    w: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        n, m, c = self.n, self.m, self.c

        def draw(*shape: int) -> np.ndarray:
            return rng.uniform(-0.4, 0.4, shape).astype(np.float32)

        self.w = {
            "embed_pitch/embeddings:0": draw(256, self.p),
            "embed_sig/Variable:0": draw(256, self.e),
            "feature_conv1/kernel:0": draw(3, self.features + self.p, c),
            "feature_conv1/bias:0": draw(c),
            "feature_conv2/kernel:0": draw(3, c, c),
            "feature_conv2/bias:0": draw(c),
            "feature_dense1/kernel:0": draw(c, c),
            "feature_dense1/bias:0": draw(c),
            "feature_dense2/kernel:0": draw(c, c),
            "feature_dense2/bias:0": draw(c),
            "gru_a/kernel:0": draw(3 * self.e + c, 3 * n),
            "gru_a/recurrent_kernel:0": draw(n, 3 * n),
            "gru_a/bias:0": draw(2, 3 * n),
            "gru_b/kernel:0": draw(n + c, 3 * m),
            "gru_b/recurrent_kernel:0": draw(m, 3 * m),
            "gru_b/bias:0": draw(2, 3 * m),
            "dual_fc/kernel:0": draw(256, m, 2),
            "dual_fc/bias:0": draw(256, 2),
            "dual_fc/factor:0": draw(256, 2),
        }
        if self.block is not None:
            rows, cols = self.block
            keep = rng.random((3 * n // rows, n // cols)) < 0.25
            recurrent = self.w["gru_a/recurrent_kernel:0"].T
            at = np.arange(3 * n)
            diagonal = recurrent[at, at % n]
            recurrent = recurrent * np.kron(keep, np.ones(self.block, np.float32))
            recurrent[at, at % n] = diagonal
            self.w["gru_a/recurrent_kernel:0"] = np.ascontiguousarray(recurrent.T)

    def arrays(self) -> dict[str, np.ndarray]:
        """The tensors that a converter should give."""
        w, e, n = self.w, self.e, self.n

        def gates(x: np.ndarray, axis: int = 0) -> np.ndarray:
            z, r, h = np.split(x, 3, axis)
            return np.concatenate([r, z, h], axis)

        kernel_a, kernel_b = w["gru_a/kernel:0"], w["gru_b/kernel:0"]
        wide = w["embed_sig/Variable:0"].astype(np.float64)
        tables = {
            f"gru_a.embed_{k}": gates(wide @ kernel_a[i * e : (i + 1) * e].astype(np.float64), 1)
            for i, k in enumerate(("sig", "pred", "exc"))
        }
        return {
            "embed_pitch.weight": w["embed_pitch/embeddings:0"],
            "conv1.weight": np.moveaxis(w["feature_conv1/kernel:0"], 0, 2).swapaxes(0, 1),
            "conv1.bias": w["feature_conv1/bias:0"],
            "conv2.weight": np.moveaxis(w["feature_conv2/kernel:0"], 0, 2).swapaxes(0, 1),
            "conv2.bias": w["feature_conv2/bias:0"],
            "dense1.weight": w["feature_dense1/kernel:0"].T,
            "dense1.bias": w["feature_dense1/bias:0"],
            "dense2.weight": w["feature_dense2/kernel:0"].T,
            "dense2.bias": w["feature_dense2/bias:0"],
            **{k: v.astype(np.float32) for k, v in tables.items()},
            "gru_a.cond.weight": gates(kernel_a[3 * e :].T),
            "gru_a.bias_ih": gates(w["gru_a/bias:0"][0]),
            "gru_a.weight_hh": gates(w["gru_a/recurrent_kernel:0"].T),
            "gru_a.bias_hh": gates(w["gru_a/bias:0"][1]),
            "gru_b.weight_ih": gates(kernel_b[:n].T),
            "gru_b.bias_ih": gates(w["gru_b/bias:0"][0]),
            "gru_b.cond.weight": gates(kernel_b[n:].T),
            "gru_b.weight_hh": gates(w["gru_b/recurrent_kernel:0"].T),
            "gru_b.bias_hh": gates(w["gru_b/bias:0"][1]),
            "dual_fc.weight": np.moveaxis(w["dual_fc/kernel:0"], 2, 0),
            "dual_fc.bias": w["dual_fc/bias:0"].T,
            "dual_fc.factor": w["dual_fc/factor:0"].T,
        }

    def write_h5(
        self,
        path: Path,
        *,
        cudnn: bool = True,
        activation: str | None = "sigmoid",
        settings: dict[str, Any] | None = None,
        layers: tuple[str, ...] = (),
        embed: str = "Variable:0",
    ) -> Path:
        """Save as Keras does; `settings` go under top_level_model_weights."""
        import h5py

        with h5py.File(path, "w") as file:
            root = file.create_group("model_weights")
            for name, array in self.w.items():
                layer, variable = name.split("/")
                if layer in ("gru_a", "gru_b") and cudnn:
                    array = _to_cudnn(variable, array)
                if layer == "embed_sig":
                    variable = embed
                root.create_dataset(f"{layer}/{layer}/{variable}", data=array)
            for name, value in (settings or {}).items():
                root.create_dataset(f"top_level_model_weights/{name}:0", data=value)
            for name in layers:
                root.create_group(name)
            if activation is not None:
                layer_config = {"name": "dual_fc", "config": {"activation": activation}}
                file.attrs["model_config"] = json.dumps({"config": {"layers": [layer_config]}})
        return path

    def blob_records(self, *, int8: bool) -> dict[str, tuple[int, bytes]]:
        """The arrays of a weight blob by name: type and bytes."""
        w, e, n, m = self.w, self.e, self.n, self.m
        kernel_a, kernel_b = w["gru_a/kernel:0"], w["gru_b/kernel:0"]
        embed = w["embed_sig/Variable:0"].astype(np.float64)

        def f(x: np.ndarray) -> tuple[int, bytes]:
            return 0, np.ascontiguousarray(x, "<f4").tobytes()

        recurrent = w["gru_a/recurrent_kernel:0"].T.copy()
        at = np.arange(3 * n)
        diagonal = recurrent[at, at % n].copy()
        recurrent[at, at % n] = 0
        records = {
            f"gru_a_embed_{k}_weights": f(embed @ kernel_a[i * e : (i + 1) * e].astype(np.float64))
            for i, k in enumerate(("sig", "pred", "exc"))
        }
        records |= {
            "gru_a_dense_feature_weights": f(kernel_a[3 * e :]),
            "gru_a_dense_feature_bias": f(w["gru_a/bias:0"][0]),
            "gru_b_dense_feature_weights": f(kernel_b[n:]),
            "gru_b_dense_feature_bias": f(np.zeros(3 * m)),
            "gru_b_bias": f(w["gru_b/bias:0"]),
            "gru_b_subias": f(w["gru_b/bias:0"]),
            "embed_pitch_weights": f(w["embed_pitch/embeddings:0"]),
            "embed_sig_weights": f(w["embed_sig/Variable:0"]),
            "dual_fc_weights": f(w["dual_fc/kernel:0"].transpose(0, 2, 1)),
            "dual_fc_bias": f(w["dual_fc/bias:0"].T),
            "dual_fc_factor": f(w["dual_fc/factor:0"].T),
            "sparse_gru_a_recurrent_weights_diag": f(diagonal),
            "sparse_gru_a_bias": f(w["gru_a/bias:0"]),
            "sparse_gru_a_subias": f(w["gru_a/bias:0"]),
        }
        for layer in ("feature_conv1", "feature_conv2", "feature_dense1", "feature_dense2"):
            records[f"{layer}_weights"] = f(w[f"{layer}/kernel:0"])
            records[f"{layer}_bias"] = f(w[f"{layer}/bias:0"])
        for name, matrix in (
            ("sparse_gru_a_recurrent_weights", recurrent),
            ("gru_b_weights", kernel_b[:n].T),
        ):
            index, weights = _blocks(matrix, int8=int8)
            records[name] = (2, weights)
            records[f"{name}_idx"] = (1, index)
        recurrent_b = w["gru_b/recurrent_kernel:0"]
        if int8:
            tiles = quantise(recurrent_b.T).reshape(3 * m // 8, 8, m // 4, 4).transpose(0, 2, 1, 3)
            records["gru_b_recurrent_weights"] = (2, tiles.tobytes())
        else:
            records["gru_b_recurrent_weights"] = f(recurrent_b)
        return records


def quantise(matrix: np.ndarray) -> np.ndarray:
    """Upstream's int8: one scale, 1/128."""
    return np.clip(np.round(matrix * 128), -128, 127).astype(np.int8)


def write_blob(path: Path, records: dict[str, tuple[int, bytes]]) -> Path:
    """Save records in upstream's blob format."""
    out = b""
    for name, (kind, data) in records.items():
        block = -(-len(data) // 64) * 64
        out += struct.pack("<4siiii44s", b"DNNw", 0, kind, len(data), block, name.encode())
        out += data.ljust(block, b"\0")
    path.write_bytes(out)
    return path


def _to_cudnn(variable: str, array: np.ndarray) -> np.ndarray:
    if variable == "bias:0":
        return array.ravel()
    n = array.shape[1] // 3
    gates = [array[:, k * n : (k + 1) * n] for k in range(3)]
    if variable == "recurrent_kernel:0":
        return np.concatenate([g.T for g in gates], axis=1)
    return np.concatenate([np.ascontiguousarray(g.T).reshape(-1, n) for g in gates], axis=1)


def _blocks(matrix: np.ndarray, *, int8: bool) -> tuple[bytes, bytes]:
    index: list[int] = []
    weights = b""
    for row in range(0, matrix.shape[0], 8):
        blocks = [(c, matrix[row : row + 8, c : c + 4]) for c in range(0, matrix.shape[1], 4)]
        blocks = [(c, b) for c, b in blocks if b.any()]
        index += [len(blocks), *(c for c, _ in blocks)]
        for _, block in blocks:
            weights += quantise(block).tobytes() if int8 else block.T.astype("<f4").tobytes()
    return np.array(index, "<i4").tobytes(), weights


def probe(layout: str) -> tuple[np.ndarray, np.ndarray]:
    """Features [40, dims] of a layout and a signal [6400] in -1..1 to force: voiced, noisy."""
    frames, hop, dims = 40, 160, {"lpcnet36": 36, "lpcnet55": 55}[layout]
    rng = np.random.Generator(np.random.PCG64(20190512))
    time = np.arange(frames)
    period = np.rint(130 + 30 * np.sin(time / 6)).astype(int)
    voicing = 0.5 + 0.4 * np.sin(time / 9)
    cepstrum = 0.35 * rng.standard_normal((frames, 18)) / (1 + np.arange(18) / 3)
    cepstrum[:, 0] += 1.5 + np.sin(time / 7)
    cepstrum[:, 1] += 1.2
    reflection = np.zeros(16)
    reflection[:6] = (-0.85, 0.45, -0.2, 0.15, -0.1, 0.05)
    lpc = _step_up(reflection)
    excitation = rng.laplace(0.0, 60.0, frames * hop) * np.repeat(1.2 - voicing, hop)
    at = 0
    while at < len(excitation):
        excitation[at] += 1500 * voicing[at // hop]
        at += int(period[at // hop])
    signal = np.zeros(len(excitation) + 16)
    for t, e in enumerate(excitation):
        signal[t + 16] = e - lpc @ signal[t : t + 16][::-1]
    # Undo the pre-emphasis: models see what an extractor would have seen.
    pcm = np.zeros(len(excitation))
    memory = 0.0
    for t, x in enumerate(signal[16:]):
        memory = x + 0.85 * memory
        pcm[t] = memory
    features = np.zeros((frames, dims), np.float32)
    features[:, :18] = cepstrum
    pitch = 18 if layout == "lpcnet36" else 36
    features[:, pitch] = 0.01 * (2 * period - 200)
    features[:, pitch + 1] = voicing - 0.5
    features[:, -16:] = lpc
    rounded = np.clip(np.rint(pcm), -32767, 32767) / 32768
    return features, rounded.astype(np.float32)


def _step_up(reflection: np.ndarray) -> np.ndarray:
    """LPC a_1..a_n (prediction = -sum a_k x[t-k]) from reflection coefficients."""
    a = np.zeros(len(reflection))
    for i, k in enumerate(reflection):
        a[:i] = a[:i] + k * a[:i][::-1]
        a[i] = k
    return a
