"""What one frame of a HiFi-GAN costs, and that its ONNX graph says the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from voices import HIFIGAN, voice

from pyvoc._pyvoc import Model
from pyvoc.container import read_container
from pyvoc.families.hifigan.bench import seeded
from pyvoc.families.hifigan.bench.work import hifigan_macs


def test_counts_are_the_papers(tmp_path: Path) -> None:
    """19.26 M multiply-adds per frame for V2, 0.926 M weights and biases."""
    path = tmp_path / "v2.gguf"
    seeded.SEEDED_V2.write(path, "f32")
    macs = hifigan_macs(json.loads(Model(str(path)).describe()))
    assert list(macs)[:3] == ["conv_in", "up 0", "stage 0"] and list(macs)[-1] == "conv_out"
    assert sum(macs.values()) == pytest.approx(19.26e6, rel=1e-3)
    tensors = read_container(path).tensors.values()
    assert sum(int(np.prod(t.shape)) for t in tensors) == 925_985


def test_seeded_audio_has_about_the_level_of_speech(tmp_path: Path) -> None:
    path = tmp_path / "v2.gguf"
    seeded.SEEDED_V2.write(path, "f32")
    model = voice(path)
    mel = seeded.mel(40, read_container(path).metadata)
    assert 0.02 < np.sqrt(np.square(model.synthesize(mel)).mean()) < 0.4


@pytest.mark.parametrize("path", HIFIGAN, ids=lambda path: path.stem)
def test_the_graph_says_the_same(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from pyvoc.export import export_onnx

    report = export_onnx(path, tmp_path / "m.onnx")
    assert report.max_error is not None and report.max_error < 1e-5
