"""The WebAssembly module under Node: the bits of the scalar tier, its size, its errors."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import tier_worker
import web_folder
from voices import FARGAN, TINY, make_features

import pyvoc

VOICES = Path(pyvoc.__file__).parent / "voices"
SPEAK = """
import { readFileSync, writeFileSync } from "node:fs";
import { Runtime } from "WEB/src/module.js";
import { Model, synthesize } from "WEB/src/parts.js";
const [gguf, features, out] = process.argv.slice(1);
const module = new WebAssembly.Module(readFileSync(new URL("WEB/wasm/pyvoc.wasm")));
const model = new Model(new Runtime(module), readFileSync(gguf));
const frames = new Float32Array(new Uint8Array(readFileSync(features)).buffer);
writeFileSync(out, synthesize(model, frames, { dims: model.info.featureDims }));
console.log(JSON.stringify(model.info));
"""


def samples_in_node(model: Path, features: np.ndarray, folder: Path) -> np.ndarray:
    source, target = folder / "in.f32", folder / "out.f32"
    features.astype("<f4").tofile(source)
    info = web_folder.node(SPEAK, model, source, target)
    loaded = pyvoc.load(model)
    assert (info["family"], info["precision"]) == (loaded.info.architecture, loaded.info.precision)
    assert (info["sampleRate"], info["hopLength"]) == (
        loaded.info.sample_rate,
        loaded.info.hop_length,
    )
    return np.fromfile(target, "<f4")


@pytest.mark.parametrize("name", ["default", "lpcnet"])
def test_bundled_voices_have_the_bits_of_the_scalar_tier(name: str, tmp_path: Path) -> None:
    features = np.fromfile(VOICES / "demo.f32", "<f4").reshape(-1, 20)[:100]
    found = samples_in_node(VOICES / f"{name}.gguf", features, tmp_path)
    expected = tier_worker.run(VOICES / f"{name}.gguf", "scalar", tmp_path, features=features)
    np.testing.assert_array_equal(found, expected["samples" if name == "lpcnet" else "features"])


@pytest.mark.parametrize("model", [*TINY, *FARGAN], ids=lambda path: path.stem)
def test_tiny_models_have_the_bits_of_the_scalar_tier(model: Path, tmp_path: Path) -> None:
    """Every precision and shape of the two families."""
    loaded = pyvoc.load(model)
    dims = loaded.info.feature_dims
    features = make_features(40, dims=36 if dims == 20 else 55)[:, :dims]
    found = samples_in_node(model, features, tmp_path)
    outputs = tier_worker.run(model, "scalar", tmp_path, features=features)
    np.testing.assert_array_equal(found, outputs.get("samples", outputs.get("features")))


def test_the_module_is_small() -> None:
    data = (web_folder.web() / "wasm" / "pyvoc.wasm").read_bytes()
    assert len(data) < 460_000
    assert len(gzip.compress(data, 9)) < 180_000
