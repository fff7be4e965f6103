"""The scripts of the bundled voices' recipes: data, and how a model gets into the package."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import ROOT, load_module
from mel_sounds import voice
from voices import make_features

import pyvoc
import pyvoc.files.audio
from pyvoc.container import read_container, write_container
from pyvoc.evaluate.spectra import log_spectral_distance
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.families.wavernn.spec import WAVERNN
from pyvoc.quant import carried, decode, encode

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
    assert ship.main([str(golden / "none.gguf"), *common, "--name", "tenor"]) == 1
    assert "none.gguf" in capfd.readouterr().err
    for wrong in (
        ["--name", "../alto"],
        ["--name", ""],
        ["--name", "alto", "--description", " "],
    ):
        with pytest.raises(SystemExit):
            ship.main([str(source), *common, *wrong])
        assert "expected" in capfd.readouterr().err
    ship.MOST_BYTES = 1000
    assert ship.main([str(source), *common, "--name", "tenor"]) == 1
    assert "a bundled voice at most 1000" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alto.gguf"]


def test_prepare(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert "expected more than 3 clips (*.wav), found 0" in capfd.readouterr().err
    assert prepare.main([str(out), "--kathleen", str(tmp_path / "none")]) == 1
    assert "expected more than 50 clips (*.flac), found 0" in capfd.readouterr().err
    for wrong in ([], [*arguments[1:], "--reduction", "nan"]):
        with pytest.raises(SystemExit):
            prepare.main([str(out), *wrong])
    target = tmp_path / "rest"  # nothing half written stays

    def full(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"RIFF")
        raise OSError("No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    assert prepare.main([str(target), *arguments[1:]]) == 1
    assert not [path for path in target.rglob("*") if path.is_file()]


def test_teach(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """A pupil as large as its teacher has its sound from the start; a smaller one comes nearer."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(1)  # more fight for a busy core
    teach = load_module(RECIPE / "teach.py")
    teacher = ROOT / "tests" / "golden" / "hifigan" / "paired.f32.gguf"
    speech = voice(4.0)
    pyvoc.files.audio.write_wav(tmp_path / "speech.wav", speech, 22050)
    mel = pyvoc.features.extract(speech, model=pyvoc.load(teacher))
    wanted = pyvoc.load(teacher).synthesize(mel)
    out = tmp_path / "small.gguf"
    common = [str(teacher), str(tmp_path), "-o", str(out)]

    def lost(*options: str) -> float:
        assert teach.main([*common, *options]) == 0
        error = pyvoc.load(out).synthesize(mel) - wanted
        return float(np.square(error).mean() / np.square(wanted).mean())

    nothing = ["--steps", "1", "--lr", "1e-9"]
    assert lost("--first", "24", "--hidden", "12", "8", "5", "3", *nothing) < 1e-4
    small = ["--first", "16", "--hidden", "4", "3", "5", "3"]
    before = lost(*small, *nothing)
    after = lost(*small, "--steps", "60", "--lr", "0.01")
    assert 1e-3 < after < 0.8 * before
    said = capfd.readouterr().err
    assert "stage 1: step 60 of 60" in said
    assert "stage 2: step 60" not in said  # as wide as the teacher's: nothing to learn
    assert lost(*small, "--from", str(out), *nothing) == pytest.approx(after, rel=0.01)
    with pytest.raises(SystemExit):
        teach.main([*common, *small, "--first", "20", "--from", str(out)])
    assert "conv_in.weight is not of the sizes" in capfd.readouterr().err
    melgan = ["--family", "melgan", "--first", "16"]
    lost(*melgan, "--steps", "40")
    assert pyvoc.load(out).info.architecture == "melgan"
    before = log_spectral_distance(wanted, pyvoc.load(out).synthesize(mel), 22050)
    lost(*melgan, "--from", str(out), *nothing[:2], "--lr", "0.003", "--listen", "30")
    after = log_spectral_distance(wanted, pyvoc.load(out).synthesize(mel), 22050)
    assert after < 0.9 * before
    for options in (["--hidden", "4"], ["--hidden", "13", "8", "5", "3"], ["--first", "25"]):
        with pytest.raises(SystemExit):
            teach.main([*common, *options])
    for name in ("--steps", "--lr", "--seconds", "--blocks"):
        with pytest.raises(SystemExit):
            teach.main([*common, *small, name, "0"])
    with pytest.raises(SystemExit):
        teach.main([*common, *small, "--listen", "-1"])
    capfd.readouterr()
    silent, short = tmp_path / "nothing", tmp_path / "short"
    silent.mkdir()
    short.mkdir()
    pyvoc.files.audio.write_wav(short / "word.wav", speech[:9000], 22050)
    for folder, what in ((silent, "no wavs"), (short, "no recording is longer than 80 frames")):
        with pytest.raises(SystemExit):
            teach.main([str(teacher), str(folder), "-o", str(out), *small])
        assert what in capfd.readouterr().err
    pyvoc.files.audio.write_wav(short / "click.wav", speech[5000:5050], 22050)
    wavernn = ROOT / "tests" / "golden" / "wavernn" / "odd.f32.gguf"
    for voice_, folder, goal, what in (
        (wavernn, tmp_path, out, "holds a pyvoc.wavernn model, expected pyvoc.hifigan"),
        (teacher, short, out, "click.wav': 50 samples are too short"),
        (teacher, tmp_path, silent, "nothing': cannot be written: it is a folder"),
        (teacher, tmp_path, teacher, "would overwrite the input"),
    ):
        assert teach.main([str(voice_), str(folder), "-o", str(goal), *small]) == 1
        assert what in capfd.readouterr().err


