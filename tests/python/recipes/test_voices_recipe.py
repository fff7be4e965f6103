"""The scripts of the bundled voices' recipes: data, and how a model gets into the package."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import ROOT, load_module
from mel_sounds import voice
from voices import make_features

import pyvoc
import pyvoc.files.audio

RECIPE = ROOT / "recipes" / "voices"


def test_ship(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gguf")
    ship = load_module(RECIPE / "ship.py")
    golden = ROOT / "tests" / "golden"
    source = golden / "tree_sparse.int8.gguf"
    common = ["--folder", str(tmp_path), "--description", "trained on nothing"]
    assert ship.main([str(source), *common, "--name", "alto"]) == 0
    shipped = pyvoc.load(tmp_path / "alto.gguf")
    metadata = shipped.describe()["metadata"]
    assert metadata["general.name"] == "pyvoc alto (lpcnet)"
    assert metadata["general.license"] == "BSD-3-Clause"
    assert metadata["general.description"] == "trained on nothing"
    assert metadata["pyvoc.source.format"] == "seeded"
    rows = make_features(30)
    np.testing.assert_array_equal(
        shipped.synthesize(rows, seed=3), pyvoc.load(source).synthesize(rows, seed=3)
    )
    floats = golden / "tree_sparse.f32.gguf"
    assert ship.main([str(floats), *common, "--name", "bass", "--precision", "int8"]) == 0
    assert pyvoc.load(tmp_path / "bass.gguf").info.precision == "int8"
    assert ship.main([str(golden / "none.gguf"), *common, "--name", "tenor"]) == 1
    assert "none.gguf" in capfd.readouterr().err
    ship.MOST_BYTES = 1000
    assert ship.main([str(source), *common, "--name", "tenor"]) == 1
    assert "a bundled voice at most 1000" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alto.gguf", "bass.gguf"]


def test_prepare(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Rates, the split, the level and less noise; a second run writes the same."""
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    prepare = load_module(RECIPE / "prepare.py")
    rng = np.random.default_rng(2)
    time = np.arange(24000) / 24000
    tone = 0.1 * np.sin(2 * np.pi * 500 * time) * (time > 0.5)
    folder = tmp_path / "kathleen"
    folder.mkdir()
    for i in range(54):
        noisy = tone + 0.003 * rng.standard_normal(time.size)
        soundfile.write(folder / f"clip{i:02}.flac", noisy, 24000)
    out = tmp_path / "out"
    arguments = [str(out), "--kathleen", str(folder)]
    assert prepare.main(arguments) == 0
    assert capfd.readouterr().out == "kathleen: 4 s, 50 s held out\n"
    for rate in (22050, 16000):
        train = sorted((out / str(rate) / "train" / "kathleen").iterdir())
        held = sorted((out / str(rate) / "validation" / "kathleen").iterdir())
        assert [len(train), len(held)] == [4, 50] and held[0].name == "clip04.wav"
        samples, found = soundfile.read(train[0])
        assert found == rate and len(samples) == rate
        pause, speech = samples[: rate // 2 - 1000], samples[rate // 2 + 1000 :]
        gain = prepare.KATHLEEN_GAIN
        assert np.std(pause) < 0.5 * gain * 0.003
        assert np.std(speech) == pytest.approx(gain * 0.1 / np.sqrt(2), rel=0.02)
    before = train[0].read_bytes()
    assert prepare.main(arguments) == 0
    assert train[0].read_bytes() == before
    assert prepare.main([str(out), "--ljspeech", str(tmp_path / "none")]) == 1
    assert "expected more than 3 clips, found 0" in capfd.readouterr().err


def test_shrink(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As many channels as the teacher: the same sound; fewer: less of it, but most."""
    pytest.importorskip("torch")
    shrink = load_module(RECIPE / "shrink.py")
    teacher = ROOT / "tests" / "golden" / "hifigan" / "paired.f32.gguf"
    speech = voice(2.0)
    pyvoc.files.audio.write_wav(tmp_path / "speech.wav", speech, 22050)
    mel = pyvoc.features.extract(speech, model=pyvoc.load(teacher))
    wanted = pyvoc.load(teacher).synthesize(mel)
    out = tmp_path / "small.gguf"
    lost = []
    for channels in ("24 12 8 5 3", "12 9 7 4 3"):
        arguments = [str(teacher), str(tmp_path), "--channels", *channels.split(), "-o", str(out)]
        assert shrink.main(arguments) == 0
        error = pyvoc.load(out).synthesize(mel) - wanted
        lost.append(float(np.square(error).mean() / np.square(wanted).mean()))
    assert lost[0] < 1e-3 < lost[1] < 0.5
    assert "sound: " in capfd.readouterr().err
    small = ["--channels", "12", "9", "7", "4", "3", "--steps=60", "-o", str(out)]
    left = {}
    for family in ("hifigan", "melgan"):
        assert shrink.main([str(teacher), str(tmp_path), "--family", family, *small]) == 0
        said = re.findall(r"stage 1: ([.\d]+)", capfd.readouterr().err)
        left[family] = [float(text) for text in said]
        assert pyvoc.load(out).info.architecture == family
    assert left["hifigan"][1] < left["hifigan"][0] < left["melgan"][0] < 1
    assert left["melgan"][1] < left["melgan"][0]
    for channels in ("24 12", "24 12 8 5 4"):
        with pytest.raises(SystemExit):
            shrink.main([str(teacher), str(tmp_path), "--channels", *channels.split(), "-o", "x"])


@pytest.mark.parametrize("path", sorted(RECIPE.glob("*.yaml")), ids=lambda path: path.stem)
def test_configurations_can_be_read(path: Path) -> None:
    """Every key is one of the family's, and says what can be."""
    yaml = pytest.importorskip("yaml")
    pytest.importorskip("torch")
    from pyvoc.train import TrainConfig, from_mapping
    from pyvoc.train.data.segments import MelDataConfig

    family = {"default": "fargan"}.get(path.stem, path.stem.removesuffix("-small"))
    config = TrainConfig.of(family, **yaml.safe_load(path.read_text(encoding="utf-8")))
    settings = importlib.import_module(f"pyvoc.families.{family}.train.settings")
    from_mapping(getattr(settings, f"{family.capitalize()}Model"), config.model, "model")
    if family == "fargan":
        from pyvoc.families.fargan.train.data import FarganData

        from_mapping(FarganData, config.data, "data")
    else:
        from_mapping(MelDataConfig, {"segment": 1024, **config.data}, "data")
