"""Which bundled voice speaks an input, where nobody named one."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from voices import FARGAN, HIFIGAN, MELGAN, TREE, features_for, make_features, make_mel, voice

import pyvoc
from pyvoc import doubts, melcheck, mels, voices
from pyvoc.cli import main
from pyvoc.container.mel import DESCRIPT, FATCHORD, NVIDIA, MelRecipe
from pyvoc.container.mel import HIFIGAN as HIFIGAN_MEL
from pyvoc.melcheck import Report, check_rows
from pyvoc.voices import choice
from pyvoc.voices.choice import Reader, choose

OCTAVES = Reader("octaves", "opus20", None)
SAMPLES = Reader("samples", "lpcnet36", None)
ALTO = Reader("alto", "mel", HIFIGAN_MEL)
TENOR = Reader("tenor", "mel", NVIDIA)
BASS = Reader("bass", "mel", DESCRIPT)
CHILD = Reader("child", "mel", FATCHORD)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(voices, "folder", lambda: tmp_path / "mine")
    return tmp_path


@pytest.fixture(scope="module")
def sentence() -> np.ndarray:
    return pyvoc.audio.read(voices.demo_speech())[0]


def chosen(
    monkeypatch: pytest.MonkeyPatch,
    shelf: list[Reader],
    *inputs: str,
    layout: str | None = None,
) -> tuple[str, str]:
    """The voice, and what was remarked."""
    monkeypatch.setattr(choice, "readers", lambda: shelf)
    with doubts.collect(strict=True) as found:  # remarks are not grave
        name = choose(inputs, layout=layout)
    return name, " ".join(found.messages)


@pytest.mark.parametrize("suffix", ("npy", "f32", "bin"))
@pytest.mark.parametrize(
    ("recipe", "expected", "also"),
    [
        (HIFIGAN_MEL, "alto", "tenor"),
        (NVIDIA, "alto", "tenor"),  # a mel alone does not tell these two
        (DESCRIPT, "bass", ""),
        (FATCHORD, "child", ""),
    ],
)
def test_a_mel_finds_the_voice_of_its_recipe(
    recipe: MelRecipe,
    expected: str,
    also: str,
    suffix: str,
    sentence: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"tts.{suffix}"
    mels.save(name, pyvoc.features.extract(sentence, recipe=recipe))
    shelf = [OCTAVES, SAMPLES, ALTO, TENOR, BASS, CHILD]
    found, said = chosen(monkeypatch, shelf, name)
    assert found == expected
    assert f"'{name}' has 80 bands" in said and f"'{expected}' speaks" in said
    assert (f"'{also}'" in said) == bool(also) and "-m NAME chooses" in said
    if also:  # the order decides, nothing else does
        assert chosen(monkeypatch, [CHILD, TENOR, ALTO], name)[0] == "tenor"


def test_mels_as_networks_and_upstreams_leave_them(
    sentence: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the clamp, turned, few frames, as long as a row of features is wide."""
    mel = pyvoc.features.extract(sentence, recipe=HIFIGAN_MEL)
    for rows in (mel - 0.3, mel.T, mel[None].swapaxes(1, 2), mel[:36].T):
        np.save("tts.npy", rows)
        assert chosen(monkeypatch, [OCTAVES, CHILD, ALTO], "tts.npy")[0] == "alto"


