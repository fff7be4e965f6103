"""What a precision is said to cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fargan_files import blob, exported

import pyvoc
from pyvoc import features, voices
from pyvoc.convert import convert
from pyvoc.families.fargan.report import probe


def test_the_probe_has_the_same_periods() -> None:
    rows, lpcnet = probe(), features.load(voices.demo_features(), layout="lpcnet20")
    np.testing.assert_array_equal(rows[:, :18], lpcnet[: len(rows), :18])
    periods = 256 / 2 ** (rows[:, 18] + 1.5)
    np.testing.assert_allclose(0.02 * periods - 2, lpcnet[: len(rows), 18], rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_a_conversion_says_what_it_costs(precision: str, tmp_path: Path) -> None:
    source = blob(tmp_path / "b", exported())
    done = convert(source, tmp_path / "m.gguf", precision=precision, load=pyvoc.load)
    assert done.report is not None
    line = done.report.line()
    assert line.startswith("against float, 1.50 s of audio from bundled features: SNR ")
    assert ("SNR exact" in line) == (precision == "f32")