def blocks_in_use(arrays: dict[str, np.ndarray]) -> float:
    """The share of GRU A's blocks that have a weight off the diagonal."""
    gates = np.array(np.split(arrays["gru_a.weight_hh"], 3))
    for gate in gates:
        np.fill_diagonal(gate, 0.0)
    units = gates.shape[1]
    return float((gates.reshape(3, units // 8, 8, units // 4, 4) != 0).any((2, 4)).mean())


def test_grow(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """More units say what fewer said, in blocks that were pruned as theirs; others are refused."""
    grow = load_module(RECIPE / "grow.py")
    golden, out = ROOT / "tests" / "golden", tmp_path / "grown.gguf"
    model = golden / "tree_sparse.f32.gguf"
    before = decode(LPCNET, read_container(model))
    units = before["gru_a.bias_hh"].shape[0] // 3
    for more in (0, 16, 3 * units):
        assert grow.main([str(model), "--units", str(units + more), "-o", str(out)]) == 0
        after = decode(LPCNET, read_container(out))
        assert after["gru_a.weight_hh"].shape == (3 * (units + more), units + more)
        assert after["gru_b.weight_ih"].shape[1] == units + more
        for name, array in before.items():
            if not name.startswith("gru_a.") and name != "gru_b.weight_ih":
                np.testing.assert_array_equal(after[name], array)
        assert blocks_in_use(after) == pytest.approx(blocks_in_use(before), rel=0.2)
        rows = make_features(3)
        ours, theirs = (pyvoc.load(p).synthesize(rows, seed=1) for p in (out, model))
        assert np.ptp(theirs) > 0
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    grown = out.read_bytes()
    for arguments, what in (
        ([str(model), "--units", "16"], "more than 16"),
        (
            [str(golden / "wavernn" / "odd.f32.gguf"), "--units", "64"],
            "holds a pyvoc.wavernn model, expected pyvoc.lpcnet",
        ),
        ([str(golden / "none.gguf"), "--units", "64"], "none.gguf"),
    ):
        assert grow.main([*arguments, "-o", str(out)]) == 1
        assert what in capfd.readouterr().err
    assert grow.main([str(out), "--units", "640", "-o", str(out)]) == 1
    assert "would overwrite the input" in capfd.readouterr().err
    for wrong in (["--units", "20"], ["--units", "-16"], ["--units", "64", "--seed", "-1"]):
        with pytest.raises(SystemExit):
            grow.main([str(model), *wrong, "-o", str(out)])
        assert "expected" in capfd.readouterr().err
    assert out.read_bytes() == grown


def test_average(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a model and itself: itself; a share of another is between them; others are refused."""
    average = load_module(RECIPE / "average.py")
    golden = ROOT / "tests" / "golden" / "wavernn"
    one, other, out = golden / "odd.f32.gguf", tmp_path / "double.gguf", tmp_path / "mean.gguf"
    assert average.main([str(one), str(one), "-o", str(out)]) == 0
    spec, container = WAVERNN, read_container(one)
    before = decode(spec, container)
    for name, array in decode(spec, read_container(out)).items():
        np.testing.assert_array_equal(array, before[name])
    doubled = {name: (2 * array).astype("<f4") for name, array in before.items()}
    kept = carried(container.metadata)
    write_container(other, encode(spec, doubled, metadata=kept, precision="f32"), spec=spec)
    assert average.main([str(one), str(other), "--share", "0.25", "-o", str(out)]) == 0
    for name, array in decode(spec, read_container(out)).items():
        np.testing.assert_allclose(array, 1.25 * before[name], rtol=1e-6)
    louder = tmp_path / "louder.gguf"
    key = "pyvoc.features.ref_db"
    metadata = {**kept, key: 20.0}
    write_container(louder, encode(spec, before, metadata=metadata, precision="f32"), spec=spec)
    for wrong, what in (
        (louder, f"{key} is"),
        (golden / "raw.f32.gguf", "has other sizes"),
        (golden.parent / "melgan" / "odd.f32.gguf", "is of another family"),
        (tmp_path / "none.gguf", "none.gguf"),
    ):
        assert average.main([str(one), str(wrong), "-o", str(tmp_path / "no.gguf")]) == 1
        assert what in capfd.readouterr().err
    assert not (tmp_path / "no.gguf").exists()
    assert average.main([str(one), str(other), "-o", str(other)]) == 1
    assert "would overwrite the input" in capfd.readouterr().err
    for drawing, spec, last in (
        (golden / "raw.f32.gguf", WAVERNN, "fc3."),
        (golden.parent / "tree_sparse.int8.gguf", LPCNET, "dual_fc.factor"),
    ):
        assert average.main([*[str(drawing)] * 2, "--temperature", "0.5", "-o", str(out)]) == 0
        before, after = (decode(spec, read_container(path)) for path in (drawing, out))
        assert any(name.startswith(last) for name in after)
        for name, array in after.items():
            sharper = 2 if name.startswith(last) else 1
            np.testing.assert_allclose(array, sharper * before[name], rtol=1e-6)
    mixture = [str(golden / "mol.f32.gguf")] * 2
    assert average.main([*mixture, "--temperature", "0.5", "-o", str(tmp_path / "no.gguf")]) == 1
    assert "draws labels" in capfd.readouterr().err


@pytest.mark.parametrize("path", sorted(RECIPE.glob("*.yaml")), ids=lambda path: path.stem)
def test_configurations_can_be_read(path: Path) -> None:
    """Every key is one of the family's, and says what can be."""
    yaml = pytest.importorskip("yaml")
    pytest.importorskip("torch")
    from pyvoc.train import TrainConfig, from_mapping
    from pyvoc.train.data.segments import MelDataConfig

    family = {"default": "fargan", "lpcnet-grown": "lpcnet"}.get(
        path.stem, path.stem.removesuffix("-small")
    )
    config = TrainConfig.of(family, **yaml.safe_load(path.read_text(encoding="utf-8")))
    settings = importlib.import_module(f"pyvoc.families.{family}.train.settings")
    from_mapping(getattr(settings, f"{family.capitalize()}Model"), config.model, "model")
    if family in ("fargan", "lpcnet"):
        data = importlib.import_module(f"pyvoc.families.{family}.train.data")
        from_mapping(getattr(data, f"{family.capitalize()}Data"), config.data, "data")
    else:
        from_mapping(MelDataConfig, {"segment": 1024, **config.data}, "data")