def test_a_mel_that_nobody_reads(sentence: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    mel = pyvoc.features.extract(sentence, recipe=HIFIGAN_MEL)
    shelf = [OCTAVES, ALTO, BASS]
    np.save("power.npy", 2 * mel)
    words = r"80 bands .* as hifigan \('alto'\), power: .* as descript \('bass'\), log: ln, exp"
    with pytest.raises(pyvoc.FeatureError, match=words):
        chosen(monkeypatch, shelf, "power.npy")
    np.save("narrow.npy", mel[:, :64])
    words = r"\(343?2?, 64\), is nothing .* opus20 \('octaves'\); mels of 80 bands as hifigan"
    with pytest.raises(pyvoc.FeatureError, match=words):
        chosen(monkeypatch, shelf, "narrow.npy")
    mels.save("mel.f32", mel)
    with pytest.raises(pyvoc.FeatureError, match="holds no LPCNet features"):
        chosen(monkeypatch, [OCTAVES, BASS], "mel.f32")


@pytest.mark.parametrize("suffix", ("npy", "f32"))
def test_features_find_the_voice_of_their_layout(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("soxr")
    pcm = pyvoc.features.read_pcm(voices.demo_speech())
    shelf = [OCTAVES, SAMPLES, ALTO]
    for layout in ("lpcnet36", "lpcnet20", "lpcnet55", "opus20"):
        rows = pyvoc.features.extract(pcm, layout=layout)
        name = f"{layout}.{suffix}"
        np.save(name, rows) if suffix == "npy" else rows.astype("<f4").tofile(name)
        found, said = chosen(monkeypatch, shelf, name)
        if layout == "opus20":  # its pitch could be a network's, of either unit
            assert found == "octaves"
            assert "taken for opus20" in said and "could be lpcnet20" in said
            assert "--layout" in said
        else:  # 20 floats too: their pitch is an estimator's
            assert found == "samples" and f"holds {layout} features" in said
        for told, expected in (("opus20", "octaves"), ("lpcnet20", "samples")):
            assert chosen(monkeypatch, shelf, name, layout=told)[0] == expected


def test_what_a_network_predicted_is_the_first_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("tts.npy", make_features(40, dims=20))
    for shelf in ([OCTAVES, SAMPLES], [SAMPLES, OCTAVES]):
        found, said = chosen(monkeypatch, shelf, "tts.npy")
        assert found == shelf[0].name and "--layout NAME" in said
    for rows in (make_features(40, dims=20), make_features(40)):
        np.save("tts.npy", rows)
        with pytest.raises(pyvoc.FeatureError, match=r"no bundled voice reads; they read mels of"):
            chosen(monkeypatch, [ALTO], "tts.npy")


def test_what_says_nothing_is_the_default_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = [OCTAVES, SAMPLES]
    for inputs in (["a.wav"], ["-"], ["gone.f32"], ["a.wav", "b.flac"]):
        assert chosen(monkeypatch, shelf, *inputs) == (voices.DEFAULT, "")
    np.save("b.npy", make_features(40))
    Path("broken.npy").write_bytes(b"\x93NUMPY")
    assert chosen(monkeypatch, shelf, "a.wav", "broken.npy", "b.npy")[0] == "samples"
    with pytest.raises(pyvoc.FeatureError, match=r"broken\.npy"):
        chosen(monkeypatch, shelf, "broken.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_left_to_who_speaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be read once."""
    os.mkfifo("pipe")
    features = make_features(40).tobytes()
    pipe = os.open("pipe", os.O_RDWR)  # neither end waits for the other
    try:
        os.write(pipe, features)
        assert chosen(monkeypatch, [SAMPLES, OCTAVES], "pipe") == (voices.DEFAULT, "")
        assert os.read(pipe, len(features)) == features
    finally:
        os.close(pipe)


def test_the_shelf_is_read_from_the_files(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are no part of it; those that no order names come by name."""
    package = here / "package"
    package.mkdir()
    monkeypatch.setattr(voices, "_FOLDER", package)
    hifigan = next(path for path in HIFIGAN if path.stem == "paired.f32")
    melgan = next(path for path in MELGAN if path.stem == "zero.f32")
    for name, path in (("a", melgan), ("z", hifigan), ("m", FARGAN[0]), ("default", TREE)):
        shutil.copy(path, package / f"{name}.gguf")
    (package / "broken.gguf").write_bytes(TREE.read_bytes()[:100])
    found = choice.readers()
    assert [reader.name for reader in found] == ["default", "a", "m", "z"]
    assert [reader.layout for reader in found] == ["lpcnet36", "mel", "opus20", "mel"]
    assert found[3].recipe == voice(hifigan).info.mel
    monkeypatch.setattr(voices, "_order", lambda: ["z", "nobody", "m"])
    assert voices.bundled() == ("default", "z", "m", "a", "broken")


def test_the_package_has_an_order_for_its_voices() -> None:
    """Whoever is missing in it would be chosen last, by the name alone."""
    assert set(voices.bundled()) <= {voices.DEFAULT, *voices._order()}


def test_an_incomplete_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "_ORDER", Path("nowhere.json"))
    with pytest.raises(pyvoc.Error, match=r"nowhere\.json' is missing: install pyvoc again"):
        voices.bundled()


def test_synth_takes_the_voice(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = here / "package"
    package.mkdir()
    monkeypatch.setattr(voices, "_FOLDER", package)
    hifigan = next(path for path in HIFIGAN if path.stem == "paired.f32")
    fargan = next(path for path in FARGAN if path.stem == "even.f32")
    for name, path in (("default", fargan), ("other", TREE), ("bright", hifigan)):
        shutil.copy(path, package / f"{name}.gguf")
    np.save("mel.npy", make_mel(40))
    np.save("lpcnet.npy", make_features(40))
    np.save("opus.npy", features_for(voice(fargan), 40))
    monkeypatch.setattr(melcheck, "check_rows", accepting)
    for name, path in (("mel", hifigan), ("lpcnet", TREE), ("opus", fargan)):
        assert main(["synth", f"{name}.npy", "-o", "a.s16", "--json"]) == 0
        out, err = capsys.readouterr()
        stem = {hifigan: "bright", TREE: "other", fargan: "default"}[path]
        assert json.loads(out)["model"] == str(package / f"{stem}.gguf")
        assert "pyvoc: note: " in err and f"'{stem}'" in err
        spoken = Path("a.s16").read_bytes()
        assert main(["synth", f"{name}.npy", "-o", "b.s16", "-m", str(path)]) == 0
        assert spoken == Path("b.s16").read_bytes()
        assert "note" not in capsys.readouterr().err
    assert main(["synth", "mel.npy", "-o", "a.s16", "--layout", "lpcnet20"]) == 3
    np.save("wide.npy", make_mel(40, bands=90))
    assert main(["synth", "wide.npy", "-o", "c.s16"]) == 3
    assert "mels of 80 bands" in capsys.readouterr().err and not Path("c.s16").exists()


def accepting(rows: np.ndarray, recipe: MelRecipe, *, name: str) -> Report:
    """For mels of random numbers, which are no speech."""
    report = check_rows(rows, recipe, name=name)
    return replace(report, findings=())
