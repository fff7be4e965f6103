"""pyvoc bench fargan: the work that is counted, the seeded model, a run beside a program."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyvoc._pyvoc")
pytest.importorskip("gguf")

from fargan_files import ROOT

import pyvoc
from pyvoc import _pyvoc
from pyvoc.bench import Options, run
from pyvoc.errors import UnsupportedError
from pyvoc.families.fargan.bench import seeded
from pyvoc.families.fargan.bench.work import fargan_work

TINY = ROOT / "tests" / "golden" / "fargan" / "even.int8.gguf"
native: Any = _pyvoc


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("seeded")
    found = {precision: folder / f"{precision}.gguf" for precision in ("f32", "bf16", "int8")}
    for precision, path in found.items():
        seeded.SEEDED.write(path, precision)
    return found


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_work_of_the_published_size(models: dict[str, Path], precision: str) -> None:
    """746 320 multiply-adds in a subframe and 67 584 in a frame, as the paper's network has."""
    work = fargan_work(json.loads(native.Model(str(models[precision])).describe()))
    frame = work.macs["conditioning"] * 160
    assert round(frame) == 32 * 64 + 192 * 128 + 128 * 320
    assert round((work.total_macs - work.macs["conditioning"]) * 40) == 746_320
    assert work.total_macs * 16000 == pytest.approx(305.3e6, rel=1e-3)
    item = {"f32": 4, "bf16": 2, "int8": 1}[precision]
    assert work.bytes["gru1.weight_ih"] * 40 == 480 * 272 * item
    assert work.bytes["gain"] * 40 == 4 * 80
    assert work.bytes["out"] * 40 == 40 * 128 * (2 if precision == "bf16" else 4)


def test_the_seeded_model_is_alive(models: dict[str, Path]) -> None:
    rows = seeded.features(30)
    assert rows.shape == (30, 20) and np.array_equal(rows, seeded.features(30))
    audio = {p: pyvoc.load(path).synthesize(rows) for p, path in models.items()}
    assert 0.01 < audio["f32"].std() < 0.5
    assert audio["int8"].std() == pytest.approx(audio["f32"].std(), rel=0.2)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell script as peer")
def test_a_whole_run(tmp_path: Path) -> None:
    peer = tmp_path / "peer"
    # 0.2 s to start and 5 ms per frame of 80 bytes; notes how it is called.
    peer.write_text(
        "#!/bin/sh\nset -e\n"
        f'echo "$1" >> "{tmp_path}/log"\n'
        'size=$(wc -c < "$2")\n'
        "sleep $(awk -v n=$size 'BEGIN { print 0.2 + n / 80 * 0.005 }')\n"
        'echo x > "$3"\n'
    )
    peer.chmod(0o755)
    options = Options(("fargan",), model=TINY, seconds=1, repeats=3, peer_int8=peer)
    report = run(options)
    assert [(r.name, r.precision, r.streams) for r in report.results] == [
        ("fargan", "int8", 1),
        ("fargan", "int8", 4),
    ]
    for result in report.results:
        assert result.peer is not None and result.peer.name == "xiph/opus"
        assert 1 < result.peer.xrt.median < 2.1, "1 s of audio is half a second of sleep"
        assert result.ratio == pytest.approx(result.xrt / result.peer.xrt.median)
        assert result.gmacs is not None and result.peak_fraction is not None
        assert result.macs_by_part is not None and result.chunk_ms == 10
    assert report.results[0].l2_fraction is not None
    assert set((tmp_path / "log").read_text().split()) == {"-fargan-synthesis"}


def test_another_familys_model() -> None:
    other = ROOT / "tests" / "golden" / "tree_larger.int8.gguf"
    with pytest.raises(UnsupportedError, match="pyvoc bench lpcnet"):
        run(Options(("fargan",), model=other, seconds=1))
