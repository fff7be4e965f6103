"""The runtime against the audio of upstream HiFi-GANs (see PYVOC_GOLDEN)."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hifigan_files import GOLDEN
from tier_worker import run, tiers

import pyvoc
from pyvoc.container import read_container
from pyvoc.convert.run import convert
from pyvoc.errors import ModelError
from pyvoc.families.hifigan.spec import HIFIGAN
from pyvoc.quant import decode
from pyvoc.quant.calibrate import quantize

TOLERANCE = 1e-5  # f32
NEEDED = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no HiFi-GAN checkpoints in {GOLDEN}")
BF16_DB, INT8_DB = 35.0, 27.0  # nets of random weights


def checkpoints() -> list[object]:
    found = [
        pytest.param(path, id=path.parent.name)
        for pattern in ("*/g_*", "*/*.pkl")
        for path in (sorted(GOLDEN.glob(pattern)) if GOLDEN.is_dir() else ())
    ]
    return found or [pytest.param(None, marks=NEEDED)]


EVERY = pytest.mark.parametrize("path", checkpoints())


def utterances(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mels [frames, bands] and upstream's audio; a variant of a file has the same audio."""
    folder = path.parent
    while not list(folder.glob("LJ*.npz")):
        folder = folder.with_name(folder.name.rpartition("_")[0])
    found = []
    for file in sorted(folder.glob("LJ*.npz")):
        with np.load(file) as arrays:
            mel = arrays["mel_raw"] if "mel_raw" in arrays else arrays["mel"]
            found.append((np.ascontiguousarray(mel.T, np.float32), arrays["audio_float"].ravel()))
    return found


def snr(expected: np.ndarray, found: np.ndarray) -> float:
    a, b = expected.astype(np.float64), found.astype(np.float64)
    return float(10 * np.log10(np.square(a).sum() / np.square(a - b).sum()))


@EVERY
def test_float_audio_is_upstreams(path: Path, tmp_path: Path) -> None:
    convert(path, tmp_path / "model.gguf")
    model = pyvoc.load(tmp_path / "model.gguf")
    for mel, expected in utterances(path):
        np.testing.assert_allclose(model.synthesize(mel), expected, rtol=0, atol=TOLERANCE)


@NEEDED
@pytest.mark.parametrize("name", ["v1_ch64", "v3_ch64", "odd_rates_ch32"])
def test_other_precisions_are_close(name: str, tmp_path: Path) -> None:
    (path,) = (GOLDEN / name).glob("g_*")
    pairs = utterances(path)
    convert(path, tmp_path / "f32.gguf")
    convert(path, tmp_path / "bf16.gguf", precision="bf16")
    quantize(tmp_path / "f32.gguf", tmp_path / "int8.gguf", [mel for mel, _ in pairs])
    for precision, least in (("bf16", BF16_DB), ("int8", INT8_DB)):
        model = pyvoc.load(tmp_path / f"{precision}.gguf")
        assert model.info.precision == precision
        assert snr(pairs[-1][1], model.synthesize(pairs[-1][0])) >= least


@NEEDED
@pytest.mark.parametrize("tier", tiers())
@pytest.mark.parametrize("name", ["v1_ch64", "odd_rates_ch32"])
def test_every_tier(name: str, tier: str, tmp_path: Path) -> None:
    """The first frames, whose look-ahead ends before the cut, on every kernel tier."""
    (path,) = (GOLDEN / name).glob("g_*")
    convert(path, tmp_path / "model.gguf")
    model = pyvoc.load(tmp_path / "model.gguf")
    mel, expected = utterances(path)[0]
    frames = 16
    cut = mel[: frames + model.info.lookahead_frames]
    found = run(tmp_path / "model.gguf", tier, tmp_path, mel=cut)["mel"]
    samples = frames * model.info.hop_length
    np.testing.assert_allclose(found[:samples], expected[:samples], rtol=0, atol=TOLERANCE)


@NEEDED
def test_without_its_config_a_published_shape_is_assumed(tmp_path: Path) -> None:
    for name in ("v1_ch64", "v3_ch64"):
        (path,) = (GOLDEN / name).glob("g_*")
        alone = tmp_path / name / "g_00000001"
        alone.parent.mkdir()
        shutil.copy(path, alone)
        report = convert(alone, tmp_path / "alone.gguf")
        convert(path, tmp_path / "with.gguf")
        assert any("nothing says the dilations" in note for note in report.notes)
        a, b = (read_container(tmp_path / f"{n}.gguf") for n in ("alone", "with"))
        own = {key for key in a.metadata if key.startswith("hifigan.")}
        assert {key: a.metadata[key] for key in own} == {key: b.metadata[key] for key in own}
    (pkl,) = (GOLDEN / "parallel_wavegan_ch48").glob("*.pkl")
    shutil.copy(pkl, tmp_path / "net.pkl")
    with pytest.raises(ModelError, match=r"stats\.npy"):
        convert(tmp_path / "net.pkl", tmp_path / "no.gguf")
    assert not (tmp_path / "no.gguf").exists()


@NEEDED
def test_the_network_in_pytorch_says_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from pyvoc.families.hifigan.torch_model import Hifigan

    for name in ("v3_ch64", "parallel_wavegan_ch48"):
        path = next(p for p in (GOLDEN / name).iterdir() if p.suffix in ("", ".pkl"))
        convert(path, tmp_path / "model.gguf")
        container = read_container(tmp_path / "model.gguf")
        network = Hifigan.from_arrays(decode(HIFIGAN, container), container.metadata)
        mel, expected = utterances(path)[1]
        with torch.inference_mode():
            found = network(torch.from_numpy(mel.T[None].copy())).numpy().ravel()
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
