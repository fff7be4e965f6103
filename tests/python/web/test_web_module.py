"""The WebAssembly module under Node: the bits of the scalar tier, its size, its errors."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import web_folder
from voices import FARGAN, HIFIGAN, MELGAN, TINY, WAVEGLOW, WAVERNN, make_features

import pyvoc

VOICES = Path(pyvoc.__file__).parent / "voices"
SMALL = "pyvoc-fargan-lpcnet.wasm"
SCALAR = """
import sys
import numpy as np
import pyvoc
assert pyvoc.system_info()["active_tier"] == "scalar"
model = pyvoc.load(sys.argv[1])
features = np.fromfile(sys.argv[2], "<f4").reshape(-1, model.info.feature_dims)
model.synthesize(features).astype("<f4").tofile(sys.argv[3])
"""
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


def scalar(model: Path, features: np.ndarray, folder: Path) -> np.ndarray:
    """In a process of its own: a tier is chosen once."""
    source, target = folder / "scalar.f32", folder / "scalar-out.f32"
    features.astype("<f4").tofile(source)
    command = [sys.executable, "-c", SCALAR, model, source, target]
    environment = {**os.environ, "PYVOC_ISA": "scalar"}
    subprocess.run(command, env=environment, check=True)
    return np.fromfile(target, "<f4")


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
    np.testing.assert_array_equal(found, scalar(VOICES / f"{name}.gguf", features, tmp_path))


@pytest.mark.parametrize("model", [*TINY, *FARGAN], ids=lambda path: path.stem)
def test_tiny_models_have_the_bits_of_the_scalar_tier(model: Path, tmp_path: Path) -> None:
    """Every precision and shape of the two families."""
    loaded = pyvoc.load(model)
    dims = loaded.info.feature_dims
    features = make_features(40, dims=36 if dims == 20 else 55)[:, :dims]
    found = samples_in_node(model, features, tmp_path)
    np.testing.assert_array_equal(found, scalar(model, features, tmp_path))


@pytest.mark.parametrize("model", [*WAVERNN, *HIFIGAN, *MELGAN, *WAVEGLOW], ids=lambda p: p.stem)
def test_the_other_families_have_the_bits_of_the_scalar_tier(model: Path, tmp_path: Path) -> None:
    """With a module of all families, which takes longer to make."""
    if not (web_folder.web() / "wasm" / SMALL).exists():
        pytest.skip("`make web`, then PYVOC_WEB=build/web")
    known = pyvoc.load(model).info
    features = np.random.default_rng(0).uniform(0, 1, (20, known.feature_dims)).astype("<f4")
    if known.architecture != "wavernn":
        features = 5 * features - 6
    found = samples_in_node(model, features, tmp_path)
    assert found.size == 20 * known.hop_length
    np.testing.assert_array_equal(found, scalar(model, features, tmp_path))


def test_modules_are_small() -> None:
    """Two families with the path for live sound, and all of them."""
    folder = web_folder.web() / "wasm"
    both = (folder / SMALL).exists()
    small = (folder / (SMALL if both else "pyvoc.wasm")).read_bytes()
    assert len(small) < 265_000 and len(gzip.compress(small, 9)) < 112_000
    if both:
        whole = (folder / "pyvoc.wasm").read_bytes()
        assert len(whole) < 450_000 and len(gzip.compress(whole, 9)) < 190_000
